//! Executions: started, listed, shown, watched, cancelled.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_engine::{event::StepType, execution::Status, id::Seq, json::Json as Document};

use super::workflows::PageQuery;
use crate::{
    driver::{Companions, Compiled, StartAnswer, StartError, StartExecution},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, Problem},
        guardrails::{self, Guardrails},
        idempotency::{self, Key},
        live,
        query::{Names, Paging, Query, execution_id, instant, uuid},
        schemas,
        view::{ExecutionSummary, ExecutionView, Page, StepView},
    },
    spans::{TRACEPARENT, TraceParent},
    store::{Companion, ExecutionFilter, ExecutionRow, StepCursor, WorkflowVersion},
};

/// The longest that an answer waits for the end of an execution, in seconds.
const WAIT_SECONDS_MAX: f64 = 60.0;
/// The most bytes of a reason.
const REASON_BYTES_MAX: usize = 16 * 1024;

/// How to answer.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExecuteQuery {
    /// Seconds to wait for the end, at most 60: the answer is then the finished execution.
    wait: Option<f64>,
}

/// What to run a workflow with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecuteBody {
    /// The workflow's input; it must satisfy its `input_schema`. Default: `{}`.
    #[serde(default)]
    #[schema(value_type = Value)]
    input_data: Option<Document>,
    /// Limits that tighten the workflow's own.
    #[serde(default)]
    #[schema(value_type = Option<Guardrails>)]
    guardrails: Option<Document>,
}

/// An execution that was accepted: it is durable and will run to its end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Its id.
    #[schema(value_type = String)]
    execution_id: Arc<str>,
    /// How it stands.
    status: &'static str,
    /// Where to look.
    message: &'static str,
}

