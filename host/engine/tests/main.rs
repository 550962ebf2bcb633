//! The engine's tests, in one binary.

mod fuzzing;
mod golden;
mod oracle;
mod scenarios;
mod simulation;
mod support;
