//! The predecessor's API, for clients that exist: its paths and its flat field names, over the handlers of the noun that
//! is meant. Lists are bare arrays, and what is cancelled is called `stopped`.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{approvals, executions, webhooks, workflows};
use crate::server::{
    App,
    act::Act,
    body::{DefinitionBody, Fields},
    error::{ApiError, Problem},
    gate::Who,
    query::{Names, Query},
    view::{ExecutionSummary, ExecutionView, StepView, UsageView, WorkflowView},
};

/// How many items to list. Other parameters of old clients are let pass.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Items: 1 to 199, default 50.
    limit: Option<u32>,
}

/// What was used, in flat fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlatUsage {
    /// Model requests.
    usage_requests: u64,
    /// Tokens sent to models.
    usage_input_tokens: u64,
    /// Tokens that models answered with.
    usage_output_tokens: u64,
    /// Tool calls.
    usage_tool_calls: u64,
    /// What the model requests cost, in US dollars.
    estimated_cost_dollars: f64,
}

impl From<UsageView> for FlatUsage {
    fn from(used: UsageView) -> Self {
        Self {
            usage_requests: used.requests,
            usage_input_tokens: used.input_tokens,
            usage_output_tokens: used.output_tokens,
            usage_tool_calls: used.tool_calls,
            estimated_cost_dollars: used.estimated_cost_dollars,
        }
    }
}

/// `stopped` for what is cancelled; every other status is called the same.
fn old_status(status: &str) -> &str {
    if status == "cancelled" { "stopped" } else { status }
}

/// A view with its usage in flat fields, its status as it was called, and its error as a text.
fn flat(view: impl Serialize, usage: UsageView) -> Result<Value, ApiError> {
    let mut value = serde_json::to_value(view).map_err(ApiError::internal)?;
    let Value::Object(used) = serde_json::to_value(FlatUsage::from(usage)).map_err(ApiError::internal)? else {
        return Ok(value);
    };
    if let Some(fields) = value.as_object_mut() {
        fields.remove("usage");
        fields.extend(used);
    }
    value["status"] = old_status(value["status"].as_str().unwrap_or_default()).into();
    value["error"] = value["error"]["message"].clone();
    Ok(value)
}

/// A workflow whose definition's fields stand beside its own.
fn flat_workflow(view: &WorkflowView) -> Value {
    let mut value = view.definition.value().clone();
    let summary = &view.summary;
    value["id"] = summary.id.clone().into();
    value["name"] = summary.name.clone().into();
    value["description"] = summary.description.clone().into();
    value["is_active"] = summary.active.into();
    value["version"] = summary.version.into();
    value["created_at"] = summary.created_at.to_string().into();
    value["updated_at"] = summary.updated_at.to_string().into();
    value
}

/// Lists workflows by name.
#[utoipa::path(get, path = "/agents/workflows", tag = "agents", params(ListQuery),
    responses((status = 200, description = "workflows", body = Vec<Object>)))]
pub(crate) async fn workflows(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let page = workflows::page(&app, query.limit).await?;
    let mut found = Vec::with_capacity(page.items.len());
    for summary in page.items {
        let Json(view) = workflows::show(State(app.clone()), Names(summary.id)).await?;
        found.push(flat_workflow(&view));
    }
    Ok(Json(found))
}

/// Saves a new workflow.
#[utoipa::path(post, path = "/agents/workflows", tag = "agents",
    request_body(description = "the definition", content((Object = "application/json"))),
    responses((status = 201, description = "it is saved", body = Object)))]
pub(crate) async fn create_workflow(
    State(app): State<App>,
    act: Act,
    DefinitionBody(definition): DefinitionBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let saved = workflows::saved(&app, &act, definition).await?;
    Ok((StatusCode::CREATED, Json(flat_workflow(&saved.workflow))))
}

/// Shows a workflow.
#[utoipa::path(get, path = "/agents/workflows/{workflow}", tag = "agents", params(("workflow" = String, Path, description = "its id or name")),
    responses((status = 200, description = "the workflow", body = Object)))]
pub(crate) async fn workflow(State(app): State<App>, workflow: Names<String>) -> Result<Json<Value>, ApiError> {
    let Json(view) = workflows::show(State(app), workflow).await?;
    Ok(Json(flat_workflow(&view)))
}

/// Saves a changed definition as the next version.
#[utoipa::path(put, path = "/agents/workflows/{workflow}", tag = "agents", params(("workflow" = String, Path, description = "its id or name")),
    request_body(description = "the definition", content((Object = "application/json"))),
    responses((status = 200, description = "it is saved", body = Object)))]
pub(crate) async fn update_workflow(
    State(app): State<App>,
    act: Act,
    workflow: Names<String>,
    definition: DefinitionBody,
) -> Result<Json<Value>, ApiError> {
    let query = Query(workflows::UpdateQuery::default());
    let Json(saved) = workflows::update(State(app), act, workflow, query, definition).await?;
    Ok(Json(flat_workflow(&saved.workflow)))
}

/// Deletes a workflow.
#[utoipa::path(delete, path = "/agents/workflows/{workflow}", tag = "agents", params(("workflow" = String, Path, description = "its id or name")),
    responses((status = 204, description = "it is deleted")))]
pub(crate) async fn delete_workflow(
    State(app): State<App>,
    act: Act,
    workflow: Names<String>,
) -> Result<StatusCode, ApiError> {
    workflows::delete(State(app), act, workflow).await
}