/// Starts an execution of a workflow.
#[utoipa::path(post, path = "/api/workflows/{workflow}/execute", tag = "executions",
    params(("workflow" = String, Path, description = "its id or name"), ExecuteQuery,
        ("idempotency-key" = Option<String>, Header, description = "names this start: however often it is sent, it starts one \
            execution, and later answers say `idempotent-replayed: true`; kept for a day at least"),
        ("traceparent" = Option<String>, Header, description = "the caller's span (W3C Trace Context): where the host tells \
            OpenTelemetry what executions do, this one's spans stand below it; a workflow sees it as `$.trigger.traceparent`")),
    request_body = ExecuteBody,
    responses(
        (status = 200, description = "it has ended within the wait", body = ExecutionView),
        (status = 202, description = "it runs", body = Accepted),
        (status = 409, description = "the workflow is inactive, or the first request with this key is being answered", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn execute(
    State(app): State<App>,
    act: Act,
    Names(workflow): Names<String>,
    Query(query): Query<ExecuteQuery>,
    headers: HeaderMap,
    Fields(body): Fields<ExecuteBody>,
) -> Result<Response, ApiError> {
    let wait = wait(query.wait)?;
    let input = body.input_data.unwrap_or_else(|| Document::from_value(serde_json::json!({})));
    let limits = body.guardrails.as_ref().map(Document::text).unwrap_or_default();
    let key = Key::of(&headers, &act.actor_id(), &[&workflow, input.text(), limits])?;
    let Some(key) = key else {
        let start = start(&app, &act, &workflow, input, body.guardrails.as_ref(), wait).await?;
        return Ok(shown(app.driver.start(traced(start, &headers)).await?));
    };
    let _held = key.hold(&app.in_flight)?;
    if let Some(execution_id) = key.started(&app.store).await? {
        return Ok(replayed(execution_id));
    }
    let mut start = start(&app, &act, &workflow, input, body.guardrails.as_ref(), wait).await?;
    let row = key.clone();
    start.companions = Companions::new(move |id| vec![Companion::IdempotencyKey(row.row(id))]);
    match app.driver.start(traced(start, &headers)).await {
        // The first answer never came, but its execution began.
        Err(StartError::Taken) => {
            let missing = || ApiError::internal(anyhow::anyhow!("a key is taken that nothing was started with"));
            Ok(replayed(key.started(&app.store).await?.ok_or_else(missing)?))
        }
        answer => Ok(shown(answer?)),
    }
}

/// What is to be started.
async fn start(
    app: &App,
    act: &Act,
    workflow: &str,
    input: Document,
    limits: Option<&Document>,
    wait: Option<Duration>,
) -> Result<StartExecution, ApiError> {
    let workflow = app.workflow(workflow).await?;
    if !workflow.row.active {
        let detail = format!("workflow {:?} is inactive; set active to true to run it", workflow.row.name);
        return Err(ApiError::new(Code::WorkflowInactive, detail));
    }
    let limits = guardrails::limits(limits)?;
    let trigger = Document::from_value(serde_json::json!({ "type": "manual", "started_by": act.actor() }));
    let compiled = app.driver.compiled(&workflow.version).await?;
    check_input(app, &workflow.version, &compiled, &input)?;
    let workflow = Arc::clone(&workflow.version);
    Ok(StartExecution { workflow, input, limits, trigger, companions: Companions::default(), wait })
}

/// The same start below the caller's span, if the caller tells of one.
fn traced(start: StartExecution, headers: &HeaderMap) -> StartExecution {
    let parent = headers.get(TRACEPARENT).and_then(|text| text.to_str().ok()?.parse::<TraceParent>().ok());
    let Some(parent) = parent else { return start };
    let mut trigger = start.trigger.value().clone();
    trigger[TRACEPARENT] = parent.to_string().into();
    StartExecution { trigger: Document::from_value(trigger), ..start }
}

fn shown(answer: StartAnswer) -> Response {
    match answer.finished {
        Some(finished) => Json(ExecutionView::new(finished.execution, finished.step_outputs)).into_response(),
        None => accepted(answer.execution_id),
    }
}

/// The answer to a request that was sent before.
fn replayed(execution_id: Arc<str>) -> Response {
    let mut response = accepted(execution_id);
    response.headers_mut().insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
    response
}

pub(super) fn accepted(execution_id: Arc<str>) -> Response {
    let message = "the execution is accepted and durable; GET /api/executions/{execution_id} shows how it stands";
    (StatusCode::ACCEPTED, Json(Accepted { execution_id, status: Status::Running.as_str(), message })).into_response()
}

fn wait(seconds: Option<f64>) -> Result<Option<Duration>, ApiError> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (0.0..=WAIT_SECONDS_MAX).contains(&seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
        Some(_) => Err(ApiError::query("wait", format!("it must be 0 to {WAIT_SECONDS_MAX} seconds"))),
    }
}

fn check_input(app: &App, version: &WorkflowVersion, compiled: &Compiled, input: &Document) -> Result<(), ApiError> {
    let problems = app.driver.input_problems(version, compiled, input);
    if problems.is_empty() {
        return Ok(());
    }
    let detail = format!("input_data does not satisfy the input_schema of workflow {:?}; see errors", version.name);
    Err(ApiError::new(Code::InvalidInput, detail).with_errors(schemas::in_body(
        problems,
        "/input_data",
        "schema_violation",
    )))
}

/// Which executions to list. Everything that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those that stand so: `running`, `awaiting_human`, `completed`, `failed`, `timeout`, `cancelled`.
    status: Option<String>,
    /// Only those of this workflow: its id or name.
    workflow: Option<String>,
    /// Only those that began at this time (RFC 3339) or later.
    since: Option<String>,
    /// Only those that began before this time (RFC 3339).
    until: Option<String>,
    /// Only those whose id begins so.
    search: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists executions, newest first.
#[utoipa::path(get, path = "/api/executions", tag = "executions", params(ListQuery),
    responses((status = 200, description = "a page of executions", body = Page<ExecutionSummary>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ExecutionSummary>>, ApiError> {
    let workflow_id = match query.workflow.as_deref() {
        // The id of a deleted workflow still finds its executions.
        Some(workflow) => match uuid(workflow) {
            Some(id) => Some(id),
            None => Some(app.workflow(workflow).await?.row.id.to_string()),
        },
        None => None,
    };
    page(&app, query, workflow_id).await
}

/// Lists the executions of a workflow, newest first.
#[utoipa::path(get, path = "/api/workflows/{workflow}/executions", tag = "executions",
    params(("workflow" = String, Path, description = "its id or name"), PageQuery),
    responses((status = 200, description = "a page of executions", body = Page<ExecutionSummary>)))]
pub(crate) async fn list_of_workflow(
    State(app): State<App>,
    Names(workflow): Names<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ExecutionSummary>>, ApiError> {
    let workflow = app.workflow(&workflow).await?;
    let query = ListQuery { limit: query.limit, cursor: query.cursor, ..ListQuery::default() };
    page(&app, query, Some(workflow.row.id.to_string())).await
}

async fn page(
    app: &App,
    query: ListQuery,
    workflow_id: Option<String>,
) -> Result<Json<Page<ExecutionSummary>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(uuid)?;
    let filter = ExecutionFilter {
        status: query.status.as_deref().map(status).transpose()?,
        workflow_id,
        since: instant("since", query.since.as_deref())?,
        until: instant("until", query.until.as_deref())?,
        id_prefix: query.search.map(id_prefix).transpose()?,
    };
    let rows = app.store.executions(&filter, before.as_deref(), limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.id.to_string(), ExecutionSummary::from)))
}

