//! Questions to people.

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use weir_engine::{
    event::Decision,
    id::{CallId, Timestamp},
    json::Json,
};

use super::{
    Store, StoreError,
    columns::{Columns, page, signed},
    error::database,
    queries,
};

/// How a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApprovalStatus {
    /// Nobody has answered yet.
    Pending,
    /// It was answered.
    Decided,
    /// Nobody answered in time.
    Lapsed,
    /// The step was given up before anyone answered.
    Withdrawn,
}

impl ApprovalStatus {
    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Decided => "decided",
            Self::Lapsed => "lapsed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A question to a person. `(execution_id, call)` names it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRow {
    /// The execution.
    pub execution_id: Arc<str>,
    /// The visit of the human step.
    pub call: CallId,
    /// The workflow.
    pub workflow_id: Arc<str>,
    /// The workflow's name when the execution started.
    pub workflow_name: Arc<str>,
    /// The step's id.
    pub step_id: Arc<str>,
    /// The visit's place for people.
    pub path: Arc<str>,
    /// How it stands.
    pub status: ApprovalStatus,
    /// What the person is shown.
    pub request: Json,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it lapses.
    pub due: Option<Timestamp>,
    /// When it stopped being pending.
    pub closed_at: Option<Timestamp>,
    /// The answer.
    pub decision: Option<Decision>,
}

/// Which pending questions to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Those of this workflow.
    pub workflow_id: Option<String>,
}

impl Store {
    /// Pending questions, newest first, older than `before` (the last one of the page before), at most `limit` and
    /// never more than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pending_approvals(
        &self,
        filter: &ApprovalFilter,
        before: Option<(&str, CallId)>,
        limit: u32,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let (time, id, call) = match before {
            None => (i64::MAX, "", CallId(0)),
            Some((id, call)) => match self.approval(id, call).await? {
                Some(approval) => (approval.requested_at.0, id, call),
                None => return Ok(Vec::new()),
            },
        };
        let listed = filter.workflow_id.as_ref();
        let text = listed.map_or(queries::APPROVALS_PENDING, |_| queries::APPROVALS_PENDING_BY_WORKFLOW);
        let mut query = sqlx::query(text).bind(time).bind(id).bind(signed(call.0)).bind(page(limit));
        if let Some(workflow_id) = listed {
            query = query.bind(workflow_id);
        }
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list approvals", e))?;
        rows.iter().map(approval_row).collect()
    }

    /// Questions of one execution in whatever status, oldest first, after `after`, at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn approvals_of(
        &self,
        execution_id: &str,
        after: CallId,
        limit: u32,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let query = sqlx::query(queries::APPROVALS_OF).bind(execution_id).bind(signed(after.0)).bind(page(limit));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list approvals", e))?;
        rows.iter().map(approval_row).collect()
    }

    /// One question.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn approval(&self, execution_id: &str, call: CallId) -> Result<Option<ApprovalRow>, StoreError> {
        let query = sqlx::query(queries::APPROVAL).bind(execution_id).bind(signed(call.0));
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read an approval", e))?;
        row.as_ref().map(approval_row).transpose()
    }
}

const STATUSES: [ApprovalStatus; 4] =
    [ApprovalStatus::Pending, ApprovalStatus::Decided, ApprovalStatus::Lapsed, ApprovalStatus::Withdrawn];

fn approval_row(row: &SqliteRow) -> Result<ApprovalRow, StoreError> {
    let mut columns = Columns::new(row, "an approval");
    Ok(ApprovalRow {
        execution_id: columns.text()?,
        call: columns.call()?,
        workflow_id: columns.text()?,
        workflow_name: columns.text()?,
        step_id: columns.text()?,
        path: columns.text()?,
        status: columns.word(&STATUSES, ApprovalStatus::as_str)?,
        request: columns.json()?,
        requested_at: columns.time()?,
        due: columns.time_or_none()?,
        closed_at: columns.time_or_none()?,
        decision: columns.json_or_none()?,
    })
}
