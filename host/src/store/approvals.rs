//! Questions to people.

use std::sync::Arc;

use weir_engine::{
    event::Decision,
    id::{CallId, Timestamp},
    json::Json,
};

use super::{Store, StoreError};

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
        drop((filter, before, limit, &self.inner));
        unimplemented!()
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
        drop((execution_id, after, limit, &self.inner));
        unimplemented!()
    }

    /// One question.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn approval(&self, execution_id: &str, call: CallId) -> Result<Option<ApprovalRow>, StoreError> {
        drop((execution_id, call, &self.inner));
        unimplemented!()
    }
}
