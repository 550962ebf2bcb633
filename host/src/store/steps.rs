//! Steps of executions: a small row each visit; documents are read from the log.

use std::sync::Arc;

use weir_engine::{
    event::{LogLine, StepType},
    failure::Failure,
    id::{CallId, ScopeId, Seq, Timestamp},
    json::Json,
    limits::Amounts,
};

use super::{Store, StoreError};

/// How a visit of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepStatus {
    /// It runs, or waits for its next attempt.
    Running,
    /// A person is asked.
    AwaitingHuman,
    /// It ended well.
    Completed,
    /// It failed for good.
    Failed,
    /// It failed for good because its time was up.
    Timeout,
    /// It was never reached, or nobody answered and it was passed over.
    Skipped,
    /// It was given up.
    Cancelled,
}

/// One visit of a step, or a step that was never reached.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The execution.
    pub execution_id: Arc<str>,
    /// The visit; for a step that was never reached, the event that says so.
    pub call: CallId,
    /// 0 for a visit; from 1 for the steps that one event says were never reached.
    pub ordinal: u32,
    /// The step's id.
    pub step_id: Arc<str>,
    /// The visit's place for people.
    pub path: Arc<str>,
    /// The scope whose cursor reached it; 0 is the root.
    pub scope: ScopeId,
    /// The step's type; `None` for a step that was never reached.
    pub kind: Option<StepType>,
    /// How it stands.
    pub status: StepStatus,
    /// The attempt that is or was the last, from 0.
    pub attempt: u32,
    /// When it began; `None` for a step that was never reached.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What it was given: the input of a call, the request of a human step, the items of a loop.
    pub input: Option<Json>,
    /// What it made.
    pub output: Option<Json>,
    /// What it itself used.
    pub usage: Amounts,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What should be looked at though it went on.
    pub warnings: Vec<String>,
    /// Log lines of the plugin, of the last attempt.
    pub logs: Vec<LogLine>,
    /// Fuel that the last attempt used.
    pub fuel: Option<u64>,
}

/// Where a page of steps begins: after this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StepCursor {
    /// The row's `call`.
    pub call: Seq,
    /// The row's `ordinal`.
    pub ordinal: u32,
}

/// A page of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPage {
    /// The steps, in the order in which they were reached.
    pub rows: Vec<StepRow>,
    /// Where the next page begins; `None` at the end. A page ends early where documents are large.
    pub next: Option<StepCursor>,
}

/// The output of a step of the root block.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The step's id.
    pub step_id: Arc<str>,
    /// Its latest output.
    pub output: Json,
}

impl StepStatus {
    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::AwaitingHuman => "awaiting_human",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Store {
    /// Steps of an execution after `after`, at most `limit` and never more than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn steps(&self, execution_id: &str, after: StepCursor, limit: u32) -> Result<StepPage, StoreError> {
        drop((execution_id, after, limit, &self.inner));
        unimplemented!()
    }

    /// The visit of an execution that has this path; the latest where several do.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn step_by_path(&self, execution_id: &str, path: &str) -> Result<Option<StepRow>, StoreError> {
        drop((execution_id, path, &self.inner));
        unimplemented!()
    }

    /// The latest output of each step of the root block that completed, in the order of completion.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn step_outputs(&self, execution_id: &str) -> Result<Vec<StepOutput>, StoreError> {
        drop((execution_id, &self.inner));
        unimplemented!()
    }
}
