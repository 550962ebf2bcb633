//! What starts executions.

mod daylight;
mod parsing;
mod times;
mod verify;
