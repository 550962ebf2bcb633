//! Tests of the host's parts against the real thing: files, processes, components.
#![expect(clippy::unwrap_used, reason = "tests panic")]

mod store;
