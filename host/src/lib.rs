//! Being written.

pub mod runtime;
