//! Language models: which there are, and whether they answer.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    models::ChatRequest,
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code},
        query::Names,
        view::{FailureView, ModelView, Page, TriedModelView},
    },
};

/// The most bytes of a question that a model is tried with.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Lists the language models that plugins and workflows can name, without their keys and addresses.
#[utoipa::path(get, path = "/api/models", tag = "models",
    responses((status = 200, description = "all models, by name", body = Page<ModelView>)))]
pub(crate) async fn list(State(app): State<App>) -> Json<Page<ModelView>> {
    let items = app.models.views().into_iter().map(ModelView::from).collect();
    Json(Page { items, next_cursor: None })
}

/// What to try a model with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryModelBody {
    /// What it is asked; at most 64 KiB.
    text: String,
    /// The most tokens of the answer; by default what its configuration says.
    #[serde(default)]
    max_tokens: Option<u64>,
}

/// Sends one request to a model, outside any execution and its limits. It costs what such a request costs.
#[utoipa::path(post, path = "/api/models/{alias}/try", tag = "models", params(("alias" = String, Path, description = "its name")),
    request_body = TryModelBody,
    responses((status = 200, description = "what it answered, or why it did not", body = TriedModelView)))]
pub(crate) async fn try_model(
    State(app): State<App>,
    act: Act,
    Names(alias): Names<String>,
    Fields(body): Fields<TryModelBody>,
) -> Result<Json<TriedModelView>, ApiError> {
    if !app.models.has(&alias) {
        return Err(ApiError::new(Code::ModelNotFound, "there is no such model; GET /api/models lists them"));
    }
    if body.text.is_empty() || body.text.len() > TEXT_BYTES_MAX || body.max_tokens == Some(0) {
        let detail = format!("text: write 1 to {TEXT_BYTES_MAX} bytes; max_tokens: write at least 1");
        return Err(ApiError::new(Code::InvalidFields, detail));
    }
    let request = ChatRequest { max_tokens: body.max_tokens, ..ChatRequest::question(&alias, &body.text) };
    let masker = app.secrets.masker();
    let failed = |error: &crate::models::ModelError| {
        TriedModelView::failed(FailureView::new(&masker.mask_failure(error.failure()), None, None))
    };
    let prepared = match app.models.prepare(request) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Json(failed(&error))),
    };
    // Written down before it is sent: from then on it may cost something.
    let entry = act.done(alias).with(json!({ "provider": prepared.provider(), "model": prepared.model() }));
    app.store.audit(entry).await?;
    let view = match app.models.send(&prepared, prepared.max_tokens, &mut |_| {}).await {
        Ok(answer) => {
            let reserved = prepared.reservation(prepared.max_tokens);
            let used = prepared.settle(answer.usage.as_ref(), &reserved);
            let cost = prepared.price.as_ref().map(|_| used.cost_microusd);
            TriedModelView::answered(&answer, masker.mask_text(&answer.text).into_owned(), cost)
        }
        Err(error) => failed(&error),
    };
    Ok(Json(view))
}
