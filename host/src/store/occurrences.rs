//! Occurrences: one row for each time that a trigger had reason to start something, whatever became of it.

use std::sync::Arc;

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use weir_engine::id::Timestamp;

use super::{
    Companion, Store, StoreError,
    audit::{self, AuditEntry},
    batch::Rows,
    bulk::Statement,
    columns::{Columns, page, signed},
    error::database,
    now,
    queries::triggers as queries,
};

/// How long an occurrence is kept at least.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// How many are forgotten in one transaction: whoever writes meanwhile waits for it.
const FORGOTTEN: u64 = 1_000;

/// What became of an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OccurrenceStatus {
    /// It started an execution.
    Fired,
    /// It started nothing, as it should; `reason` says why.
    Skipped,
    /// It should have started something and did not; `reason` says why.
    Failed,
    /// It starts something when the trigger's running execution has ended.
    Queued,
}

impl OccurrenceStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Fired, Self::Skipped, Self::Failed, Self::Queued];

    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Queued => "queued",
        }
    }
}

/// An occurrence to write. A queued one that is there already takes over what this one says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOccurrence {
    /// The trigger.
    pub trigger_id: Arc<str>,
    /// What makes it one: the instant (RFC 3339), the delivery's id, the event's id.
    pub key: String,
    /// Of a schedule: the instant.
    pub scheduled_for: Option<Timestamp>,
    /// Of a row that stands for several that were skipped: the last of them.
    pub until_at: Option<Timestamp>,
    /// For how many it stands.
    pub count: u64,
    /// What became of it.
    pub status: OccurrenceStatus,
    /// Why it was skipped or failed: a word, then details after a colon.
    pub reason: Option<String>,
    /// What it started.
    pub execution_id: Option<Arc<str>>,
}

impl NewOccurrence {
    /// An occurrence that is one, and no more known about it.
    #[must_use]
    pub fn new(trigger_id: &Arc<str>, key: impl Into<String>, status: OccurrenceStatus) -> Self {
        Self {
            trigger_id: Arc::clone(trigger_id),
            key: key.into(),
            scheduled_for: None,
            until_at: None,
            count: 1,
            status,
            reason: None,
            execution_id: None,
        }
    }

    /// Binds it as a row of the bulk insertion.
    pub(super) fn bind<'q>(&self, query: Statement<'q>) -> Statement<'q> {
        query
            .bind(Arc::clone(&self.trigger_id))
            .bind(self.key.clone())
            .bind(self.scheduled_for.map(|at| at.0))
            .bind(self.until_at.map(|at| at.0))
            .bind(signed(self.count))
            .bind(self.status.as_str())
            .bind(self.reason.clone())
            .bind(self.execution_id.clone())
            .bind(now().0)
    }

    /// Adds it to the rows of a bulk statement.
    fn push(&self, rows: &mut Rows) -> Result<(), serde_json::Error> {
        let Self { trigger_id, key, scheduled_for, until_at, count, status, reason, execution_id } = self;
        let status = status.as_str();
        rows.push(&(trigger_id, key, scheduled_for, until_at, count, status, reason, execution_id, now()))
    }
}

/// What the occurrences among companions stand for.
pub(super) fn counts(companions: &[Companion]) -> Vec<(OccurrenceStatus, u64)> {
    let count = |companion: &Companion| match companion {
        Companion::Occurrence(new) => Some((new.status, new.count)),
        Companion::Audit(_)
        | Companion::IdempotencyKey(_)
        | Companion::LinkUsed(_)
        | Companion::Moved(_)
        | Companion::Delivery(_)
        | Companion::BusEvent(_)
        | Companion::Kv(_)
        | Companion::Drawn(_)
        | Companion::Descends { .. }
        | Companion::EffectBegun(_)
        | Companion::EffectEnded(_) => None,
    };
    companions.iter().filter_map(count).collect()
}

/// How far a schedule has come. It is not moved where it was changed or switched off since it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The trigger.
    pub trigger_id: Arc<str>,
    /// Where its cursor was when it was read.
    pub before: Option<Timestamp>,
    /// Every instant up to here has its occurrence.
    pub cursor_at: Timestamp,
    /// The first instant after that.
    pub next_at: Option<Timestamp>,
}

impl Moved {
    /// Adds it to the rows of a bulk statement.
    pub(super) fn push(&self, rows: &mut Rows) -> Result<(), serde_json::Error> {
        rows.push(&(&self.trigger_id, self.before, self.cursor_at, self.next_at))
    }
}

/// A stored occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OccurrenceRow {
    /// The trigger.
    pub trigger_id: Arc<str>,
    /// What makes it one.
    pub key: Arc<str>,
    /// Of a schedule: the instant.
    pub scheduled_for: Option<Timestamp>,
    /// Of a row that stands for several: the last of them.
    pub until_at: Option<Timestamp>,
    /// For how many it stands.
    pub count: u64,
    /// What became of it.
    pub status: OccurrenceStatus,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
    /// What it started.
    pub execution_id: Option<Arc<str>>,
    /// When it was written.
    pub at: Timestamp,
}

/// An execution that a schedule started and that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedOfSchedule {
    /// The execution.
    pub execution_id: Arc<str>,
    /// The trigger, where the log names it.
    pub trigger_id: Option<Arc<str>>,
}

