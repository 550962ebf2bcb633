//! What starts executions.

mod daylight;
mod differential;
mod events;
mod parsing;
mod planning;
mod properties;
mod schedules;
mod times;
mod trees;
mod verify;
