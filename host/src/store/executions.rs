//! Executions: one small row each, updated with every append.

use std::{collections::BTreeSet, sync::Arc};

use sqlx::sqlite::SqliteRow;
use weir_engine::{
    event::Event,
    execution::Status,
    failure::Failure,
    id::{Seq, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded},
};

use super::{
    Store, StoreError,
    columns::{Columns, page},
    error::database,
    queries,
};

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

const STATUSES: [Status; 7] = [
    Status::Pending,
    Status::Running,
    Status::AwaitingHuman,
    Status::Completed,
    Status::Failed,
    Status::Timeout,
    Status::Cancelled,
];

/// An id holds the millisecond in which it was made, and is made a little before the execution starts.
const ID_MARGIN_MS: i64 = 60_000;
/// Sorts behind every id.
const AFTER_ALL: &str = "~";

impl Store {
    /// An execution's row.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn execution(&self, id: &str) -> Result<Option<ExecutionRow>, StoreError> {
        let query = sqlx::query(queries::EXECUTION).bind(id);
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read an execution", e))?;
        row.as_ref().map(execution_row).transpose()
    }

    /// An execution with its documents.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn execution_with_documents(&self, id: &str) -> Result<Option<StoredExecution>, StoreError> {
        let Some(row) = self.execution(id).await? else { return Ok(None) };
        let mut events = self.events_at(id, &BTreeSet::from([1, row.last_seq])).await?;
        let Some(Event::ExecutionStarted(started)) = events.remove(&1) else {
            let what = format!("the log of execution {id}");
            return Err(StoreError::Corrupt { what, reason: "it does not begin with a start".to_owned() });
        };
        let last = events.remove(&row.last_seq);
        let output = if let Some(Event::ExecutionCompleted { output, .. }) = last { Some(output) } else { None };
        Ok(Some(StoredExecution { row, trigger: started.trigger.clone(), input: started.input.clone(), output }))
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
        let (low, high) = id_bounds(filter, before);
        let text = match (&filter.workflow_id, filter.status) {
            (None, None) => queries::EXECUTIONS,
            (None, Some(Status::Completed)) => queries::EXECUTIONS_COMPLETED,
            (None, Some(_)) => queries::EXECUTIONS_BY_STATUS,
            (Some(_), None) => queries::EXECUTIONS_BY_WORKFLOW,
            (Some(_), Some(Status::Completed)) => queries::EXECUTIONS_BY_WORKFLOW_COMPLETED,
            (Some(_), Some(_)) => queries::EXECUTIONS_BY_WORKFLOW_AND_STATUS,
        };
        let since = filter.since.map_or(i64::MIN, |since| since.0);
        let until = filter.until.map_or(i64::MAX, |until| until.0);
        let mut query = sqlx::query(text).bind(high).bind(low).bind(since).bind(until).bind(page(limit));
        if let Some(workflow_id) = &filter.workflow_id {
            query = query.bind(workflow_id);
        }
        if let Some(status) = filter.status.filter(|status| *status != Status::Completed) {
            query = query.bind(status.as_str());
        }
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list executions", e))?;
        rows.iter().map(execution_row).collect()
    }

    /// Every execution that has not ended, in no order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let query = sqlx::query(queries::UNFINISHED);
        let rows = query.fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("list unfinished executions", e))?;
        let unfinished = |row| {
            let mut columns = Columns::new(row, "an unfinished execution");
            Ok(Unfinished { id: columns.text()?, idle: columns.next()?, wake_at: columns.time_or_none()? })
        };
        rows.iter().map(unfinished).collect()
    }
}

/// The lowest id (inclusive) and the highest (exclusive) that `filter` and `before` let pass.
fn id_bounds(filter: &ExecutionFilter, before: Option<&str>) -> (String, String) {
    let mut low = String::new();
    let mut high = AFTER_ALL.to_owned();
    if let Some(since) = filter.since {
        low = low.max(id_prefix(since.0.div_euclid(1000).saturating_sub(ID_MARGIN_MS)));
    }
    if let Some(until) = filter.until {
        high = high.min(id_prefix(until.0.div_euclid(1000).saturating_add(1)));
    }
    if let Some(prefix) = &filter.id_prefix {
        low = low.max(prefix.clone());
        high = high.min(format!("{prefix}{AFTER_ALL}"));
    }
    if let Some(before) = before {
        high = high.min(before.to_owned());
    }
    (low, high)
}

/// What ids begin with that were made in this millisecond since the epoch.
fn id_prefix(ms: i64) -> String {
    let digits = format!("{:012x}", ms.clamp(0, 0xffff_ffff_ffff));
    format!("{}-{}", &digits[..8], &digits[8..])
}

fn execution_row(row: &SqliteRow) -> Result<ExecutionRow, StoreError> {
    let mut columns = Columns::new(row, "an execution");
    Ok(ExecutionRow {
        id: columns.text()?,
        workflow_id: columns.text()?,
        workflow_name: columns.text()?,
        workflow_version: columns.number()?,
        status: columns.word(&STATUSES, Status::as_str)?,
        trigger_source: columns.next()?,
        current_step_id: columns.text_or_none()?,
        usage: columns.json()?,
        started_at: columns.time()?,
        completed_at: columns.time_or_none()?,
        failure: columns.json_or_none()?,
        paused: columns.json_or_none()?,
        wake_at: columns.time_or_none()?,
        idle: columns.next()?,
        last_seq: columns.number()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_with_their_time() {
        let id = "019a0b1c-2d3e-7000-8000-000000000000";
        let ms = 0x019a_0b1c_2d3e;
        assert_eq!(id_prefix(ms), id[..13]);
        assert!(*id_prefix(ms) < *id && *id_prefix(ms + 1) > *id);
        assert_eq!(id_prefix(-1), "00000000-0000");
    }

    #[test]
    fn bounds_are_as_tight_as_the_tightest() {
        let filter = ExecutionFilter { id_prefix: Some("019a".to_owned()), ..ExecutionFilter::default() };
        assert_eq!(id_bounds(&filter, None), ("019a".to_owned(), "019a~".to_owned()));
        assert_eq!(id_bounds(&filter, Some("019a5")), ("019a".to_owned(), "019a5".to_owned()));
        assert_eq!(id_bounds(&ExecutionFilter::default(), None), (String::new(), "~".to_owned()));
    }
}
