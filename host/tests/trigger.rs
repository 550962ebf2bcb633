//! What starts executions.

mod daylight;
mod differential;
mod parsing;
mod planning;
mod properties;
mod schedules;
mod times;
