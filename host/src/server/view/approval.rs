//! Questions to people as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::{approvers::Approvers, event::Decision, json::Json};

use super::Time;
use crate::store::ApprovalRow;

/// A question that a human step asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Its id: `EXECUTION.NUMBER`.
    pub id: String,
    /// Its number within its execution: send it as `approval_id` where several are open.
    pub approval_id: u64,
    /// The execution that waits.
    pub execution_id: String,
    /// The workflow.
    pub workflow_id: String,
    /// The workflow's name when the execution started.
    pub workflow_name: String,
    /// The step.
    pub step_id: String,
    /// The visit's place.
    pub path: String,
    /// `pending`, `decided`, `lapsed` or `withdrawn`.
    pub status: &'static str,
    /// What to show: notification, options, form_schema, approvers.
    #[schema(value_type = Object)]
    pub request: Json,
    /// SHA-256 of the request, in hex: send it with the answer, so that it counts for nothing else.
    pub request_digest: String,
    /// Who may decide now.
    pub approvers: ApproversView,
    /// The person who started the execution, where a person did.
    pub requester: Option<String>,
    /// When it was asked.
    pub requested_at: Time,
    /// When it lapses.
    pub due: Option<Time>,
    /// When it stopped being pending.
    pub closed_at: Option<Time>,
    /// The answer.
    pub decision: Option<DecisionView>,
}

/// Who may decide a question, and how many it takes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApproversView {
    /// Whoever has one of these roles may.
    pub roles: Vec<String>,
    /// Whoever has one of these names may. Where nobody is named at all, every approver may.
    pub users: Vec<String>,
    /// How many different people must choose the same option.
    pub quorum: u32,
    /// Whether the person who started the execution may decide, too.
    pub requester_may_decide: bool,
}

/// A question with everything that was answered to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovalDetail {
    /// The question.
    #[serde(flatten)]
    pub approval: ApprovalView,
    /// Every person's answer, in order; the last one of a decided question decided it.
    pub decisions: Vec<DecisionView>,
}

/// A person's answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DecisionView {
    /// The option that was chosen.
    pub option_id: Option<String>,
    /// Words to go with it.
    pub comment: Option<String>,
    /// The form's data.
    #[schema(value_type = Value)]
    pub data: Option<Json>,
    /// Who decided.
    pub decided_by: String,
    /// When.
    pub decided_at: String,
    /// SHA-256, in hex, of what the person was shown.
    pub request_digest: Option<String>,
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        let Decision { option_id, comment, data, decided_by, decided_at, request_digest } = decision;
        Self { option_id, comment, data, decided_by, decided_at, request_digest }
    }
}

impl From<Approvers> for ApproversView {
    fn from(approvers: Approvers) -> Self {
        let Approvers { roles, users, quorum, requester_may_decide } = approvers;
        Self { roles, users, quorum, requester_may_decide }
    }
}

impl From<ApprovalRow> for ApprovalView {
    fn from(row: ApprovalRow) -> Self {
        Self {
            id: format!("{}.{}", row.execution_id, row.call),
            approval_id: row.call.0,
            execution_id: row.execution_id.as_ref().to_owned(),
            workflow_id: row.workflow_id.as_ref().to_owned(),
            workflow_name: row.workflow_name.as_ref().to_owned(),
            step_id: row.step_id.as_ref().to_owned(),
            path: row.path.as_ref().to_owned(),
            status: row.status.as_str(),
            request: row.request,
            request_digest: row.request_digest.as_ref().to_owned(),
            approvers: row.approvers.into(),
            requester: row.requester.as_deref().map(str::to_owned),
            requested_at: Time(row.requested_at),
            due: row.due.map(Time),
            closed_at: row.closed_at.map(Time),
            decision: row.decision.map(Into::into),
        }
    }
}
