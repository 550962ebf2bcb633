//! Runs workflows whose tools and agents are sandboxed WebAssembly components.

pub mod driver;
pub mod runtime;
pub mod schema;
pub mod server;
pub mod store;
