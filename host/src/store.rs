//! Keeps logs, what follows from them, workflows and plugins in one SQLite file, and plugin components as files beside it.
//!
//! A log is the truth; the rows of executions, steps and approvals follow from it and are written in the same
//! transaction. One task writes, and commits what is waiting as a group; reads have connections of their own.

use std::{path::PathBuf, sync::Arc};

use weir_engine::{
    event::Record,
    execution::Summary,
    id::{Seq, Timestamp},
};

mod approvals;
mod error;
mod events;
mod executions;
mod plugins;
mod steps;
mod workflows;

pub use self::{
    approvals::{ApprovalFilter, ApprovalRow, ApprovalStatus},
    error::StoreError,
    executions::{ExecutionFilter, ExecutionRow, StoredExecution, Unfinished, Wake},
    plugins::{Installed, NewPlugin, PluginRow},
    steps::{StepCursor, StepOutput, StepPage, StepRow, StepStatus},
    workflows::{NewWorkflow, Saved, WorkflowFilter, WorkflowOrder, WorkflowRow, WorkflowVersion},
};

/// The most rows that one page of any list holds.
pub const PAGE_MAX: u32 = 200;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where everything lies; made with mode 0700 if it is missing.
    pub data_dir: PathBuf,
    /// Connections for reading, 1 to 4.
    pub readers: u32,
    /// Writes that may wait before callers wait too.
    pub queue: usize,
}

impl StoreOptions {
    /// The defaults for a data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), readers: 4, queue: 4096 }
    }
}

/// Events of one execution to append, and how it stands after them.
#[derive(Debug, Clone)]
pub struct Append {
    /// Which execution.
    pub execution_id: Arc<str>,
    /// The events; their numbers go on from what is stored, and the very first is `ExecutionStarted`.
    pub records: Vec<Record>,
    /// How the execution stands after the last of them.
    pub summary: Summary,
}

/// The store of one data directory. Clones share it; it is closed when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {}

impl Store {
    /// Opens the store of a data directory, makes it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// The directory cannot be used, another host has it open, SQLite is too old, or a migration failed.
    pub async fn open(options: StoreOptions) -> Result<Self, StoreError> {
        drop(options);
        Ok(Self { inner: Arc::new(Inner {}) })
    }

    /// Appends events and updates what follows from them. Returns once they are on disk.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the numbers do not go on from what is stored; the disk is full or the file is
    /// busy. Nothing of this append is stored then, and the execution is to be loaded again.
    pub async fn append(&self, append: Append) -> Result<(), StoreError> {
        drop((append, &self.inner));
        unimplemented!()
    }

    /// Writes what is waiting and closes the file; later writes fail with [`StoreError::Closed`].
    pub async fn close(&self) {}
}

/// The time of the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

const _: fn(Seq) = |_| ();