impl Store {
    /// Writes occurrences that start nothing (yet), and how far schedules have come, in one transaction. One that is there
    /// already stays as it is, unless it is queued.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn record_occurrences(&self, new: &[NewOccurrence], moved: &[Moved]) -> Result<(), StoreError> {
        let unwritable =
            |e: serde_json::Error| StoreError::Corrupt { what: "an occurrence".to_owned(), reason: e.to_string() };
        let (mut occurrences, mut cursors) = (Rows::default(), Rows::default());
        new.iter().try_for_each(|new| new.push(&mut occurrences)).map_err(unwritable)?;
        moved.iter().try_for_each(|moved| moved.push(&mut cursors)).map_err(unwritable)?;
        let (occurrences, cursors) = (occurrences.finish(), cursors.finish());
        let write = self.write(move |connection| {
            Box::pin(async move {
                let failed = |e| database("write occurrences", e);
                let query = sqlx::query(queries::WRITE_OCCURRENCES).bind(occurrences);
                let written = query.execute(&mut *connection).await.map_err(failed)?.rows_affected();
                sqlx::query(queries::MOVE_TRIGGERS).bind(cursors).execute(connection).await.map_err(failed)?;
                Ok(written)
            })
        });
        let written = usize::try_from(write.await?).unwrap_or(usize::MAX);
        // Which ones were there already is not known; there is almost always only one.
        for new in new.iter().take(written) {
            self.inner.metrics.occurrences(new.status.as_str(), new.count);
        }
        Ok(())
    }

    /// Writes an occurrence that is refused, and `audit` with it; nothing if the occurrence is there already.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn record_refusal(&self, new: &NewOccurrence, audit: AuditEntry) -> Result<(), StoreError> {
        let unwritable =
            |e: serde_json::Error| StoreError::Corrupt { what: "an occurrence".to_owned(), reason: e.to_string() };
        let mut rows = Rows::default();
        new.push(&mut rows).map_err(unwritable)?;
        let rows = rows.finish();
        let write = self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(queries::WRITE_OCCURRENCES).bind(rows).execute(&mut *connection).await;
                let written = done.map_err(|e| database("write an occurrence", e))?.rows_affected();
                if written > 0 {
                    audit::record(connection, &[audit]).await?;
                }
                Ok(written > 0)
            })
        });
        if write.await? {
            self.inner.metrics.occurrences(new.status.as_str(), new.count);
        }
        Ok(())
    }

    /// One occurrence.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn occurrence(&self, trigger_id: &str, key: &str) -> Result<Option<OccurrenceRow>, StoreError> {
        let row = sqlx::query(queries::OCCURRENCE).bind(trigger_id).bind(key).fetch_optional(&self.inner.readers).await;
        row.map_err(|e| database("read an occurrence", e))?.as_ref().map(occurrence_row).transpose()
    }

    /// Occurrences of a trigger, newest first, older than `before` (its time and key), at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn occurrences(
        &self,
        trigger_id: &str,
        before: Option<(Timestamp, &str)>,
        limit: u32,
    ) -> Result<Vec<OccurrenceRow>, StoreError> {
        let (at, key) = before.unwrap_or((Timestamp(i64::MAX), ""));
        let query = sqlx::query(queries::OCCURRENCES).bind(trigger_id).bind(at.0).bind(key).bind(page(limit));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list occurrences", e))?;
        rows.iter().map(occurrence_row).collect()
    }

    /// The occurrence that a trigger has queued first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn queued_occurrence(&self, trigger_id: &str) -> Result<Option<OccurrenceRow>, StoreError> {
        let row = sqlx::query(queries::OCCURRENCE_QUEUED).bind(trigger_id).fetch_optional(&self.inner.readers).await;
        row.map_err(|e| database("read a queued occurrence", e))?.as_ref().map(occurrence_row).transpose()
    }

    /// The triggers that have queued something.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn triggers_with_queue(&self) -> Result<Vec<Arc<str>>, StoreError> {
        let rows = sqlx::query(queries::TRIGGERS_QUEUED).fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("list queued occurrences", e))?;
        rows.iter().map(|row| Columns::new(row, "a trigger").text()).collect()
    }

    /// Forgets occurrences that are older than 30 days and not queued; tells how many.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn forget_occurrences(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.0.saturating_sub(KEPT_MS * 1_000);
        let mut all = 0;
        loop {
            let write = self.write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(queries::FORGET_OCCURRENCES).bind(before).bind(signed(FORGOTTEN));
                    let done = query.execute(connection).await.map_err(|e| database("forget occurrences", e))?;
                    Ok(done.rows_affected())
                })
            });
            let forgotten = write.await?;
            all += forgotten;
            if forgotten < FORGOTTEN {
                return Ok(all);
            }
        }
    }

    /// Every execution that a schedule started and that has not ended.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unfinished_of_schedules(&self) -> Result<Vec<UnfinishedOfSchedule>, StoreError> {
        let rows = sqlx::query(queries::UNFINISHED_OF_SCHEDULES).fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("list unfinished executions", e))?;
        let unfinished = |row| {
            let mut columns = Columns::new(row, "an unfinished execution");
            Ok(UnfinishedOfSchedule { execution_id: columns.text()?, trigger_id: columns.text_or_none()? })
        };
        rows.iter().map(unfinished).collect()
    }
}

fn occurrence_row(row: &SqliteRow) -> Result<OccurrenceRow, StoreError> {
    let mut columns = Columns::new(row, "an occurrence");
    Ok(OccurrenceRow {
        trigger_id: columns.text()?,
        key: columns.text()?,
        scheduled_for: columns.time_or_none()?,
        until_at: columns.time_or_none()?,
        count: columns.number()?,
        status: columns.word(&OccurrenceStatus::ALL, OccurrenceStatus::as_str)?,
        reason: columns.next()?,
        execution_id: columns.text_or_none()?,
        at: columns.time()?,
    })
}
