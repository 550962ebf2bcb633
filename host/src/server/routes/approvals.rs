//! Questions to people: listed and answered.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use weir_engine::{id::CallId, json::Json as Document};

use super::workflows::PageQuery;
use crate::{
    driver::{Answer, DecideError},
    server::{
        App,
        body::Fields,
        error::{ApiError, Code, FieldProblem, Problem},
        query::{Names, Paging, Query, execution_id, uuid},
        schemas,
        view::{ApprovalView, DecisionView, Page},
    },
    store::{ApprovalFilter, ApprovalRow, ApprovalStatus, PAGE_MAX},
};

/// Who decides where there is only one token.
const ADMIN: &str = "admin";
/// The most bytes of a comment.
const COMMENT_BYTES_MAX: usize = 16 * 1024;

/// Which open questions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those of this workflow: its id or name.
    workflow: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An answer to a question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// The option that is chosen; needed where the step offers options.
    #[serde(default)]
    option_id: Option<String>,
    /// Words to go with it.
    #[serde(default)]
    comment: Option<String>,
    /// The form's data; it must satisfy the step's `form_schema`.
    #[serde(default)]
    #[schema(value_type = Value)]
    data: Option<Document>,
    /// Which question; needed where several are open.
    #[serde(default)]
    approval_id: Option<u64>,
}

/// A decision that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Approved {
    /// The question.
    approval_id: u64,
    /// The execution that goes on.
    execution_id: String,
    /// The answer.
    decision: DecisionView,
}

/// Lists open questions, newest first.
#[utoipa::path(get, path = "/api/approvals", tag = "approvals", params(ListQuery),
    responses((status = 200, description = "a page of open questions", body = Page<ApprovalView>)))]
pub async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Json<Page<ApprovalView>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(read_cursor)?;
    let workflow_id = match query.workflow {
        Some(workflow) => Some(app.current.get(&app.store, &workflow).await?.row.id.to_string()),
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
pub async fn list_of_execution(
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
pub async fn approve(
    State(app): State<App>,
    Names(execution): Names<String>,
    Fields(body): Fields<ApproveBody>,
) -> Result<Json<Approved>, ApiError> {
    let id = execution_id(&execution)?;
    let approval = asked(&app, &id, body.approval_id).await?;
    check(&approval, &body)?;
    let answer = Answer {
        approval_id: Some(approval.call.0),
        option_id: body.option_id,
        comment: body.comment,
        data: body.data,
        decided_by: ADMIN.to_owned(),
    };
    match app.driver.decide(&id, answer).await {
        Ok((call, decision)) => {
            Ok(Json(Approved { approval_id: call, execution_id: id, decision: decision.into() }))
        }
        Err(DecideError::Store(error)) => Err(error.into()),
        Err(error) => Err(lost(&app, &id, approval.call, error).await),
    }
}

/// The open question that is meant.
async fn asked(app: &App, id: &str, approval_id: Option<u64>) -> Result<ApprovalRow, ApiError> {
    super::executions::existing(app, id).await?;
    if let Some(call) = approval_id {
        let missing = || ApiError::new(Code::ApprovalNotFound, format!("the execution has no approval {call}"));
        let row = app.store.approval(id, CallId(call)).await?.ok_or_else(missing)?;
        return if row.status == ApprovalStatus::Pending { Ok(row) } else { Err(closed(row)) };
    }
    let (mut open, last) = open_approvals(app, id).await?;
    match (open.len(), last) {
        (1, _) => Ok(open.remove(0)),
        (0, Some(last)) => Err(closed(last)),
        (0, None) => Err(ApiError::new(Code::ApprovalNotFound, "the execution asks nobody; GET its steps to see what it does")),
        (count, _) => {
            let views: Vec<_> = open.into_iter().take(100).map(ApprovalView::from).collect();
            let detail = format!("{count} questions are open: send the approval_id of the one that you answer");
            Err(ApiError::new(Code::ApprovalAmbiguous, detail).with_details(json!({ "approvals": views })))
        }
    }
}

/// The open questions of an execution, and the last one that was closed.
async fn open_approvals(app: &App, id: &str) -> Result<(Vec<ApprovalRow>, Option<ApprovalRow>), ApiError> {
    let (mut open, mut last, mut after) = (Vec::new(), None, CallId(0));
    loop {
        let page = app.store.approvals_of(id, after, PAGE_MAX).await?;
        let Some(end) = page.last() else { return Ok((open, last)) };
        after = end.call;
        for row in page {
            if row.status == ApprovalStatus::Pending {
                open.push(row);
            } else {
                last = Some(row);
            }
        }
    }
}

/// Why a question takes no answer any more.
fn closed(row: ApprovalRow) -> ApiError {
    let view = ApprovalView::from(row);
    let detail = match view.decision.as_ref() {
        Some(decision) => format!(
            "approval {} was decided at {} by {}: {}",
            view.approval_id,
            decision.decided_at,
            decision.decided_by,
            decision.option_id.as_deref().unwrap_or("answered")
        ),
        None => format!("approval {} is closed: it is {}", view.approval_id, view.status),
    };
    ApiError::new(Code::AlreadyDecided, detail).with_details(json!({ "approval": view }))
}

/// The answer came second: tells what came first.
async fn lost(app: &App, id: &str, call: CallId, error: DecideError) -> ApiError {
    match app.store.approval(id, call).await {
        Ok(Some(row)) if row.status != ApprovalStatus::Pending => closed(row),
        Ok(_) => ApiError::new(Code::AlreadyDecided, format!("the answer was not taken: {error}")),
        Err(error) => error.into(),
    }
}

/// Whether an answer is one that the question allows.
fn check(approval: &ApprovalRow, body: &ApproveBody) -> Result<(), ApiError> {
    let request = approval.request.value();
    let mut problems = Vec::new();
    problems.extend(option_problem(request, body.option_id.as_deref()));
    if body.comment.as_ref().is_some_and(|comment| comment.len() > COMMENT_BYTES_MAX) {
        let message = format!("the comment has more than {COMMENT_BYTES_MAX} bytes");
        problems.push(FieldProblem::new("/comment", "too_long", message));
    }
    problems.extend(data_problems(request, body.data.as_ref()));
    if problems.is_empty() {
        return Ok(());
    }
    let detail = format!("the answer was not taken: {}", problems[0].message);
    Err(ApiError::new(Code::InvalidDecision, detail).with_errors(problems))
}

fn option_problem(request: &Value, option: Option<&str>) -> Option<FieldProblem> {
    let options = request.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<&str> = options.iter().filter_map(|option| option.get("id")?.as_str()).collect();
    let message = match option {
        Some(option) if ids.contains(&option) => return None,
        None if ids.is_empty() => return None,
        Some(_) if ids.is_empty() => "the step offers no options; leave option_id out".to_owned(),
        Some(_) => format!("there is no such option; choose one of {}", ids.join(", ")),
        None => format!("option_id is missing; choose one of {}", ids.join(", ")),
    };
    Some(FieldProblem::new("/option_id", "unknown_option", message))
}

fn data_problems(request: &Value, data: Option<&Document>) -> Vec<FieldProblem> {
    let Some(schema) = request.get("form_schema").filter(|schema| !schema.is_null()) else { return Vec::new() };
    // A form that cannot be compiled was refused when the workflow was saved.
    let Ok(validator) = schemas::compile(schema) else { return Vec::new() };
    schemas::problems(&validator, data.map_or(&Value::Null, Document::value), "/data")
}
