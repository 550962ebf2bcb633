//! The engine's tests, in one binary.

mod compile;
mod oracle;
mod reference;
mod scenarios;
mod simulation;
mod support;
