//! Workflows: saved, validated, listed, deleted.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use weir_engine::{
    definition::{Definition, Diagnostic},
    json::Json as Document,
};

use crate::{
    server::{
        App,
        act::Act,
        body::DefinitionBody,
        error::{ApiError, Code, FieldProblem, Problem},
        gate::Who,
        query::{Names, Paging, Query, uuid},
        view::{Page, SavedView, SecretMadeView, WorkflowSummary, WorkflowVersionView, WorkflowView},
    },
    store::{AuditEntry, NewWorkflow, Saved, WorkflowFilter, WorkflowOrder, WorkflowOwner},
    trigger::webhook,
};

/// Which workflows to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Text that the name or description holds, whatever its case.
    search: Option<String>,
    /// Only those that are active, or only those that are not.
    active: Option<bool>,
    /// Only those that you made.
    #[serde(default)]
    mine: bool,
    /// `name` (the default) or `newest`.
    order: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Items of a page: 1 to 199, default 50.
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

impl PageQuery {
    /// The page that is meant.
    pub(super) fn paging(self) -> Paging {
        Paging::new(self.limit, self.cursor)
    }
}

/// What the client believes to be the newest version.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UpdateQuery {
    /// Refuse to save unless this is the newest version.
    expected_version: Option<u32>,
}

/// What is wrong with a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Validation {
    /// Whether it may be saved.
    valid: bool,
    /// Everything that stands against it.
    errors: Vec<FieldProblem>,
    /// What should be looked at though it may be saved.
    warnings: Vec<FieldProblem>,
}

/// Lists live workflows.
#[utoipa::path(get, path = "/api/workflows", tag = "workflows", params(ListQuery),
    responses((status = 200, description = "a page of workflows", body = Page<WorkflowSummary>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Who(who): Who,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<WorkflowSummary>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let after = paging.cursor(uuid)?;
    let order = match query.order.as_deref() {
        None | Some("name") => WorkflowOrder::Name,
        Some("newest") => WorkflowOrder::Newest,
        Some(_) => return Err(ApiError::query("order", "it must be name or newest")),
    };
    let owner_id = query.mine.then(|| who.id());
    let filter = WorkflowFilter { search: query.search, active: query.active, owner_id, order };
    let rows = app.store.workflows(&filter, after.as_deref(), limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.id.to_string(), WorkflowSummary::from)))
}

/// Saves a new workflow.
#[utoipa::path(post, path = "/api/workflows", tag = "workflows",
    request_body(description = "the definition", content((Object = "application/json"), (Object = "application/yaml"))),
    responses(
        (status = 201, description = "it is saved as version 1", body = SavedView),
        (status = 409, description = "the name, or the path of a webhook, is taken", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn create(
    State(app): State<App>,
    act: Act,
    DefinitionBody(definition): DefinitionBody,
) -> Result<Response, ApiError> {
    Ok((StatusCode::CREATED, Json(saved(&app, &act, definition).await?)).into_response())
}

/// A new workflow that was saved.
pub(super) async fn saved(app: &App, act: &Act, definition: Value) -> Result<SavedView, ApiError> {
    let (new, warnings) = validated(app, &act.actor(), definition).await?;
    let owner = WorkflowOwner { id: act.actor_id().into(), name: act.actor().into() };
    let new = NewWorkflow { owner: Some(owner), ..new };
    let saved = app.store.audited(act.done(&new.name)).create_workflow(new).await;
    app.triggers.changed();
    saved_view(app, &act.actor(), saved?, warnings).await
}

/// The first workflows by name.
pub(super) async fn page(app: &App, limit: Option<u32>) -> Result<Page<WorkflowSummary>, ApiError> {
    let limit = Paging::new(limit, None).limit()?;
    let rows = app.store.workflows(&WorkflowFilter::default(), None, limit + 1).await?;
    Ok(Page::new(rows, limit, |row| row.id.to_string(), WorkflowSummary::from))
}

/// Finds everything that is wrong with a definition; saves nothing.
#[utoipa::path(post, path = "/api/workflows/validate", tag = "workflows",
    request_body(description = "the definition", content((Object = "application/json"), (Object = "application/yaml"))),
    responses((status = 200, description = "what was found", body = Validation)))]
pub(crate) async fn validate(
    State(app): State<App>,
    DefinitionBody(definition): DefinitionBody,
) -> Result<Json<Validation>, ApiError> {
    let checked = app.triggers.check(&definition).await?;
    let (errors, warnings) = problems(checked.diagnostics);
    Ok(Json(Validation { valid: checked.valid, errors, warnings }))
}

/// Shows a workflow with its newest definition.
#[utoipa::path(get, path = "/api/workflows/{workflow}", tag = "workflows", params(("workflow" = String, Path, description = "its id or name")),
    responses((status = 200, description = "the workflow", body = WorkflowView)))]
pub(crate) async fn show(
    State(app): State<App>,
    Names(workflow): Names<String>,
) -> Result<Json<WorkflowView>, ApiError> {
    let workflow = app.workflow(&workflow).await?;
    let triggers = app.store.triggers_of(&workflow.row.id).await?;
    Ok(Json(WorkflowView::new(workflow.row.clone(), workflow.version.as_ref().clone(), triggers)))
}

