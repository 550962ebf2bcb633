//! The engine's tests, in one binary.

mod oracle;
mod scenarios;
mod simulation;
mod support;
