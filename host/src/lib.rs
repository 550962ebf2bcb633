//! Runs workflows whose tools and agents are sandboxed WebAssembly components.
//!
//! [`Host::start`] is the only way to a running host, for the program and for tests alike.

pub mod accounts;
pub mod approval_link;
pub mod budgets;
pub mod cli;
pub mod client;
pub mod config;
pub mod driver;
pub mod egress;
pub mod grants;
mod hex;
mod host;
pub mod identity;
pub mod metrics;
pub mod models;
pub mod names;
pub mod notices;
pub mod notify;
pub mod runtime;
pub mod schema;
pub mod secrets;
pub mod server;
pub mod spans;
pub mod store;
pub mod trigger;
pub mod vault;
pub mod webhook_signature;

pub use host::{Host, Running, StartHostError};
