//! The engine's tests, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod compile;
mod fuzzing;
mod golden;
mod oracle;
mod reference;
mod scenarios;
mod simulation;
mod support;
