//! Plugins: uploaded, listed, switched, deleted, tried.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use weir_engine::json::Json as Document;

use crate::{
    driver::masked,
    runtime::{CallOutcome, PluginCall, Powerless},
    schema,
    server::{
        App,
        act::Act,
        body::{Fields, PluginBody},
        error::{ApiError, Code, Problem},
        query::{Names, Query, is_name},
        schemas,
        view::{FailureView, LogLineView, Page, PluginDetail, PluginSummary},
    },
    store::{FirstGrant, NewPlugin, PluginRow},
};

/// How long a tried tool may run.
const TRY_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a version that is worth looking up.
const VERSION_BYTES_MAX: usize = 128;

/// Which version of a plugin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionQuery {
    /// The version; by default the highest that is enabled, or else the highest.
    version: Option<String>,
}

/// Lists every version of every installed plugin.
#[utoipa::path(get, path = "/api/plugins", tag = "plugins",
    responses((status = 200, description = "all plugins", body = Page<PluginSummary>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Page<PluginSummary>>, ApiError> {
    let (rows, grants) = (app.store.plugins().await?, app.store.grant_rows().await?);
    let items = rows.iter().map(|row| PluginSummary::new(row, grants.get(&row.digest))).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// What a plugin is granted when it is installed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// `all` that it asks for; `none`, the default: what the version before was granted, as far as it asks for that.
    #[serde(default)]
    #[param(inline)]
    grant: Grant,
}

/// What is granted by an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grant {
    /// All that it asks for.
    All,
    /// What the version before was granted, as far as it asks for that.
    #[default]
    None,
}

/// Installs a plugin: checks the component, compiles it, and asks it what it offers and what it wants to be granted.
#[utoipa::path(post, path = "/api/plugins", tag = "plugins", params(UploadQuery),
    request_body(content = [u8], content_type = "application/wasm", description = "the component, at most 64 MiB"),
    responses(
        (status = 200, description = "it was installed before", body = PluginDetail),
        (status = 201, description = "it is installed and enabled", body = PluginDetail),
        (status = 409, description = "this version exists with other bytes", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn upload(
    State(app): State<App>,
    act: Act,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let busy = |_| ApiError::new(Code::Unavailable, "the host stops");
    let _place = app.uploads.acquire().await.map_err(busy)?;
    let PluginBody(bytes) = PluginBody::from_request(request, &()).await?;
    let inspected = app.runtime.validate_and_compile(bytes.clone()).await?;
    let new = NewPlugin {
        name: inspected.descriptor.name,
        version: inspected.descriptor.version,
        digest: inspected.digest,
        descriptor: inspected.descriptor_json,
        imports: inspected.imports,
        bytes,
        installed_by: act.actor(),
    };
    let mut details = json!({ "digest": new.digest });
    let first = match query.grant {
        Grant::All => {
            details["granted"] = json!(inspected.descriptor.asks);
            FirstGrant::All
        }
        Grant::None => FirstGrant::CarriedOver,
    };
    let entry = act.done(format!("{}@{}", new.name, new.version)).with(details);
    let installed = app.store.audited(entry).install_plugin_with(new, first).await;
    app.driver.plugins_changed();
    let installed = installed?;
    let status = if installed.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(detail(&app, installed.plugin).await?)).into_response())
}

/// Shows a plugin with the schemas of all it offers.
#[utoipa::path(get, path = "/api/plugins/{plugin}", tag = "plugins", params(("plugin" = String, Path, description = "its name"), VersionQuery),
    responses((status = 200, description = "the plugin", body = PluginDetail)))]
