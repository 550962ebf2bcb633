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
    /// It waits for the end; of several only the newest waits.
    QueueOne,
    /// Both run.
    Allow,
    /// The execution that runs is cancelled.
    CancelRunning,
}
