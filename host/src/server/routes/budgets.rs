//! Budgets: what many executions share for an hour, a day or a month.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use weir_engine::{json::Json as Document, limits::Limits};

use crate::{
    budgets::{self, BudgetProblem, BudgetScope, Period},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, FieldProblem, Problem},
        guardrails,
        query::Names,
        view::{BudgetView, Page},
    },
    store::NewBudget,
};

/// A budget to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetBudgetBody {
    /// `host`: all executions share it; `workflow`: those of one workflow, or of each one by itself.
    scope: String,
    /// Of scope `workflow`: the id or the name of the one workflow; without it, each workflow has the budget for itself.
    #[serde(default)]
    workflow: Option<String>,
    /// `hour`, `day` or `month`, in UTC.
    period: String,
    /// At least one of the guardrails `request_limit`, `input_tokens_limit`, `output_tokens_limit`, `total_tokens_limit`,
    /// `tool_calls_limit` and `max_cost_dollars`; and `on_unknown_price`.
    #[schema(value_type = Object)]
    limits: Document,
}

/// Makes a budget, or sets the limits of one: they are in force at once, and what was spent stays. A budget that is for
/// others, or for another period, than before begins anew.
#[utoipa::path(put, path = "/api/budgets/{budget}", tag = "budgets",
    params(("budget" = String, Path, description = "its name: a small letter and up to 63 small letters, digits, hyphens and underscores")),
    request_body = SetBudgetBody,
    responses(
        (status = 200, description = "its limits are set", body = BudgetView),
        (status = 201, description = "it is made, or begins anew", body = BudgetView),
        (status = 409, description = "there are too many", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn set(
    State(app): State<App>,
    act: Act,
    Names(name): Names<String>,
    Fields(body): Fields<SetBudgetBody>,
) -> Result<(StatusCode, Json<BudgetView>), ApiError> {
    let limits = limits(&body.limits)?;
    budgets::check_name(&name).map_err(|problem| refused("", &problem))?;
    app.check_name("", &name)?;
    let period = Period::of(&body.period).ok_or_else(|| unfit("/period", "write hour, day or month".to_owned()))?;
    let scope = scope(&app, &body).await?;
    let details = json!({ "scope": body.scope, "workflow_id": scope.workflow_id(), "period": body.period,
        "limits": body.limits });
    let store = app.store.audited(act.done(&name).with(details));
    let new = NewBudget { name: name.clone(), scope, period, limits, set_by: act.actor() };
    let row = app.driver.set_budget(&store, new).await?;
    let status = if row.set_at == row.created_at { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(find(&app, &name)?)))
}

/// Lists every budget by name, and how it stands.
#[utoipa::path(get, path = "/api/budgets", tag = "budgets",
    responses((status = 200, description = "all budgets", body = Page<BudgetView>)))]
pub(crate) async fn list(State(app): State<App>) -> Json<Page<BudgetView>> {
    let items = app.driver.budgets().into_iter().map(BudgetView::from).collect();
    Json(Page { items, next_cursor: None })
}

/// Shows a budget: what it allows, what was spent in this period, and what is promised.
#[utoipa::path(get, path = "/api/budgets/{budget}", tag = "budgets",
    params(("budget" = String, Path, description = "its name")),
    responses((status = 200, description = "the budget", body = BudgetView)))]
pub(crate) async fn show(State(app): State<App>, Names(name): Names<String>) -> Result<Json<BudgetView>, ApiError> {
    Ok(Json(find(&app, &name)?))
}

/// Deletes a budget: it limits nothing any more, and what was spent of it is forgotten.
#[utoipa::path(delete, path = "/api/budgets/{budget}", tag = "budgets",
    params(("budget" = String, Path, description = "its name")),
    responses((status = 204, description = "it is gone")))]
pub(crate) async fn delete(
    State(app): State<App>,
    act: Act,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    app.driver.delete_budget(&app.store.audited(act.done(&name)), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, name: &str) -> Result<BudgetView, ApiError> {
    let standing = app.driver.budgets().into_iter().find(|standing| *standing.budget.name == *name);
    let missing = || ApiError::new(Code::BudgetNotFound, "there is no such budget; GET /api/budgets lists them");
    standing.map(BudgetView::from).ok_or_else(missing)
}

fn limits(document: &Document) -> Result<Limits, ApiError> {
    let limits = guardrails::limits_at(document, "/limits")?;
    budgets::check_limits(&limits).map_err(|problem| refused("/limits", &problem))?;
    Ok(limits)
}

async fn scope(app: &App, body: &SetBudgetBody) -> Result<BudgetScope, ApiError> {
    match (&*body.scope, &body.workflow) {
        ("host", None) => Ok(BudgetScope::Host),
        ("workflow", None) => Ok(BudgetScope::EachWorkflow),
        ("workflow", Some(workflow)) => match app.driver.current(workflow).await? {
            Some(workflow) => Ok(BudgetScope::Workflow(workflow.row.id.clone())),
            None => Err(unfit("/workflow", "there is no such workflow".to_owned())),
        },
        ("host", Some(_)) => Err(unfit("/workflow", "only a budget of scope workflow is for one".to_owned())),
        _ => Err(unfit("/scope", "write host or workflow".to_owned())),
    }
}

fn refused(field: &str, problem: &BudgetProblem) -> ApiError {
    unfit(field, problem.to_string())
}

fn unfit(field: &str, detail: String) -> ApiError {
    let problem = FieldProblem::new(field, "invalid_budget", detail.clone());
    ApiError::new(Code::InvalidFields, detail).with_errors(vec![problem])
}
