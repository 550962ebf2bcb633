//! Questions to people: listed, shown and answered.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_engine::{approvers::person, id::CallId, json::Json as Document};

use super::{approval_refusal::Refusal, workflows::PageQuery};
use crate::{
    driver::Answer,
    identity::{Principal, Role},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, Problem},
        gate::Who,
        query::{Names, Paging, Query, approval_id, execution_id, read_approval_id},
        view::{ApprovalDetail, ApprovalView, DecisionView, Page},
    },
    store::{self, ApprovalFilter, ApprovalRow, Companion, Mine},
};

/// Which questions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those of this workflow: its id or name.
    workflow: Option<String>,
    /// Only those that whoever asks may decide, and has not answered yet.
    #[serde(default)]
    mine: bool,
    /// Those whose time was up and that nobody decided, lapsed ones too; the latest first.
    #[serde(default)]
    overdue: bool,
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
    /// `request_digest` of the question as it was shown: the answer counts for that one alone.
    #[serde(default)]
    pub(super) request_digest: Option<String>,
    /// Which question, by its number; needed where several are open.
    #[serde(default)]
    pub(super) approval_id: Option<u64>,
}

/// An answer that counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Approved {
    /// The question's number; null for a pause at a limit.
    approval_id: Option<u64>,
    /// The execution that goes on.
    execution_id: String,
    /// Whether that decided it; else it waits for more people.
    decided: bool,
    /// How many more people must choose the same.
    missing: u32,
    /// The answer.
    decision: DecisionView,
}

/// Lists open questions, newest first.
#[utoipa::path(get, path = "/api/approvals", tag = "approvals", params(ListQuery),
    responses((status = 200, description = "a page of open questions", body = Page<ApprovalView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Who(who): Who,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ApprovalView>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(read_approval_id)?;
    let workflow_id = match query.workflow {
        Some(workflow) => Some(app.workflow(&workflow).await?.row.id.to_string()),
        None => None,
    };
    if query.mine && !who.may(Role::Approver) {
        return Ok(Json(Page { items: Vec::new(), next_cursor: None }));
    }
    let mine = query.mine.then(|| mine(&who));
    let filter = ApprovalFilter { workflow_id, mine, overdue_at: query.overdue.then(store::now) };
    let before = before.as_ref().map(|(execution, call)| (execution.as_str(), *call));
    let rows = app.store.pending_approvals(&filter, before, limit + 1).await?;
    let cursor = |row: &ApprovalRow| format!("{}.{}", row.execution_id, row.call);
    Ok(Json(Page::new(rows, limit, cursor, ApprovalView::from)))
}

fn mine(who: &Principal) -> Mine {
    let roles = || who.roles.iter().map(Role::as_str).collect();
    let roles = (!who.roles.contains(Role::Admin)).then(roles);
    Mine { person: person(&who.actor()).to_owned(), roles }
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

/// Shows one question with everything that was answered to it.
#[utoipa::path(get, path = "/api/approvals/{approval}", tag = "approvals",
    params(("approval" = String, Path, description = "its id")),
    responses((status = 200, description = "the question", body = ApprovalDetail)))]
pub(crate) async fn show(
    State(app): State<App>,
    Names(approval): Names<String>,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let row = existing(&app, &approval).await?;
    let decisions = app.store.decisions_of(&row.execution_id, row.call).await?;
    let decisions = decisions.into_iter().map(DecisionView::from).collect();
    Ok(Json(ApprovalDetail { approval: row.into(), decisions }))
}

/// The question with this id.
pub(super) async fn existing(app: &App, approval: &str) -> Result<ApprovalRow, ApiError> {
    let (execution, call) = approval_id(approval)?;
    let row = app.store.approval(&execution, call).await?;
    row.ok_or_else(|| ApiError::new(Code::ApprovalNotFound, format!("there is no approval {execution}.{call}")))
}

/// Answers a question of an execution, which goes on with it. The first answer counts.
#[utoipa::path(post, path = "/api/executions/{execution}/approve", tag = "approvals", params(("execution" = String, Path, description = "its id")),
    request_body = ApproveBody,
    responses(
        (status = 200, description = "the answer counts", body = Approved),
        (status = 409, description = "it was decided before (with the first decision), several questions are open, it is not what was shown, or the execution has ended",
            body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn approve(
    State(app): State<App>,
    Who(who): Who,
    act: Act,
    Names(execution): Names<String>,
    Fields(body): Fields<ApproveBody>,
) -> Result<Json<Approved>, ApiError> {
    let id = execution_id(&execution)?;
    answer(&app, &who, &act, id, body).await
}

/// Answers one question; the execution goes on with it. The first decision counts.
#[utoipa::path(post, path = "/api/approvals/{approval}/approve", tag = "approvals", params(("approval" = String, Path, description = "its id")),
    request_body = ApproveBody,
    responses(
        (status = 200, description = "the answer counts", body = Approved),
        (status = 409, description = "it was decided before (with the first decision), or it is not what was shown",
            body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn approve_one(
    State(app): State<App>,
    Who(who): Who,
    act: Act,
    Names(approval): Names<String>,
    Fields(body): Fields<ApproveBody>,
) -> Result<Json<Approved>, ApiError> {
    let (id, call) = approval_id(&approval)?;
    answer(&app, &who, &act, id, ApproveBody { approval_id: Some(call.0), ..body }).await
}

async fn answer(
    app: &App,
    who: &Principal,
    act: &Act,
    id: String,
    body: ApproveBody,
) -> Result<Json<Approved>, ApiError> {
    let asked = body.approval_id.map(CallId);
    let object = asked.map_or_else(|| id.clone(), |call| format!("{id}.{call}"));
    let entry = act.done(object).with(serde_json::json!({ "option_id": body.option_id }));
    let answer = Answer {
        approval_id: asked,
        option_id: body.option_id,
        comment: body.comment,
        data: body.data,
        decided_by: who.clone(),
        invited: false,
        request_digest: body.request_digest,
        companions: vec![Companion::Audit(entry)],
    };
    match app.driver.decide(&id, answer).await {
        Ok(answered) => Ok(Json(Approved {
            approval_id: answered.approval_id.map(|call| call.0),
            execution_id: id,
            decided: answered.missing == 0,
            missing: answered.missing,
            decision: answered.decision.into(),
        })),
        Err(error) => Err(Refusal { id: &id, asked }.of(app, error).await),
    }
}