fn status(text: &str) -> Result<Status, ApiError> {
    const ALL: [Status; 7] = [
        Status::Pending,
        Status::Running,
        Status::AwaitingHuman,
        Status::Completed,
        Status::Failed,
        Status::Timeout,
        Status::Cancelled,
    ];
    let found = ALL.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| ApiError::query("status", format!("it must be one of {}", ALL.map(Status::as_str).join(", "))))
}

fn id_prefix(text: String) -> Result<String, ApiError> {
    let is_part = text.len() <= 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_part {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(ApiError::query("search", "it must be the beginning of an id"))
    }
}

/// Shows an execution with its documents.
#[utoipa::path(get, path = "/api/executions/{execution}", tag = "executions", params(("execution" = String, Path, description = "its id")),
    responses((status = 200, description = "the execution", body = ExecutionView)))]
pub(crate) async fn show(
    State(app): State<App>,
    Names(execution): Names<String>,
) -> Result<Json<ExecutionView>, ApiError> {
    let id = execution_id(&execution)?;
    let stored = app.store.execution_with_documents(&id).await?.ok_or_else(|| missing(&id))?;
    let outputs = app.store.step_outputs(&id).await?;
    Ok(Json(ExecutionView::new(stored, outputs)))
}

/// Lists the visits of an execution's steps, in the order in which they were reached.
#[utoipa::path(get, path = "/api/executions/{execution}/steps", tag = "executions",
    params(("execution" = String, Path, description = "its id"), PageQuery),
    responses((status = 200, description = "a page of steps", body = Page<StepView>)))]
pub(crate) async fn steps(
    State(app): State<App>,
    Names(execution): Names<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<StepView>>, ApiError> {
    let id = execution_id(&execution)?;
    let paging = query.paging();
    let limit = paging.limit()?;
    let after = paging.cursor(step_cursor)?.unwrap_or_default();
    existing(&app, &id).await?;
    let page = app.store.steps(&id, after, limit).await?;
    let next_cursor = page.next.map(|next| format!("{}.{}", next.call, next.ordinal));
    let agents = page.rows.iter().filter(|row| row.kind == Some(StepType::Agent)).map(|row| row.call);
    let models = match (agents.clone().min(), agents.max()) {
        (Some(first), Some(last)) => app.store.model_usage(&id, first, last).await?,
        (None, _) | (_, None) => Vec::new(),
    };
    let items = page.rows.into_iter().map(|row| StepView::from(row).with_models(&models)).collect();
    Ok(Json(Page { items, next_cursor }))
}

fn step_cursor(cursor: &str) -> Option<StepCursor> {
    let (call, ordinal) = cursor.split_once('.')?;
    Some(StepCursor { call: call.parse().ok()?, ordinal: ordinal.parse().ok()? })
}

/// How to tell the events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// `sse` (the default) for a stream that ends with the execution, `json` for a page of those that happened.
    format: Option<String>,
    /// Only those after this number; the header `last-event-id` says the same.
    after: Option<u64>,
    /// Items of a page of JSON: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before, for JSON.
    cursor: Option<String>,
}

