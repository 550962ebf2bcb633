//! Notices as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::store::NoticeRow;

/// What people were told about a question, or are to be told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NoticeView {
    /// Its id: the question's, a dot and a number.
    pub id: String,
    /// The question's id.
    pub approval_id: String,
    /// The channel.
    pub channel: String,
    /// `requested` or `reminder`.
    pub kind: &'static str,
    /// `pending`, `sent`, `dead` or `withdrawn`.
    pub status: &'static str,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Option<Time>,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it was sent.
    pub sent_at: Option<Time>,
}

impl From<NoticeRow> for NoticeView {
    fn from(row: NoticeRow) -> Self {
        Self {
            id: row.id.to_string(),
            approval_id: format!("{}.{}", row.id.execution_id, row.id.call),
            channel: row.channel.as_ref().to_owned(),
            kind: row.kind.as_str(),
            status: row.status.as_str(),
            attempts: row.attempts,
            next_at: row.next_at.map(Time),
            last_error: row.last_error.as_deref().map(str::to_owned),
            created_at: Time(row.created_at),
            sent_at: row.sent_at.map(Time),
        }
    }
}
