//! Lines for the step's log.
//!
//! The host caps their number and size, and says how many it dropped.

use crate::host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The smallest detail.
    Trace,
    /// For the plugin's author.
    Debug,
    /// What happened.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// Adds a line of the given level.
pub fn write(level: Level, message: impl AsRef<str>) {
    host::log(level, message.as_ref());
}

/// Adds the smallest detail.
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message);
}

/// Adds a line for the plugin's author.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message);
}

/// Says what happened.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message);
}

/// Points to something to look at.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message);
}

/// Says that something failed.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message);
}