/// Tells the events of an execution, from its history and live, without gaps; each has its number as id.
#[utoipa::path(get, path = "/api/executions/{execution}/events", tag = "executions",
    params(("execution" = String, Path, description = "its id"), EventsQuery,
        ("last-event-id" = Option<u64>, Header, description = "go on after this event")),
    responses(
        (status = 200, description = "the events", content((String = "text/event-stream"), (Page<live::EventView> = "application/json"))),
        (status = 204, description = "the execution has ended, and the client knows its last event"),
    ))]
pub(crate) async fn events(
    State(app): State<App>,
    Names(execution): Names<String>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = execution_id(&execution)?;
    let row = existing(&app, &id).await?;
    let after = after(&query, &headers)?;
    if wants_json(&query, &headers)? {
        let paging = Paging::new(query.limit, query.cursor);
        let after = paging.cursor(|cursor| cursor.parse::<Seq>().ok())?.unwrap_or(after);
        return live::page(&app, &id, after, paging.limit()?).await.map(|page| Json(page).into_response());
    }
    if row.status.is_final() && after >= row.last_seq {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    live::stream(app, id.into(), after)
}

fn after(query: &EventsQuery, headers: &HeaderMap) -> Result<Seq, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(query.after.unwrap_or(0)) };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok());
    seq.ok_or_else(|| ApiError::query("last-event-id", "it must be the number of an event"))
}

fn wants_json(query: &EventsQuery, headers: &HeaderMap) -> Result<bool, ApiError> {
    match query.format.as_deref() {
        Some("json") => Ok(true),
        Some("sse") => Ok(false),
        Some(_) => Err(ApiError::query("format", "it must be sse or json")),
        None => {
            let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            Ok(accept.starts_with("application/json"))
        }
    }
}

/// Why an execution is cancelled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelBody {
    /// The reason, in words.
    #[serde(default)]
    reason: Option<String>,
}

/// An execution that was told to stop.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cancelled {
    /// The execution.
    execution_id: String,
    /// How it stands.
    status: &'static str,
}

/// Cancels an execution: nothing more begins, and what runs is given up.
#[utoipa::path(post, path = "/api/executions/{execution}/cancel", tag = "executions", params(("execution" = String, Path, description = "its id")),
    request_body = CancelBody,
    responses(
        (status = 200, description = "it is cancelled", body = Cancelled),
        (status = 409, description = "it had ended", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn cancel(
    State(app): State<App>,
    act: Act,
    Names(execution): Names<String>,
    Fields(body): Fields<CancelBody>,
) -> Result<Json<Cancelled>, ApiError> {
    let id = execution_id(&execution)?;
    if body.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
        return Err(ApiError::new(Code::InvalidFields, format!("/reason: it has more than {REASON_BYTES_MAX} bytes")));
    }
    app.driver.cancel(&id, &act.actor(), body.reason, vec![Companion::Audit(act.done(&id))]).await?;
    Ok(Json(Cancelled { execution_id: id, status: Status::Cancelled.as_str() }))
}

/// The row of an execution that must exist.
pub(super) async fn existing(app: &App, id: &str) -> Result<ExecutionRow, ApiError> {
    app.store.execution(id).await?.ok_or_else(|| missing(id))
}

fn missing(id: &str) -> ApiError {
    ApiError::new(Code::ExecutionNotFound, format!("there is no execution {id}; GET /api/executions lists them"))
}
