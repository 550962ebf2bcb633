//! Questions to people.

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use weir_engine::{
    approvers::Approvers,
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
    /// SHA-256 of it, in hex.
    pub request_digest: Arc<str>,
    /// Who may decide now.
    pub approvers: Approvers,
    /// The person who started the execution, where a person did.
    pub requester: Option<Arc<str>>,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it lapses.
    pub due: Option<Timestamp>,
    /// When it stopped being pending.
    pub closed_at: Option<Timestamp>,
    /// The answer.
    pub decision: Option<Decision>,
}

/// Which questions to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Those of this workflow.
    pub workflow_id: Option<String>,
    /// Those that this person may decide.
    pub mine: Option<Mine>,
    /// Those whose time was up by then, pending or lapsed; else pending ones, whatever their time.
    pub overdue_at: Option<Timestamp>,
}

/// Somebody whose questions are looked for.
#[derive(Debug, Clone)]
pub struct Mine {
    /// The person.
    pub person: String,
    /// Their roles; `None` for somebody who may decide whatever the question names.
    pub roles: Option<Vec<&'static str>>,
}

impl Store {
    /// Questions that `filter` lets pass, newest first, before `before` (the last one of the page before), at most `limit`
    /// and never more than [`PAGE_MAX`](super::PAGE_MAX). Pending ones; where overdue ones are asked for, those that
    /// lapsed too, by the time at which they were due.
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
                Some(row) if filter.overdue_at.is_some() => (row.due.map_or(i64::MAX, |due| due.0), id, call),
                Some(row) => (row.requested_at.0, id, call),
                None => return Ok(Vec::new()),
            },
        };
        let person = filter.mine.as_ref().map(|mine| mine.person.as_str());
        let roles = filter.mine.as_ref().and_then(|mine| mine.roles.as_ref()).map(|roles| serde_json::json!(roles));
        let text = match (&filter.overdue_at, &filter.workflow_id) {
            (Some(_), _) => queries::APPROVALS_OVERDUE,
            (None, Some(_)) => queries::APPROVALS_PENDING_BY_WORKFLOW,
            (None, None) => queries::APPROVALS_PENDING,
        };
        let mut query = sqlx::query(text).bind(time).bind(id).bind(signed(call.0)).bind(page(limit));
        query = query.bind(person).bind(roles.map(|roles| roles.to_string()));
        if filter.workflow_id.is_some() || filter.overdue_at.is_some() {
            query = query.bind(filter.workflow_id.as_deref());
        }
        if let Some(at) = filter.overdue_at {
            query = query.bind(at.0);
        }
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list approvals", e))?;
        rows.iter().map(approval_row).collect()
    }

    /// What people answered to one question, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn decisions_of(&self, execution_id: &str, call: CallId) -> Result<Vec<Decision>, StoreError> {
        let query = sqlx::query(queries::DECISIONS_OF).bind(execution_id).bind(signed(call.0));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list decisions", e))?;
        rows.iter().map(|row| Columns::new(row, "a decision").json()).collect()
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
        request_digest: columns.text()?,
        approvers: columns.json()?,
        requester: columns.text_or_none()?,
        requested_at: columns.time()?,
        due: columns.time_or_none()?,
        closed_at: columns.time_or_none()?,
        decision: columns.json_or_none()?,
    })
}
