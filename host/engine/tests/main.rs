//! The engine's tests, in one binary.

#![expect(clippy::unwrap_used, reason = "tests panic")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod fuzzing;
mod golden;
mod oracle;
mod scenarios;
mod simulation;
mod support;
