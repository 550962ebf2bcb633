//! What the host does for running calls.

pub mod http;
pub mod kv;