pub(crate) async fn show(
    State(app): State<App>,
    Names(plugin): Names<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<PluginDetail>, ApiError> {
    let row = installed(&app, &plugin, query.version.as_deref()).await?;
    Ok(Json(detail(&app, row).await?))
}

/// Deletes a version of a plugin that no unfinished execution needs.
#[utoipa::path(delete, path = "/api/plugins/{plugin}", tag = "plugins", params(("plugin" = String, Path, description = "its name"), VersionQuery),
    responses(
        (status = 204, description = "it is deleted"),
        (status = 409, description = "unfinished executions need it", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn delete(
    State(app): State<App>,
    act: Act,
    Names(plugin): Names<String>,
    Query(query): Query<VersionQuery>,
) -> Result<StatusCode, ApiError> {
    let row = installed(&app, &plugin, query.version.as_deref()).await?;
    let entry = act.done(named(&row)).with(json!({ "digest": row.digest }));
    let deleted = app.store.audited(entry).delete_plugin(&row.name, &row.version).await;
    app.driver.plugins_changed();
    deleted?;
    app.runtime.forget(&row.digest);
    Ok(StatusCode::NO_CONTENT)
}

/// Lets new executions use a version of a plugin.
#[utoipa::path(post, path = "/api/plugins/{plugin}/enable", tag = "plugins", params(("plugin" = String, Path, description = "its name"), VersionQuery),
    responses((status = 200, description = "it is enabled", body = PluginSummary)))]
pub(crate) async fn enable(
    State(app): State<App>,
    act: Act,
    Names(plugin): Names<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<PluginSummary>, ApiError> {
    switch(&app, &act, &plugin, query, true).await
}

/// Keeps new executions from using a version of a plugin. Those that run go on.
#[utoipa::path(post, path = "/api/plugins/{plugin}/disable", tag = "plugins", params(("plugin" = String, Path, description = "its name"), VersionQuery),
    responses((status = 200, description = "it is disabled", body = PluginSummary)))]
pub(crate) async fn disable(
    State(app): State<App>,
    act: Act,
    Names(plugin): Names<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<PluginSummary>, ApiError> {
    switch(&app, &act, &plugin, query, false).await
}

async fn detail(app: &App, row: PluginRow) -> Result<PluginDetail, ApiError> {
    let grant = app.store.grant_row(&row.digest).await?;
    Ok(PluginDetail::new(row, grant.as_ref()))
}

async fn switch(
    app: &App,
    act: &Act,
    plugin: &str,
    query: VersionQuery,
    enabled: bool,
) -> Result<Json<PluginSummary>, ApiError> {
    let row = installed(app, plugin, query.version.as_deref()).await?;
    let entry = act.done(named(&row)).with(json!({ "digest": row.digest }));
    let row = app.store.audited(entry).set_plugin_enabled(&row.name, &row.version, enabled).await;
    app.driver.plugins_changed();
    let row = row?;
    let grant = app.store.grant_row(&row.digest).await?;
    Ok(Json(PluginSummary::new(&row, grant.as_ref())))
}

/// What to try a tool with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryBody {
    /// The tool's input. Default: `{}`.
    #[serde(default)]
    #[schema(value_type = Value)]
    input: Option<Document>,
    /// The tool's configuration. Default: `{}`.
    #[serde(default)]
    #[schema(value_type = Value)]
    config: Option<Document>,
}

/// What a tried tool did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tried {
    /// What it answered.
    #[schema(value_type = Value)]
    output: Option<Document>,
    /// Why it failed.
    error: Option<FailureView>,
    /// What it logged.
    logs: Vec<LogLineView>,
    /// What should be looked at.
    warnings: Vec<String>,
    /// Fuel that it used.
    fuel: Option<u64>,
    /// How long it took.
    duration_seconds: f64,
}

/// Calls a tool once, outside any execution. It gets no tools to call itself.
#[utoipa::path(post, path = "/api/plugins/{plugin}/tools/{tool}/try", tag = "plugins",
    params(("plugin" = String, Path, description = "its name"), ("tool" = String, Path, description = "the tool's name"), VersionQuery),
    request_body = TryBody,
    responses((status = 200, description = "what it did, well or badly", body = Tried)))]
