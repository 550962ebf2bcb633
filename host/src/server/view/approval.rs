//! Questions to people as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::{event::Decision, json::Json};

use super::Time;
use crate::store::ApprovalRow;

/// A question that a human step asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Its id within its execution: send it as `approval_id` where several are open.
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
    /// When it was asked.
    pub requested_at: Time,
    /// When it lapses.
    pub due: Option<Time>,
    /// When it stopped being pending.
    pub closed_at: Option<Time>,
    /// The answer.
    pub decision: Option<DecisionView>,
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
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        let Decision { option_id, comment, data, decided_by, decided_at } = decision;
        Self { option_id, comment, data, decided_by, decided_at }
    }
}

impl From<ApprovalRow> for ApprovalView {
    fn from(row: ApprovalRow) -> Self {
        Self {
            approval_id: row.call.0,
            execution_id: row.execution_id.as_ref().to_owned(),
            workflow_id: row.workflow_id.as_ref().to_owned(),
            workflow_name: row.workflow_name.as_ref().to_owned(),
            step_id: row.step_id.as_ref().to_owned(),
            path: row.path.as_ref().to_owned(),
            status: row.status.as_str(),
            request: row.request,
            requested_at: Time(row.requested_at),
            due: row.due.map(Time),
            closed_at: row.closed_at.map(Time),
            decision: row.decision.map(Into::into),
        }
    }
}
