//! Tests of the host, one binary.

mod driver;
mod runtime;
mod server;
mod store;
