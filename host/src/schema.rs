//! Being written.
#[derive(Debug, Clone)]
pub struct SchemaProblem { pub pointer: String, pub message: String }
