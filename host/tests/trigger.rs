//! What starts executions.

mod daylight;
mod parsing;
mod schedules;
mod times;
