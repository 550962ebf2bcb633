//! Questions to people: listed and answered.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use weir_engine::{id::CallId, json::Json as Document};

use super::workflows::PageQuery;
use crate::{
    driver::{Answer, DecideError, SignalError},
    schema::SchemaProblem,
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, FieldProblem, Problem},
        query::{Names, Paging, Query, execution_id, uuid},
        view::{ApprovalView, DecisionView, Page},
    },
    store::{ApprovalFilter, ApprovalRow, ApprovalStatus, Companion, PAGE_MAX},
};

/// Which open questions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those of this workflow: its id or name.
    workflow: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An answer to a question of a human step, or to a pause at a limit (option `raise` with the new guardrails as data, or
/// `stop`).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveBody {
    /// The option that is chosen; needed where the step offers options.
    #[serde(default)]
    pub(super) option_id: Option<String>,
    /// Words to go with it.
    #[serde(default)]
    pub(super) comment: Option<String>,
    /// The form's data; it must satisfy the step's `form_schema`.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub(super) data: Option<Document>,
    /// Which question; needed where several are open.
    #[serde(default)]
    pub(super) approval_id: Option<u64>,
}

/// A decision that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Approved {
    /// The question; null for a pause at a limit.
    approval_id: Option<u64>,
    /// The execution that goes on.
    execution_id: String,
    /// The answer.
    decision: DecisionView,
}

/// Lists open questions, newest first.
#[utoipa::path(get, path = "/api/approvals", tag = "approvals", params(ListQuery),
    responses((status = 200, description = "a page of open questions", body = Page<ApprovalView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ApprovalView>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(read_cursor)?;
    let workflow_id = match query.workflow {
        Some(workflow) => Some(app.workflow(&workflow).await?.row.id.to_string()),
        None => None,
    };
    let before = before.as_ref().map(|(execution, call)| (execution.as_str(), *call));
    let rows = app.store.pending_approvals(&ApprovalFilter { workflow_id }, before, limit + 1).await?;
    let cursor = |row: &ApprovalRow| format!("{}.{}", row.execution_id, row.call);
    Ok(Json(Page::new(rows, limit, cursor, ApprovalView::from)))
}

/// Lists the questions of an execution, oldest first, answered ones too.
#[utoipa::path(get, path = "/api/executions/{execution}/approvals", tag = "approvals",
    params(("execution" = String, Path, description = "its id"), PageQuery),
    responses((status = 200, description = "a page of questions", body = Page<ApprovalView>)))]
pub(crate) async fn list_of_execution(
    State(app): State<App>,
    Names(execution): Names<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ApprovalView>>, ApiError> {
    let id = execution_id(&execution)?;
    let paging = query.paging();
    let limit = paging.limit()?;
    let after = paging.cursor(|cursor| cursor.parse().ok())?.map_or(CallId(0), CallId);
    super::executions::existing(&app, &id).await?;
    let rows = app.store.approvals_of(&id, after, limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.call.to_string(), ApprovalView::from)))
}

fn read_cursor(cursor: &str) -> Option<(String, CallId)> {
    let (execution, call) = cursor.split_once('.')?;
    Some((uuid(execution)?, CallId(call.parse().ok()?)))
}

/// Answers a question of an execution, which goes on with it. The first answer counts.
#[utoipa::path(post, path = "/api/executions/{execution}/approve", tag = "approvals", params(("execution" = String, Path, description = "its id")),
    request_body = ApproveBody,
    responses(
        (status = 200, description = "the answer counts", body = Approved),
        (status = 409, description = "it was decided before (with the first decision), several questions are open, or the execution has ended",
            body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn approve(
    State(app): State<App>,
    act: Act,
    Names(execution): Names<String>,
    Fields(body): Fields<ApproveBody>,
) -> Result<Json<Approved>, ApiError> {
    let id = execution_id(&execution)?;
    let answer = Answer {
        approval_id: body.approval_id.map(CallId),
        option_id: body.option_id,
        comment: body.comment,
        data: body.data,
        decided_by: act.actor(),
        companions: vec![Companion::Audit(act.done(&id))],
    };
    match app.driver.decide(&id, answer).await {
        Ok(answered) => Ok(Json(Approved {
            approval_id: answered.approval_id.map(|call| call.0),
            execution_id: id,
            decision: answered.decision.into(),
        })),
        Err(error) => Err(refused(&app, &id, body.approval_id.map(CallId), error).await),
    }
}

/// Why an answer was not taken; where it came second, with what came first.
async fn refused(app: &App, id: &str, asked: Option<CallId>, error: DecideError) -> ApiError {
    match error {
        DecideError::Signal(SignalError::Ended(_)) | DecideError::NothingAsked | DecideError::NotOpen(_) => {
            first_answer(app, id, asked, &error).await.unwrap_or_else(|error| error)
        }
        DecideError::Signal(error) => error.into(),
        DecideError::Several(ref open) => {
            let open: Vec<_> =
                open.iter().take(100).map(|(call, path)| json!({ "approval_id": call, "path": path })).collect();
            ApiError::new(Code::ApprovalAmbiguous, error.to_string()).with_details(json!({ "approvals": open }))
        }
        DecideError::Unfit(ref problems) => {
            let problem = |p: &SchemaProblem| FieldProblem::new(p.field.clone(), "invalid_decision", p.message.clone());
            ApiError::new(Code::InvalidDecision, error.to_string()).with_errors(problems.iter().map(problem).collect())
        }
    }
}

/// The problem of an answer to a question that is not open: the question as it was closed, if there was one.
async fn first_answer(app: &App, id: &str, asked: Option<CallId>, error: &DecideError) -> Result<ApiError, ApiError> {
    super::executions::existing(app, id).await?;
    let closed = match asked {
        Some(call) => app.store.approval(id, call).await?,
        None => last_closed(app, id).await?,
    };
    let Some(row) = closed else {
        return Ok(ApiError::new(Code::ApprovalNotFound, error.to_string()));
    };
    let view = ApprovalView::from(row);
    let detail = match view.decision.as_ref() {
        Some(decision) => format!(
            "approval {} was decided at {} by {}: {}",
            view.approval_id,
            decision.decided_at,
            decision.decided_by,
            decision.option_id.as_deref().unwrap_or("answered")
        ),
        None => format!("approval {} takes no answer any more: it is {}", view.approval_id, view.status),
    };
    Ok(ApiError::new(Code::AlreadyDecided, detail).with_details(json!({ "approval": view })))
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
