//! What starts executions: schedules, and later news from outside.
//!
//! This part decides when and whether something starts; the driver starts it. It knows neither HTTP nor SQL.

pub mod cron;
pub mod webhook;
