//! Triggers: listed, shown, switched, started by hand.

use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_engine::{definition::TriggerType, id::Timestamp, json::Json as Document};

use super::{executions::accepted, workflows::PageQuery};
use crate::{
    driver::Companions,
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, Problem},
        query::{Names, Paging, Query, uuid},
        view::{OccurrenceView, Page, Time, TriggerView},
    },
    store::{Companion, OccurrenceRow, TriggerFilter, TriggerRow},
};

/// Instants of a schedule where the client says nothing, and the most of them.
const NEXT_DEFAULT: usize = 10;
const NEXT_MAX: usize = 100;

/// Which triggers to list. Everything that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those of this workflow: its id or name.
    workflow: Option<String>,
    /// Only those of this type: `manual`, `cron`, `webhook`, `event`, `agent_completion`.
    r#type: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// How many instants to tell.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NextQuery {
    /// 1 to 100, default 10.
    n: Option<usize>,
}

/// The next instants of a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NextView {
    /// In the order of time; none of a trigger that is no schedule.
    items: Vec<Time>,
}

/// What to start a workflow with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FireBody {
    /// The workflow's input. Default: what the schedule gives, or `{}`.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    input_data: Option<Document>,
}

/// Lists the triggers of live workflows, in the order in which they were made.
#[utoipa::path(get, path = "/api/triggers", tag = "triggers", params(ListQuery),
    responses((status = 200, description = "a page of triggers", body = Page<TriggerView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<TriggerView>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let after = paging.cursor(uuid)?;
    let workflow_id = match query.workflow {
        Some(workflow) => Some(app.workflow(&workflow).await?.row.id.to_string()),
        None => None,
    };
    let filter = TriggerFilter { workflow_id, trigger_type: trigger_type(query.r#type.as_deref())? };
    let rows = app.store.triggers(&filter, after.as_deref(), limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.id.to_string(), TriggerView::from)))
}

fn trigger_type(name: Option<&str>) -> Result<Option<TriggerType>, ApiError> {
    let Some(name) = name else { return Ok(None) };
    let known = TriggerType::ALL.into_iter().find(|known| known.as_str() == name);
    let names = || TriggerType::ALL.map(TriggerType::as_str).join(", ");
    known.map(Some).ok_or_else(|| ApiError::query("type", format!("it must be one of {}", names())))
}

/// Shows a trigger.
#[utoipa::path(get, path = "/api/triggers/{trigger}", tag = "triggers", params(("trigger" = String, Path, description = "its id")),
    responses((status = 200, description = "the trigger", body = TriggerView)))]
pub(crate) async fn show(State(app): State<App>, Names(trigger): Names<String>) -> Result<Json<TriggerView>, ApiError> {
    Ok(Json(found(&app, &trigger).await?.into()))
}

/// Lets a trigger start things again. A schedule goes on after now; what it missed stays missed.
#[utoipa::path(post, path = "/api/triggers/{trigger}/enable", tag = "triggers", params(("trigger" = String, Path, description = "its id")),
    responses((status = 200, description = "it is enabled", body = TriggerView)))]
pub(crate) async fn enable(
    State(app): State<App>,
    act: Act,
    Names(trigger): Names<String>,
) -> Result<Json<TriggerView>, ApiError> {
    let trigger = found(&app, &trigger).await?;
    app.workflow_to_change(&act, &trigger.workflow_id).await?;
    app.triggers.enable(&trigger, act.done(&*trigger.id)).await?;
    Ok(Json(found(&app, &trigger.id).await?.into()))
}

/// Keeps a trigger from starting things, until somebody enables it or its author says so.
#[utoipa::path(post, path = "/api/triggers/{trigger}/disable", tag = "triggers", params(("trigger" = String, Path, description = "its id")),
    responses((status = 200, description = "it is disabled", body = TriggerView)))]
pub(crate) async fn disable(
    State(app): State<App>,
    act: Act,
    Names(trigger): Names<String>,
) -> Result<Json<TriggerView>, ApiError> {
    let trigger = found(&app, &trigger).await?;
    app.workflow_to_change(&act, &trigger.workflow_id).await?;
    app.triggers.disable(&trigger, act.done(&*trigger.id)).await?;
    Ok(Json(found(&app, &trigger.id).await?.into()))
}

/// Starts a trigger's workflow now, whatever the trigger itself waits for, and though it is disabled.
#[utoipa::path(post, path = "/api/triggers/{trigger}/fire", tag = "triggers", params(("trigger" = String, Path, description = "its id")),
    request_body = FireBody,
    responses(
        (status = 202, description = "the execution runs", body = super::executions::Accepted),
        (status = 409, description = "the workflow is inactive", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn fire(
    State(app): State<App>,
    act: Act,
    Names(trigger): Names<String>,
    Fields(body): Fields<FireBody>,
) -> Result<Response, ApiError> {
    let trigger = found(&app, &trigger).await?;
    let entry = act.done(&*trigger.id);
    let audit = Companions::new(move |execution_id| {
        let details = serde_json::json!({ "execution_id": execution_id });
        vec![Companion::Audit(entry.clone().with(details))]
    });
    let fired = app.triggers.fire_by_hand(&trigger, body.input_data, &act.actor(), audit).await?;
    Ok(accepted(fired.execution_id))
}

/// Lists what a trigger had reason to start, and what became of it, newest first.
#[utoipa::path(get, path = "/api/triggers/{trigger}/occurrences", tag = "triggers",
    params(("trigger" = String, Path, description = "its id"), PageQuery),
    responses((status = 200, description = "a page of occurrences", body = Page<OccurrenceView>)))]
pub(crate) async fn occurrences(
    State(app): State<App>,
    Names(trigger): Names<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<OccurrenceView>>, ApiError> {
    let paging = query.paging();
    let limit = paging.limit()?;
    let before = paging.cursor(position)?;
    let trigger = found(&app, &trigger).await?;
    let rows = app.store.occurrences(&trigger.id, before, limit + 1).await?;
    let cursor = |row: &OccurrenceRow| format!("{}.{}", row.at.0, row.key);
    Ok(Json(Page::new(rows, limit, cursor, OccurrenceView::from)))
}

/// Where a page of occurrences ended.
fn position(cursor: &str) -> Option<(Timestamp, &str)> {
    let (at, key) = cursor.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), key))
}

/// Tells when a schedule starts something next.
#[utoipa::path(get, path = "/api/triggers/{trigger}/next", tag = "triggers",
    params(("trigger" = String, Path, description = "its id"), NextQuery),
    responses((status = 200, description = "the next instants, were it enabled", body = NextView)))]
pub(crate) async fn next(
    State(app): State<App>,
    Names(trigger): Names<String>,
    Query(query): Query<NextQuery>,
) -> Result<Json<NextView>, ApiError> {
    let n = query.n.unwrap_or(NEXT_DEFAULT);
    if !(1..=NEXT_MAX).contains(&n) {
        return Err(ApiError::query("n", format!("it must be 1 to {NEXT_MAX}")));
    }
    let trigger = found(&app, &trigger).await?;
    Ok(Json(NextView { items: app.triggers.next(&trigger, n).into_iter().map(Time).collect() }))
}

async fn found(app: &App, id: &str) -> Result<TriggerRow, ApiError> {
    let missing = || ApiError::new(Code::TriggerNotFound, "there is no such trigger; GET /api/triggers lists them");
    let id = uuid(id).ok_or_else(missing)?;
    app.store.trigger(&id).await?.ok_or_else(missing)
}
