//! Tests of the host's parts against the real thing: files, processes, components. One binary.
#![expect(clippy::unwrap_used, reason = "tests panic")]

mod driver;
mod runtime;
mod store;
