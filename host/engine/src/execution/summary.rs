//! How an execution stands, for lists and rows.

use std::sync::Arc;

use crate::{
    failure::Failure,
    id::Timestamp,
    json::Json,
    limits::{Amounts, Exceeded},
};

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Accepted, not begun.
    Pending,
    /// Something runs.
    Running,
    /// Nothing runs, and at least one person is asked.
    AwaitingHuman,
    /// Ended well.
    Completed,
    /// Ended with a failure.
    Failed,
    /// Ended because its time was up.
    Timeout,
    /// Ended by a person or a rule.
    Cancelled,
}

impl Status {
    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::AwaitingHuman => "awaiting_human",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::AwaitingHuman => false,
            Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled => true,
        }
    }
}

/// What lists and the execution's row show; follows from the log alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How it stands.
    pub status: Status,
    /// The step that was reached last.
    pub current_step: Option<Arc<str>>,
    /// What was used.
    pub usage: Amounts,
    /// The earliest time that matters.
    pub wake_at: Option<Timestamp>,
    /// Whether it waits for timers and people only.
    pub idle: bool,
    /// What it made, once completed.
    pub output: Option<Json>,
    /// Why it ended badly, and at which step that began.
    pub failure: Option<Failure>,
    /// The limit at which it is paused.
    pub paused: Option<Exceeded>,
}
