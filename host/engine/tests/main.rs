//! The engine's tests, in one binary.

mod oracle;
mod simulation;
mod support;
