//! Why an answer to a question was not taken.

use serde_json::json;
use weir_engine::id::CallId;

use crate::{
    driver::{DecideError, SignalError},
    schema::SchemaProblem,
    server::{
        App,
        error::{ApiError, Code, FieldProblem},
        view::{ApprovalView, DecisionView},
    },
    store::{ApprovalRow, ApprovalStatus, PAGE_MAX},
};

/// What was tried, and is refused.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    /// The execution.
    pub(super) id: &'a str,
    /// The question, where one was named.
    pub(super) asked: Option<CallId>,
}

impl Refusal<'_> {
    /// The problem to answer with; where somebody came second, with what came first.
    pub(super) async fn of(self, app: &App, error: DecideError) -> ApiError {
        match error {
            DecideError::Signal(SignalError::Ended(_)) | DecideError::NothingAsked | DecideError::NotOpen(_) => {
                self.first_answer(app, &error).await.unwrap_or_else(|error| error)
            }
            DecideError::Signal(error) => error.into(),
            DecideError::Several(ref open) => {
                let open: Vec<_> =
                    open.iter().take(100).map(|(call, path)| json!({ "approval_id": call, "path": path })).collect();
                ApiError::new(Code::ApprovalAmbiguous, error.to_string()).with_details(json!({ "approvals": open }))
            }
            DecideError::Unfit(ref problems) => {
                let problem =
                    |p: &SchemaProblem| FieldProblem::new(p.field.clone(), "invalid_decision", p.message.clone());
                let problems = problems.iter().map(problem).collect();
                ApiError::new(Code::InvalidDecision, error.to_string()).with_errors(problems)
            }
            DecideError::NotAllowed(_) => ApiError::new(Code::Forbidden, error.to_string()),
            DecideError::Voted(call, ref vote) => {
                let vote = DecisionView::from((**vote).clone());
                ApiError::new(Code::AlreadyDecided, error.to_string())
                    .with_details(json!({ "approval_id": call, "decision": vote }))
            }
            DecideError::Changed(ref digest) => ApiError::new(Code::ApprovalChanged, error.to_string())
                .with_details(json!({ "request_digest": digest })),
        }
    }

    /// The problem of an answer to a question that is not open: the question as it was closed, if there was one.
    async fn first_answer(&self, app: &App, error: &DecideError) -> Result<ApiError, ApiError> {
        super::executions::existing(app, self.id).await?;
        let closed = match self.asked {
            Some(call) => app.store.approval(self.id, call).await?,
            None => last_closed(app, self.id).await?,
        };
        let Some(row) = closed else {
            return Ok(ApiError::new(Code::ApprovalNotFound, error.to_string()));
        };
        let view = ApprovalView::from(row);
        Ok(ApiError::new(Code::AlreadyDecided, closed_words(&view)).with_details(json!({ "approval": view })))
    }
}

/// How a question was closed, in words.
pub(super) fn closed_words(view: &ApprovalView) -> String {
    match view.decision.as_ref() {
        Some(decision) => format!(
            "approval {} was decided at {} by {}: {}",
            view.approval_id,
            decision.decided_at,
            decision.decided_by,
            decision.option_id.as_deref().unwrap_or("answered")
        ),
        None => format!("approval {} takes no answer any more: it is {}", view.approval_id, view.status),
    }
}

/// The question of an execution that was closed last.
async fn last_closed(app: &App, id: &str) -> Result<Option<ApprovalRow>, ApiError> {
    let (mut last, mut after) = (None, CallId(0));
    loop {
        let page = app.store.approvals_of(id, after, PAGE_MAX).await?;
        let Some(end) = page.last() else { return Ok(last) };
        after = end.call;
        last = page.into_iter().rfind(|row| row.status != ApprovalStatus::Pending).or(last);
    }
}
