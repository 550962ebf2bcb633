//! What agents did in steps.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    server::{
        App,
        error::{ApiError, Code},
        query::{Names, Paging, Query, execution_id},
        view::{EffectView, StepView, TranscriptView, WaitingView},
    },
    store::{ApprovalStatus, StepRow},
};

/// The most bytes of a step's path or id.
const STEP_BYTES_MAX: usize = 4 * 1024;
/// The most questions of an execution that are looked through.
const QUESTIONS_MAX: u32 = 199;

/// Which visit, and which page of what was done in it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TranscriptQuery {
    /// Which visit of the step with this id, from 1; the last where nothing is said.
    visit: Option<u32>,
    /// Items of a page: 1 to 199, default 50; fewer where they are long.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Shows what an agent did in a step: turns with models, tools with their answers, tokens, money, time.
#[utoipa::path(get, path = "/api/executions/{execution}/steps/{step}/transcript", tag = "executions",
    params(("execution" = String, Path, description = "the execution's id"),
        ("step" = String, Path, description = "the visit's path (`each[3].ask`), the step's id, or the visit's id"),
        TranscriptQuery),
    responses((status = 200, description = "a page of what it did", body = TranscriptView)))]
pub(crate) async fn show(
    State(app): State<App>,
    Names((execution, step)): Names<(String, String)>,
    Query(query): Query<TranscriptQuery>,
) -> Result<Json<TranscriptView>, ApiError> {
    let id = execution_id(&execution)?;
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let after = paging.cursor(|cursor| cursor.parse::<i64>().ok().filter(|after| *after >= 0))?.unwrap_or(0);
    super::executions::existing(&app, &id).await?;
    let row = visit(&app, &id, &step, query.visit).await?;
    let (call, page) = (row.call, app.store.journal_page(&id, row.call, after, limit).await?);
    let waiting_for = waiting_for(&app, &id, &row).await?;
    let models = app.store.model_usage(&id, call, call).await?;
    Ok(Json(TranscriptView {
        step: StepView::from(row).with_models(&models),
        waiting_for,
        items: page.rows.into_iter().map(EffectView::from).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

async fn visit(app: &App, id: &str, step: &str, visit: Option<u32>) -> Result<StepRow, ApiError> {
    if visit == Some(0) {
        return Err(ApiError::query("visit", "visits are counted from 1"));
    }
    let missing = || {
        let detail =
            "the execution has reached no such step; GET /api/executions/{execution}/steps lists what it reached";
        ApiError::new(Code::StepNotFound, detail)
    };
    if step.len() > STEP_BYTES_MAX {
        return Err(missing());
    }
    app.store.visit(id, step, visit).await?.ok_or_else(missing)
}

/// The tools that a step's agent wants to call and that nobody has allowed yet.
async fn waiting_for(app: &App, id: &str, row: &StepRow) -> Result<Vec<WaitingView>, ApiError> {
    let asked = app.store.approvals_of(id, row.call, QUESTIONS_MAX).await?;
    let asked = asked.into_iter().filter(|approval| approval.status == ApprovalStatus::Pending);
    let own = asked.filter(|approval| approval.path == row.path && approval.request.value().get("tool").is_some());
    Ok(own.map(WaitingView::from).collect())
}