/// Saves a changed definition as the next version. Executions that run go on with theirs.
#[utoipa::path(put, path = "/api/workflows/{workflow}", tag = "workflows",
    params(("workflow" = String, Path, description = "its id or name"), UpdateQuery),
    request_body(description = "the definition", content((Object = "application/json"), (Object = "application/yaml"))),
    responses(
        (status = 200, description = "it is saved", body = SavedView),
        (status = 409, description = "the name, or the path of a webhook, is taken, or the version is not the expected one", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn update(
    State(app): State<App>,
    act: Act,
    Names(workflow): Names<String>,
    Query(query): Query<UpdateQuery>,
    DefinitionBody(definition): DefinitionBody,
) -> Result<Json<SavedView>, ApiError> {
    let current = app.workflow_to_change(&act, &workflow).await?;
    let (new, warnings) = validated(&app, &act.actor(), definition).await?;
    let new = NewWorkflow { expected_version: query.expected_version, ..new };
    let entry = act.done(&*current.row.id).with(json!({ "name": new.name }));
    let saved = app.store.audited(entry).update_workflow(&current.row.id, new).await;
    app.triggers.changed();
    Ok(Json(saved_view(&app, &act.actor(), saved?, warnings).await?))
}

/// Deletes a workflow and frees its name. Its executions stay, and those that run go on.
#[utoipa::path(delete, path = "/api/workflows/{workflow}", tag = "workflows", params(("workflow" = String, Path, description = "its id or name")),
    responses((status = 204, description = "it is deleted")))]
pub(crate) async fn delete(
    State(app): State<App>,
    act: Act,
    Names(workflow): Names<String>,
) -> Result<StatusCode, ApiError> {
    let current = app.workflow_to_change(&act, &workflow).await?;
    let entry = act.done(&*current.row.id).with(json!({ "name": current.row.name }));
    let deleted = app.store.audited(entry).delete_workflow(&current.row.id).await;
    app.triggers.changed();
    deleted?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the versions of a workflow, newest first.
#[utoipa::path(get, path = "/api/workflows/{workflow}/versions", tag = "workflows",
    params(("workflow" = String, Path, description = "its id or name"), PageQuery),
    responses((status = 200, description = "a page of versions", body = Page<WorkflowVersionView>)))]
pub(crate) async fn versions(
    State(app): State<App>,
    Names(workflow): Names<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<WorkflowVersionView>>, ApiError> {
    let paging = query.paging();
    let limit = paging.limit()?;
    let before = paging.cursor(|cursor| cursor.parse().ok())?;
    let current = app.workflow(&workflow).await?;
    let rows = app.store.workflow_versions(&current.row.id, before, limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.version.to_string(), WorkflowVersionView::from)))
}

/// Shows one version of a workflow, also of a deleted one where its id is given.
#[utoipa::path(get, path = "/api/workflows/{workflow}/versions/{version}", tag = "workflows",
    params(("workflow" = String, Path, description = "its id or name"), ("version" = u32, Path, description = "the version, from 1")),
    responses((status = 200, description = "the version", body = WorkflowVersionView)))]
pub(crate) async fn version(
    State(app): State<App>,
    Names((workflow, version)): Names<(String, u32)>,
) -> Result<Json<WorkflowVersionView>, ApiError> {
    let id = match uuid(&workflow) {
        Some(id) => id,
        None => app.workflow(&workflow).await?.row.id.to_string(),
    };
    let found = app.store.workflow_version(&id, Some(version)).await?;
    let missing = || ApiError::new(Code::WorkflowNotFound, format!("the workflow has no version {version}"));
    found.map(|found| Json(found.into())).ok_or_else(missing)
}

/// A definition that may be saved, and what should be looked at; or all that stands against it.
async fn validated(app: &App, actor: &str, definition: Value) -> Result<(NewWorkflow, Vec<FieldProblem>), ApiError> {
    let checked = app.triggers.check(&definition).await?;
    let (errors, warnings) = problems(checked.diagnostics);
    if !checked.valid {
        let detail = format!("the workflow was not saved: it has {} {}", errors.len(), plural("error", errors.len()));
        return Err(ApiError::new(Code::InvalidWorkflow, detail).with_errors(errors).with_warnings(warnings));
    }
    let Definition { name, description, active, .. } = checked.definition;
    let (triggers, definition) = (checked.triggers, Document::from_value(definition));
    let entries = webhook::open(&triggers)
        .map(|path| AuditEntry::done(actor, "trigger.open", &*name).with(json!({ "path": path, "scheme": "none" })));
    let entries = entries.collect();
    let (expected_version, owner) = (None, None);
    let new = NewWorkflow { name, description, active, definition, triggers, entries, expected_version, owner };
    Ok((new, warnings))
}

/// Errors, and warnings.
fn problems(found: Vec<Diagnostic>) -> (Vec<FieldProblem>, Vec<FieldProblem>) {
    let (errors, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(Diagnostic::is_error);
    let shown = |list: Vec<Diagnostic>| list.into_iter().map(FieldProblem::from).collect();
    (shown(errors), shown(warnings))
}

fn plural(noun: &str, n: usize) -> String {
    if n == 1 { noun.to_owned() } else { format!("{noun}s") }
}

async fn saved_view(app: &App, actor: &str, saved: Saved, warnings: Vec<FieldProblem>) -> Result<SavedView, ApiError> {
    let Saved { workflow, version, new_version } = saved;
    let triggers = app.store.triggers_of(&workflow.id).await?;
    let secrets = app.webhooks.make_missing(&triggers, actor).await?.into_iter().map(SecretMadeView::from).collect();
    Ok(SavedView { workflow: WorkflowView::new(workflow, version, triggers), new_version, secrets, warnings })
}
