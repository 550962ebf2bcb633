//! API tokens: made, listed, revoked.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::workflows::PageQuery;
use crate::{
    identity::Role,
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, Problem},
        query::{Names, Query, instant, uuid},
        view::{MadeTokenView, Page, TokenView},
    },
};

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    /// Its name: 1 to 64 characters.
    name: String,
    /// What its holder may do: `viewer`, `operator`, `approver`, `author`, `admin`.
    roles: Vec<Role>,
    /// From when on it is of no use (RFC 3339); by default it does not expire.
    #[serde(default)]
    expires_at: Option<String>,
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/tokens", tag = "identity", request_body = TokenBody,
    responses(
        (status = 201, description = "it is made", body = MadeTokenView),
        (status = 409, description = "the name is taken", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn create(
    State(app): State<App>,
    act: Act,
    Fields(body): Fields<TokenBody>,
) -> Result<Response, ApiError> {
    app.check_name("/name", &body.name)?;
    let expires_at = instant("expires_at", body.expires_at.as_deref())?;
    let entry = act.done(&body.name).with(json!({ "roles": body.roles, "expires_at": body.expires_at }));
    let made = app.accounts.create_token(body.name, body.roles.into_iter().collect(), expires_at, entry).await?;
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok((StatusCode::CREATED, [no_store], Json(MadeTokenView::from(made))).into_response())
}

/// Lists tokens, newest first; those that were revoked too.
#[utoipa::path(get, path = "/api/tokens", tag = "identity", params(PageQuery),
    responses((status = 200, description = "a page of tokens", body = Page<TokenView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TokenView>>, ApiError> {
    let paging = query.paging();
    let limit = paging.limit()?;
    let before = paging.cursor(uuid)?;
    let rows = app.accounts.tokens(before.as_deref(), limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.id.to_string(), TokenView::from)))
}

/// Revokes a token for good.
#[utoipa::path(delete, path = "/api/tokens/{token}", tag = "identity", params(("token" = String, Path, description = "its id")),
    responses((status = 200, description = "it is revoked", body = TokenView)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    act: Act,
    Names(token): Names<String>,
) -> Result<Json<TokenView>, ApiError> {
    let missing = || ApiError::new(Code::TokenNotFound, "there is no such token; GET /api/tokens lists them");
    let id = uuid(&token).ok_or_else(missing)?;
    let revoked = app.accounts.revoke_token(&id, act.done(&id)).await?;
    Ok(Json(revoked.into()))
}
