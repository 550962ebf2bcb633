//! The engine's tests, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod compile;
mod oracle;
mod reference;
mod scenarios;
mod simulation;
mod support;
