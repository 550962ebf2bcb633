//! Runs workflows whose tools and agents are sandboxed WebAssembly components.

pub mod store;
