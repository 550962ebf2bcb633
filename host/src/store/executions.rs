//! Executions: one small row each, updated with every append.

use std::sync::Arc;

use weir_engine::{
    execution::Status,
    failure::Failure,
    id::{Seq, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded},
};

use super::{Store, StoreError};

/// How an execution stands, without its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionRow {
    /// Its id, a version 7 UUID.
    pub id: Arc<str>,
    /// The workflow.
    pub workflow_id: Arc<str>,
    /// The workflow's name at the start.
    pub workflow_name: Arc<str>,
    /// The version that runs.
    pub workflow_version: u32,
    /// How it stands.
    pub status: Status,
    /// The type of what started it: `manual`, …
    pub trigger_source: String,
    /// The step that was reached last.
    pub current_step_id: Option<Arc<str>>,
    /// What was used.
    pub usage: Amounts,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Why it ended badly, and at which step that began.
    pub failure: Option<Failure>,
    /// The limit at which it is paused.
    pub paused: Option<Exceeded>,
    /// The earliest time that matters to it.
    pub wake_at: Option<Timestamp>,
    /// Whether it waits for timers and people only.
    pub idle: bool,
    /// The number of its last event.
    pub last_seq: Seq,
}

/// An execution with its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredExecution {
    /// How it stands.
    pub row: ExecutionRow,
    /// What started it.
    pub trigger: Json,
    /// What it was given.
    pub input: Json,
    /// What it made, once completed.
    pub output: Option<Json>,
}

/// Which executions to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Those that stand so.
    pub status: Option<Status>,
    /// Those of this workflow.
    pub workflow_id: Option<String>,
    /// Those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Those that began before this time.
    pub until: Option<Timestamp>,
    /// Those whose id begins so.
    pub id_prefix: Option<String>,
}

/// What recovery needs to know about an execution that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its id.
    pub id: Arc<str>,
    /// Whether it waits for timers and people only: its log need not be loaded yet.
    pub idle: bool,
    /// The earliest time that matters to it.
    pub wake_at: Option<Timestamp>,
}

/// An idle execution and when it is to be woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// The execution.
    pub id: Arc<str>,
    /// When.
    pub due: Timestamp,
}

impl Store {
    /// An execution's row.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn execution(&self, id: &str) -> Result<Option<ExecutionRow>, StoreError> {
        drop((id, &self.inner));
        unimplemented!()
    }

    /// An execution with its documents.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn execution_with_documents(&self, id: &str) -> Result<Option<StoredExecution>, StoreError> {
        drop((id, &self.inner));
        unimplemented!()
    }

    /// Executions, newest first: those older than `before`, at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX). The id of the last one is the next page's `before`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn executions(
        &self,
        filter: &ExecutionFilter,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ExecutionRow>, StoreError> {
        drop((filter, before, limit, &self.inner));
        unimplemented!()
    }

    /// Every execution that has not ended, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        drop(&self.inner);
        unimplemented!()
    }

    /// The idle executions that are to be woken first, in the order of time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_wakes(&self, limit: u32) -> Result<Vec<Wake>, StoreError> {
        drop((limit, &self.inner));
        unimplemented!()
    }

    /// How many executions stand in each status that is not `completed`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unfinished_count(&self) -> Result<u64, StoreError> {
        drop(&self.inner);
        unimplemented!()
    }
}
