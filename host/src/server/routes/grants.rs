//! What plugins ask for and what they are granted: shown, and decided.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::plugins::{installed, named};
use crate::{
    grants::{self, Asks, Granted},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, FieldProblem},
        query::Names,
        view::{GrantView, Page},
    },
    store::Precedence,
};

/// What a version of a plugin may do from now on: one of `granted`, `all` and `nothing`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBody {
    /// The version; by default the highest that is enabled, or else the highest.
    version: Option<String>,
    /// Exactly this, and nothing else: `{hosts, models, tools, secrets, kv}`, each within what is asked for.
    #[schema(value_type = Option<Object>)]
    granted: Option<Value>,
    /// All that it asks for.
    #[serde(default)]
    all: bool,
    /// Nothing.
    #[serde(default)]
    nothing: bool,
}

/// Shows what every version of a plugin asks for and what it is granted, the highest version first.
#[utoipa::path(get, path = "/api/plugins/{plugin}/grants", tag = "plugins", params(("plugin" = String, Path, description = "its name")),
    responses((status = 200, description = "every version", body = Page<GrantView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Names(plugin): Names<String>,
) -> Result<Json<Page<GrantView>>, ApiError> {
    // Says what is wrong with the name, if something is.
    let name = installed(&app, &plugin, None).await?.name;
    let mut versions = app.store.plugins().await?;
    versions.retain(|row| row.name == name);
    versions.sort_by_cached_key(|row| std::cmp::Reverse(Precedence::of(&row.version)));
    let grants = app.store.grant_rows().await?;
    let items = versions.iter().map(|row| GrantView::new(row, grants.get(&row.digest))).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Decides what a version of a plugin may do. It counts at once, also for calls that run.
#[utoipa::path(put, path = "/api/plugins/{plugin}/grants", tag = "plugins", params(("plugin" = String, Path, description = "its name")),
    request_body = GrantBody,
    responses((status = 200, description = "what it asks for, and what it is granted now", body = GrantView)))]
pub(crate) async fn decide(
    State(app): State<App>,
    act: Act,
    Names(plugin): Names<String>,
    Fields(body): Fields<GrantBody>,
) -> Result<Json<GrantView>, ApiError> {
    let row = installed(&app, &plugin, body.version.as_deref()).await?;
    let asks = Asks::of_installed(row.descriptor.value());
    let granted = meant(&body, &asks)?;
    let entry = act.done(named(&row)).with(json!({ "digest": row.digest, "granted": granted }));
    let grant = app.store.audited(entry).grant(&row, granted, act.actor()).await?;
    Ok(Json(GrantView::new(&row, Some(&grant))))
}

/// What is to be granted, within what is asked for.
fn meant(body: &GrantBody, asks: &Asks) -> Result<Granted, ApiError> {
    match (&body.granted, body.all, body.nothing) {
        (Some(granted), false, false) => {
            let granted = Granted::read(granted).map_err(unreadable)?;
            let beyond = granted.beyond(asks);
            if beyond.is_empty() { Ok(granted) } else { Err(not_asked_for(beyond)) }
        }
        (None, true, false) => Ok(Granted::all(asks)),
        (None, false, true) => Ok(Granted::default()),
        (_, _, _) => {
            let detail = "the body must have one of granted, all and nothing";
            Err(ApiError::new(Code::InvalidFields, detail).with_errors(vec![FieldProblem::new(
                "/granted",
                "invalid_field",
                detail,
            )]))
        }
    }
}

fn unreadable(problems: Vec<grants::Problem>) -> ApiError {
    ApiError::new(Code::InvalidFields, "what is to be granted cannot be read; see errors")
        .with_errors(in_body(problems, "invalid_field"))
}

fn not_asked_for(problems: Vec<grants::Problem>) -> ApiError {
    let what: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let detail = format!("could not grant this: {}; grant what the plugin asks for, or less", what.join("; "));
    ApiError::new(Code::NotAskedFor, detail).with_errors(in_body(problems, "not_asked_for"))
}

fn in_body(problems: Vec<grants::Problem>, code: &str) -> Vec<FieldProblem> {
    let pointer = |place: &str| if place.is_empty() { "/granted".to_owned() } else { format!("/granted/{place}") };
    problems.into_iter().map(|problem| FieldProblem::new(pointer(&problem.place), code, problem.message)).collect()
}
