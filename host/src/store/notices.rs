//! What people are told about questions. Rows are written together with their question; sending comes later, and never
//! holds the question up.

use std::sync::Arc;

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use weir_engine::id::{CallId, Timestamp};

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    columns::{Columns, page, signed},
    error::database,
    now, queries,
};

/// The most notices of one question: more reminders are refused.
pub const NOTICES_MAX: u32 = 100;

/// Why a notice is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The question was asked.
    Requested,
    /// Somebody wants an answer at last.
    Reminder,
}

impl NoticeKind {
    /// The kind as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Reminder => "reminder",
        }
    }
}

/// How a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeStatus {
    /// It is to be sent, or tried again.
    Pending,
    /// It was sent; in the inbox it is from the beginning.
    Sent,
    /// It was given up.
    Dead,
    /// The question was closed before it was sent.
    Withdrawn,
}

impl NoticeStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sent, Self::Dead, Self::Withdrawn];

    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Dead => "dead",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What names a notice: its question, and which notice of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeId {
    /// The execution that asks.
    pub execution_id: Arc<str>,
    /// The question.
    pub call: CallId,
    /// Which notice of it, from 0.
    pub ordinal: u32,
}

impl std::fmt::Display for NoticeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.execution_id, self.call, self.ordinal)
    }
}

/// A notice.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeRow {
    /// What names it.
    pub id: NoticeId,
    /// Where it goes.
    pub channel: Arc<str>,
    /// Why.
    pub kind: NoticeKind,
    /// How it stands.
    pub status: NoticeStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Option<Timestamp>,
    /// Why the last try failed.
    pub last_error: Option<Arc<str>>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
}

impl NoticeRow {
    /// The channel that needs no sending: the list of open questions.
    pub const UI: &str = "ui";
}

/// What came of asking for a reminder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reminded {
    /// So many notices were written.
    Notices(u32),
    /// The question is not open.
    Closed,
    /// There are [`NOTICES_MAX`] notices already.
    TooOften,
}

impl Store {
    /// Notices in one status, or all of them, newest questions first, before `before`, at most `limit` and never more
    /// than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn notices(
        &self,
        status: Option<NoticeStatus>,
        before: Option<&NoticeId>,
        limit: u32,
    ) -> Result<Vec<NoticeRow>, StoreError> {
        // Ids are hexadecimal: `g` comes after all of them.
        let (id, call, ordinal) =
            before.map_or(("g", 0, 0), |id| (&*id.execution_id, signed(id.call.0), i64::from(id.ordinal)));
        let text = status.map_or(queries::NOTICES, |_| queries::NOTICES_BY_STATUS);
        let mut query = sqlx::query(text).bind(id).bind(call).bind(ordinal).bind(page(limit));
        if let Some(status) = status {
            query = query.bind(status.as_str());
        }
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list notices", e))?;
        rows.iter().map(notice_row).collect()
    }

    /// Notices that are to be sent by now, the longest due first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn notices_due(&self, now: Timestamp, limit: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let query = sqlx::query(queries::NOTICES_DUE).bind(now.0).bind(page(limit));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list due notices", e))?;
        rows.iter().map(notice_row).collect()
    }

    /// When the next notice is to be sent.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(queries::NEXT_NOTICE);
        let next = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read the next notice", e))?;
        Ok(next.map(Timestamp))
    }

    /// Resolves once there may be a new notice to send. One that came in before is not missed.
    pub async fn notice_written(&self) {
        self.inner.notices.notified().await;
    }

    /// Writes down how a notice stands after it was tried.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn update_notice(&self, row: NoticeRow) -> Result<(), StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::UPDATE_NOTICE)
                    .bind(row.status.as_str())
                    .bind(row.attempts)
                    .bind(row.next_at.map(|at| at.0))
                    .bind(row.last_error.as_deref())
                    .bind(row.sent_at.map(|at| at.0))
                    .bind(row.id.execution_id.as_ref())
                    .bind(signed(row.id.call.0))
                    .bind(row.id.ordinal);
                query.execute(connection).await.map_err(|e| database("update a notice", e))?;
                Ok(())
            })
        })
        .await
    }

    /// Tries a notice again that was given up; tells whether there was one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn retry_notice(&self, id: NoticeId, audit: AuditEntry) -> Result<bool, StoreError> {
        let retried = self
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(queries::RETRY_NOTICE).bind(now().0).bind(id.execution_id.as_ref());
                    let query = query.bind(signed(id.call.0)).bind(id.ordinal);
                    let done = query.execute(&mut *connection).await.map_err(|e| database("retry a notice", e))?;
                    if done.rows_affected() > 0 {
                        audit::record(connection, &[audit]).await?;
                    }
                    Ok(done.rows_affected() > 0)
                })
            })
            .await?;
        self.inner.notices.notify_one();
        Ok(retried)
    }

    /// Tells people about an open question once more, over these channels.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn remind(
        &self,
        execution_id: Arc<str>,
        call: CallId,
        channels: Vec<String>,
        audit: AuditEntry,
    ) -> Result<Reminded, StoreError> {
        let reminded = self
            .write(move |connection| {
                Box::pin(async move {
                    let reminded = write_reminders(connection, &execution_id, call, &channels).await?;
                    if matches!(reminded, Reminded::Notices(_)) {
                        audit::record(connection, &[audit]).await?;
                    }
                    Ok(reminded)
                })
            })
            .await?;
        self.inner.notices.notify_one();
        Ok(reminded)
    }
}

async fn write_reminders(
    connection: &mut SqliteConnection,
    execution_id: &str,
    call: CallId,
    channels: &[String],
) -> Result<Reminded, StoreError> {
    let query = sqlx::query_scalar::<_, i64>(queries::NOTICE_COUNT).bind(execution_id).bind(signed(call.0));
    let count = query.fetch_optional(&mut *connection).await.map_err(|e| database("count notices", e))?;
    let Some(count) = count else { return Ok(Reminded::Closed) };
    let room = i64::from(NOTICES_MAX) - count;
    let new = u32::try_from(channels.len()).unwrap_or(u32::MAX);
    if i64::from(new) > room {
        return Ok(Reminded::TooOften);
    }
    for (ordinal, channel) in (count..).zip(channels) {
        let is_ui = channel == NoticeRow::UI;
        let status = if is_ui { NoticeStatus::Sent } else { NoticeStatus::Pending };
        let at = now().0;
        let query = sqlx::query(queries::INSERT_REMINDER).bind(execution_id).bind(signed(call.0)).bind(ordinal);
        let query = query.bind(channel).bind(NoticeKind::Reminder.as_str()).bind(status.as_str());
        let query = query.bind((!is_ui).then_some(at)).bind(at).bind(is_ui.then_some(at));
        query.execute(&mut *connection).await.map_err(|e| database("write a reminder", e))?;
    }
    Ok(Reminded::Notices(new))
}

const KINDS: [NoticeKind; 2] = [NoticeKind::Requested, NoticeKind::Reminder];

fn notice_row(row: &SqliteRow) -> Result<NoticeRow, StoreError> {
    let mut columns = Columns::new(row, "a notice");
    Ok(NoticeRow {
        id: NoticeId { execution_id: columns.text()?, call: columns.call()?, ordinal: columns.number()? },
        channel: columns.text()?,
        kind: columns.word(&KINDS, NoticeKind::as_str)?,
        status: columns.word(&NoticeStatus::ALL, NoticeStatus::as_str)?,
        attempts: columns.number()?,
        next_at: columns.time_or_none()?,
        last_error: columns.text_or_none()?,
        created_at: columns.time()?,
        sent_at: columns.time_or_none()?,
    })
}
