//! What the machine itself can do, measured beside the server in the same minutes: the server's figures mean little
//! without them.

pub(crate) mod disk;
pub(crate) mod hello;
pub(crate) mod model;
pub(crate) mod sqlite;
pub(crate) mod wasm;
