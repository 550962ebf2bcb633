//! Secrets for plugins and models: set, listed, deleted. Their values go in and never come out.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    secrets::{SetSecret, SetSecretError},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, FieldProblem, Problem},
        query::Names,
        view::{Page, UserSecretView},
    },
    vault::Secret,
};

/// A secret to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetSecretBody {
    /// Its value: 8 to 8192 visible ASCII characters.
    value: String,
    /// The hosts that it may be sent to, at most 16: `api.example.com` (its ports of http and https, and only over TLS),
    /// `*.example.com`, `10.0.0.5:8080`. With none, only the host's own parts use it.
    #[serde(default)]
    hosts: Vec<String>,
}

/// Makes a secret, or replaces the value and the hosts of one. It is in force at once.
#[utoipa::path(put, path = "/api/secrets/{secret}", tag = "secrets",
    params(("secret" = String, Path, description = "its name: a small letter and up to 63 small letters, digits, hyphens and underscores")),
    request_body = SetSecretBody,
    responses(
        (status = 200, description = "it is replaced", body = UserSecretView),
        (status = 201, description = "it is made", body = UserSecretView),
        (status = 409, description = "there are too many", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn set(
    State(app): State<App>,
    act: Act,
    Names(name): Names<String>,
    Fields(body): Fields<SetSecretBody>,
) -> Result<(StatusCode, Json<UserSecretView>), ApiError> {
    app.check_name("", &name)?;
    let set = SetSecret { name, value: Secret::new(body.value), hosts: body.hosts };
    let row = app.secrets.set(set, act.actor()).await?;
    let status = if row.rotated_at.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(row.into())))
}

/// Lists every secret by name, without values.
#[utoipa::path(get, path = "/api/secrets", tag = "secrets",
    responses((status = 200, description = "all secrets", body = Page<UserSecretView>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Page<UserSecretView>>, ApiError> {
    let items = app.secrets.list().await?.into_iter().map(UserSecretView::from).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Deletes a secret: from now on it is sent nowhere.
#[utoipa::path(delete, path = "/api/secrets/{secret}", tag = "secrets",
    params(("secret" = String, Path, description = "its name")),
    responses((status = 204, description = "it is gone")))]
pub(crate) async fn delete(
    State(app): State<App>,
    act: Act,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    app.secrets.delete(&name, act.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<SetSecretError> for ApiError {
    fn from(error: SetSecretError) -> Self {
        let detail = error.to_string();
        let field = match error {
            SetSecretError::Store(error) => return error.into(),
            SetSecretError::Name(_) | SetSecretError::Named { .. } => "",
            SetSecretError::Value { .. } | SetSecretError::Vault(_) => "/value",
            SetSecretError::Host { .. } | SetSecretError::TooManyHosts { .. } => "/hosts",
        };
        let problem = FieldProblem::new(field, "invalid_secret", detail.clone());
        Self::new(Code::InvalidFields, detail).with_errors(vec![problem])
    }
}
