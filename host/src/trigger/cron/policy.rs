//! What an author says about instants that were missed or that come while the last execution still runs.

use serde::{Deserialize, Serialize};

/// What happens to instants that were missed, because the host was down or its clock jumped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// None of them runs.
    Skip,
    /// Only the newest runs.
    #[default]
    RunOnce,
    /// All of them run, the newest [`RUN_ALL_MAX`](super::RUN_ALL_MAX) at most.
    RunAll,
}

/// What happens if an instant comes while an execution of the same trigger has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// It waits for the end, unless another waits already: then it is skipped.
    QueueOne,
    /// Both run.
    Allow,
    /// The execution that runs is cancelled.
    CancelRunning,
}

/// What becomes of an instant that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// An execution starts.
    Start,
    /// An execution starts, and those that run are cancelled.
    StartAndCancel,
    /// It waits until no execution of the trigger runs.
    Wait,
    /// It is skipped, with [`Reason::Overlap`](super::Reason::Overlap).
    Skip,
}

impl Overlap {
    /// Decides about an instant, where an execution of the trigger may be running and another instant may be waiting.
    #[must_use]
    pub const fn admit(self, running: bool, waiting: bool) -> Admission {
        match (self, running || waiting) {
            (_, false) | (Self::Allow, true) => Admission::Start,
            (Self::CancelRunning, true) => Admission::StartAndCancel,
            (Self::QueueOne, true) if !waiting => Admission::Wait,
            (Self::QueueOne | Self::Skip, true) => Admission::Skip,
        }
    }
}
