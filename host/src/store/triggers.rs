//! Triggers: rows that follow from the newest version of their workflow, and how each stands.

mod publish;

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use weir_engine::{definition::TriggerType, id::Timestamp, json::Json};

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    columns::{Columns, page},
    error::database,
    now,
    queries::triggers as queries,
};

pub(super) use self::publish::{publish, withdraw};

/// A trigger of a live workflow's newest version.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRow {
    /// Its id, a version 7 UUID; it stays while versions come and go.
    pub id: Arc<str>,
    /// The workflow that it starts.
    pub workflow_id: Arc<str>,
    /// That workflow's name.
    pub workflow_name: Arc<str>,
    /// Whether that workflow may be started.
    pub workflow_active: bool,
    /// The version of the workflow that defined it as it is.
    pub version: u32,
    /// What names it in its workflow: its author's id, or its type and number.
    pub key: Arc<str>,
    /// Its type.
    pub trigger_type: TriggerType,
    /// Its settings, as they were written.
    pub config: Json,
    /// The path of a webhook.
    pub path: Option<Arc<str>>,
    /// Whether it starts anything.
    pub enabled: bool,
    /// `enabled`, as its author wrote it last.
    pub(super) written: bool,
    /// Of a schedule: every instant up to here has its occurrence.
    pub cursor_at: Option<Timestamp>,
    /// Of a schedule that runs: the first instant after that.
    pub next_at: Option<Timestamp>,
    /// When it last started something.
    pub last_at: Option<Timestamp>,
    /// How many occurrences started something.
    pub fired: u64,
    /// How many were skipped.
    pub skipped: u64,
    /// How many should have started something and did not.
    pub failed: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A trigger to publish with a version of its workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrigger {
    /// What names it in its workflow.
    pub key: String,
    /// Its type.
    pub trigger_type: TriggerType,
    /// Its settings, as they were written; without secrets.
    pub config: Json,
    /// The path of a webhook; where there is none, its id is its path.
    pub path: Option<String>,
    /// Whether it starts anything, unless somebody says otherwise later.
    pub enabled: bool,
    /// Of a schedule: its first instant after now.
    pub next_at: Option<Timestamp>,
}

/// Which triggers to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct TriggerFilter {
    /// Those of this workflow.
    pub workflow_id: Option<String>,
    /// Those of this type.
    pub trigger_type: Option<TriggerType>,
}

impl Store {
    /// A trigger of a live workflow.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn trigger(&self, id: &str) -> Result<Option<TriggerRow>, StoreError> {
        self.one_trigger(queries::TRIGGER, id).await
    }

    /// The webhook with this path.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn trigger_by_path(&self, path: &str) -> Result<Option<TriggerRow>, StoreError> {
        self.one_trigger(queries::TRIGGER_BY_PATH, path).await
    }

    async fn one_trigger(&self, text: &'static str, key: &str) -> Result<Option<TriggerRow>, StoreError> {
        let row = sqlx::query(text).bind(key).fetch_optional(&self.inner.readers).await;
        row.map_err(|e| database("read a trigger", e))?.as_ref().map(trigger_row).transpose()
    }

    /// Triggers in the order in which they were made, after the one with the id `after`, at most `limit` and never more
    /// than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn triggers(
        &self,
        filter: &TriggerFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TriggerRow>, StoreError> {
        let kind = filter.trigger_type.map(TriggerType::as_str);
        let text = match (&filter.workflow_id, kind) {
            (Some(_), _) => queries::TRIGGERS_BY_WORKFLOW,
            (None, Some(_)) => queries::TRIGGERS_BY_TYPE,
            (None, None) => queries::TRIGGERS,
        };
        let query = sqlx::query(text).bind(after.unwrap_or_default()).bind(page(limit));
        let query = match (&filter.workflow_id, kind) {
            (Some(workflow_id), kind) => query.bind(workflow_id).bind(kind),
            (None, Some(kind)) => query.bind(kind),
            (None, None) => query,
        };
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list triggers", e))?;
        rows.iter().map(trigger_row).collect()
    }

    /// All triggers of a workflow, in the order in which they were made.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn triggers_of(&self, workflow_id: &str) -> Result<Vec<TriggerRow>, StoreError> {
        let rows = sqlx::query(queries::TRIGGERS_OF_WORKFLOW).bind(workflow_id).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("list triggers of a workflow", e))?.iter().map(trigger_row).collect()
    }

    /// The schedules that are due at `now`, those that have waited longest first, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn triggers_due(&self, now: Timestamp, limit: u32) -> Result<Vec<TriggerRow>, StoreError> {
        let rows = sqlx::query(queries::TRIGGERS_DUE).bind(now.0).bind(limit).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("list due triggers", e))?.iter().map(trigger_row).collect()
    }

    /// When the next schedule is due.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(queries::NEXT_DUE).fetch_one(&self.inner.readers).await;
        Columns::new(&row.map_err(|e| database("find the next due trigger", e))?, "a time").time_or_none()
    }

    /// Lets a trigger start things again; a schedule goes on after now, with `next_at`. Writes `audit` if it was off, and
    /// tells whether it was.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn enable_trigger(
        &self,
        id: &str,
        next_at: Option<Timestamp>,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write_triggers(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::ENABLE_TRIGGER).bind(now().0).bind(next_at.map(|at| at.0)).bind(&id);
                let done = query.execute(&mut *connection).await.map_err(|e| database("enable a trigger", e))?;
                switched(connection, done.rows_affected(), audit).await
            })
        })
        .await
    }

    /// Keeps a trigger from starting things; what it queued is skipped. Writes `audit` if it was on, and tells whether it
    /// was.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn disable_trigger(&self, id: &str, audit: AuditEntry) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write_triggers(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::DISABLE_TRIGGER).bind(&id);
                let done = query.execute(&mut *connection).await.map_err(|e| database("disable a trigger", e))?;
                publish::skip_queued(connection, &id, "disabled").await?;
                switched(connection, done.rows_affected(), audit).await
            })
        })
        .await
    }
}

async fn switched(connection: &mut sqlx::SqliteConnection, rows: u64, entry: AuditEntry) -> Result<bool, StoreError> {
    if rows > 0 {
        audit::record(connection, &[entry]).await?;
    }
    Ok(rows > 0)
}

fn trigger_row(row: &SqliteRow) -> Result<TriggerRow, StoreError> {
    let mut columns = Columns::new(row, "a trigger");
    Ok(TriggerRow {
        id: columns.text()?,
        workflow_id: columns.text()?,
        workflow_name: columns.text()?,
        workflow_active: columns.next()?,
        version: columns.number()?,
        key: columns.text()?,
        trigger_type: columns.word(&TriggerType::ALL, TriggerType::as_str)?,
        config: columns.json()?,
        path: columns.text_or_none()?,
        enabled: columns.next()?,
        written: columns.next()?,
        cursor_at: columns.time_or_none()?,
        next_at: columns.time_or_none()?,
        last_at: columns.time_or_none()?,
        fired: columns.number()?,
        skipped: columns.number()?,
        failed: columns.number()?,
        created_at: columns.time()?,
    })
}
