//! Tests of the host, one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod driver;
mod egress;
mod models;
mod notify;
mod peer;
mod runtime;
mod secrets;
mod server;
mod store;
mod trigger;