/// Starts an execution of a workflow.
#[utoipa::path(post, path = "/agents/workflows/{workflow}/execute", tag = "agents",
    params(("workflow" = String, Path, description = "its id or name")), request_body = executions::ExecuteBody,
    responses((status = 202, description = "it runs", body = executions::Accepted)))]
pub(crate) async fn execute(
    State(app): State<App>,
    act: Act,
    workflow: Names<String>,
    headers: HeaderMap,
    body: Fields<executions::ExecuteBody>,
) -> Result<Response, ApiError> {
    let query = Query(executions::ExecuteQuery::default());
    executions::execute(State(app), act, workflow, query, headers, body).await
}

/// Lists the executions of a workflow, newest first.
#[utoipa::path(get, path = "/agents/workflows/{workflow}/executions", tag = "agents",
    params(("workflow" = String, Path, description = "its id or name"), ListQuery),
    responses((status = 200, description = "executions", body = Vec<Object>)))]
pub(crate) async fn executions_of_workflow(
    State(app): State<App>,
    workflow: Names<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let query = Query(workflows::PageQuery { limit: query.limit, cursor: None });
    let Json(page) = executions::list_of_workflow(State(app), workflow, query).await?;
    let flat_summary = |summary: ExecutionSummary| {
        let usage = summary.usage;
        flat(summary, usage)
    };
    page.items.into_iter().map(flat_summary).collect::<Result<_, _>>().map(Json)
}

/// Shows an execution with its documents.
#[utoipa::path(get, path = "/agents/workflows/executions/{execution}", tag = "agents", params(("execution" = String, Path, description = "its id")),
    responses((status = 200, description = "the execution", body = Object)))]
pub(crate) async fn execution(State(app): State<App>, execution: Names<String>) -> Result<Json<Value>, ApiError> {
    let Json(view) = executions::show(State(app), execution).await?;
    let ExecutionView { summary: ExecutionSummary { usage, .. }, .. } = &view;
    let usage = *usage;
    flat(view, usage).map(Json)
}

/// Lists the visits of an execution's steps.
#[utoipa::path(get, path = "/agents/workflows/executions/{execution}/steps", tag = "agents",
    params(("execution" = String, Path, description = "its id"), ListQuery),
    responses((status = 200, description = "steps", body = Vec<Object>)))]
pub(crate) async fn steps(
    State(app): State<App>,
    execution: Names<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let query = Query(workflows::PageQuery { limit: query.limit, cursor: None });
    let Json(page) = executions::steps(State(app), execution, query).await?;
    let flat_step = |step: StepView| {
        let usage = step.usage.total;
        flat(step, usage)
    };
    page.items.into_iter().map(flat_step).collect::<Result<_, _>>().map(Json)
}

/// Stops an execution.
#[utoipa::path(post, path = "/agents/workflows/executions/{execution}/stop", tag = "agents", params(("execution" = String, Path, description = "its id")),
    request_body = executions::CancelBody,
    responses((status = 200, description = "it is stopped", body = Object)))]
pub(crate) async fn stop(
    State(app): State<App>,
    act: Act,
    execution: Names<String>,
    body: Fields<executions::CancelBody>,
) -> Result<Json<Value>, ApiError> {
    let Json(cancelled) = executions::cancel(State(app), act, execution, body).await?;
    let mut value = serde_json::to_value(cancelled).map_err(ApiError::internal)?;
    value["status"] = "stopped".into();
    Ok(Json(value))
}

/// An answer to the one question that is open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveBody {
    /// The option that is chosen.
    #[serde(default)]
    option_id: Option<String>,
    /// Words to go with it.
    #[serde(default)]
    comment: Option<String>,
}

/// Answers the question of an execution, which goes on with it.
#[utoipa::path(post, path = "/agents/workflows/executions/{execution}/approve", tag = "agents",
    params(("execution" = String, Path, description = "its id")), request_body = ApproveBody,
    responses((status = 200, description = "the answer counts", body = Object)))]
pub(crate) async fn approve(
    State(app): State<App>,
    who: Who,
    act: Act,
    execution: Names<String>,
    Fields(body): Fields<ApproveBody>,
) -> Result<Json<Value>, ApiError> {
    let answer = approvals::ApproveBody { option_id: body.option_id, comment: body.comment, ..Default::default() };
    let Json(approved) = approvals::approve(State(app), who, act, execution, Fields(answer)).await?;
    let approved = serde_json::to_value(approved).map_err(ApiError::internal)?;
    Ok(Json(json!({ "execution_id": approved["execution_id"], "status": "running", "decision": approved["decision"] })))
}

/// Starts an execution by a request from outside, as `POST /webhooks/{path}` does.
#[utoipa::path(post, path = "/agents/webhooks/{path}", tag = "agents",
    params(("path" = String, Path, description = "the path of the trigger, slashes included")),
    request_body(description = "the input", content((Object = "application/json"), (Object = "application/x-www-form-urlencoded"), (String = "text/plain"))),
    responses(
        (status = 200, description = "the workflow's output, a copy, or filtered", body = webhooks::ReceivedView),
        (status = 202, description = "an execution runs, and is durable", body = webhooks::ReceivedView),
        (status = 401, description = "not proved", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn webhook(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    webhooks::receive_below("/agents/webhooks/", &app, request).await
}