pub(crate) async fn try_tool(
    State(app): State<App>,
    act: Act,
    Names((plugin, tool)): Names<(String, String)>,
    Query(query): Query<VersionQuery>,
    Fields(body): Fields<TryBody>,
) -> Result<Json<Tried>, ApiError> {
    let row = installed(&app, &plugin, query.version.as_deref()).await?;
    let offered = tool_of(&row, &tool)?;
    let empty = || Document::from_value(json!({}));
    let (input, config) = (body.input.unwrap_or_else(empty), body.config.unwrap_or_else(empty));
    check_input(offered, &input)?;
    let began = std::time::Instant::now();
    let entry = act.done(named(&row)).with(json!({ "digest": row.digest, "tool": tool }));
    app.store.audit(entry).await?;
    let outcome = app.runtime.call(trial(&row, tool, input, config), Arc::new(Powerless)).await;
    let outcome = masked::outcome(outcome, app.secrets.masker());
    Ok(Json(tried(outcome, began.elapsed())))
}

fn trial(row: &PluginRow, tool: String, input: Document, config: Document) -> PluginCall {
    PluginCall {
        digest: row.digest.to_string(),
        name: tool,
        depth: 0,
        agent: false,
        config,
        input,
        idempotency_key: format!("try/{}", uuid::Uuid::now_v7()),
        attempt: 0,
        execution_id: "try".into(),
        path: "try".into(),
        timeout: TRY_TIMEOUT,
        fuel: None,
        memory_bytes: None,
    }
}

fn tried(outcome: CallOutcome, took: Duration) -> Tried {
    let (output, error) = match outcome.result {
        Ok(output) => (Some(output), None),
        Err(failure) => (None, Some(FailureView::new(&failure, None, None))),
    };
    let report = outcome.report;
    let logs = report.logs.into_iter().map(Into::into).collect();
    Tried { output, error, logs, warnings: report.warnings, fuel: report.fuel, duration_seconds: took.as_secs_f64() }
}

/// A version of a plugin, as the audit log names it.
pub(super) fn named(row: &PluginRow) -> String {
    format!("{}@{}", row.name, row.version)
}

/// The installed plugin that is meant.
pub(super) async fn installed(app: &App, name: &str, version: Option<&str>) -> Result<PluginRow, ApiError> {
    let missing = || {
        let which = version.map(|version| format!(" in version {version:.32?}")).unwrap_or_default();
        ApiError::new(
            Code::PluginNotFound,
            format!("there is no plugin {name:.64?}{which}; GET /api/plugins lists them"),
        )
    };
    if !is_name(name) || version.is_some_and(|version| version.len() > VERSION_BYTES_MAX) {
        return Err(missing());
    }
    app.store.plugin(name, version).await?.ok_or_else(missing)
}

/// What a plugin's descriptor says about one of its tools.
fn tool_of<'a>(row: &'a PluginRow, tool: &str) -> Result<&'a Value, ApiError> {
    let tools = row.descriptor.value().get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let name = |tool: &'a Value| tool.get("name").and_then(Value::as_str);
    tools.iter().find(|offered| name(offered) == Some(tool)).ok_or_else(|| {
        let names: Vec<_> = tools.iter().filter_map(name).collect();
        let detail = format!("plugin {} has no tool {tool:.64?}; it has {}", row.name, names.join(", "));
        ApiError::new(Code::PluginNotFound, detail)
    })
}

fn check_input(tool: &Value, input: &Document) -> Result<(), ApiError> {
    let Some(schema) = tool.get("input_schema") else { return Ok(()) };
    let problems = schemas::in_body(schema::problems(schema, input.value()), "/input", "schema_violation");
    if problems.is_empty() {
        return Ok(());
    }
    let detail = "the input does not satisfy the tool's input_schema; see errors";
    Err(ApiError::new(Code::InvalidInput, detail).with_errors(problems))
}
