//! Users: added, listed, changed, deleted.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    identity::{Role, Roles},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, Problem},
        query::Names,
        view::{Page, UserView},
    },
    store::UserRow,
};

/// A user to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// Their name: 1 to 64 characters.
    name: String,
    /// Their password: at least 12 characters.
    password: String,
    /// What they may do: `viewer`, `operator`, `approver`, `author`, `admin`.
    roles: Vec<Role>,
}

/// What to change about a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChangeBody {
    /// All of their roles from now on.
    #[serde(default)]
    roles: Option<Vec<Role>>,
    /// Whether they may not come in from now on; it ends their sessions.
    #[serde(default)]
    disabled: Option<bool>,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    /// The password: at least 12 characters.
    password: String,
}

/// Adds a user.
#[utoipa::path(post, path = "/api/users", tag = "identity", request_body = UserBody,
    responses(
        (status = 201, description = "they are added", body = UserView),
        (status = 409, description = "the name is taken", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn create(
    State(app): State<App>,
    act: Act,
    Fields(body): Fields<UserBody>,
) -> Result<(StatusCode, Json<UserView>), ApiError> {
    app.check_name("/name", &body.name)?;
    let entry = act.done(&body.name).with(json!({ "roles": body.roles }));
    let roles = body.roles.into_iter().collect();
    let added = app.accounts.create_user(body.name, body.password, roles, entry).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

/// Lists every user, the oldest first.
#[utoipa::path(get, path = "/api/users", tag = "identity",
    responses((status = 200, description = "all users", body = Page<UserView>)))]
pub(crate) async fn list(State(app): State<App>) -> Json<Page<UserView>> {
    Json(Page { items: app.accounts.users().into_iter().map(UserView::from).collect(), next_cursor: None })
}

/// Changes a user's roles, or lets them in or not. It counts from their next request on.
#[utoipa::path(put, path = "/api/users/{user}", tag = "identity", params(("user" = String, Path, description = "their id or name")),
    request_body = UserChangeBody,
    responses((status = 200, description = "it is changed", body = UserView)))]
pub(crate) async fn update(
    State(app): State<App>,
    act: Act,
    Names(user): Names<String>,
    Fields(body): Fields<UserChangeBody>,
) -> Result<Json<UserView>, ApiError> {
    let user = existing(&app, &user)?;
    let entry = entry(&act, &user, json!({ "roles": body.roles, "disabled": body.disabled }));
    let roles = body.roles.map(|roles| roles.into_iter().collect::<Roles>());
    Ok(Json(app.accounts.change_user(&user.id, roles, body.disabled, entry).await?.into()))
}

/// Gives a user a new password; it ends their sessions.
#[utoipa::path(post, path = "/api/users/{user}/password", tag = "identity", params(("user" = String, Path, description = "their id or name")),
    request_body = PasswordBody,
    responses((status = 200, description = "it is changed", body = UserView)))]
pub(crate) async fn set_password(
    State(app): State<App>,
    act: Act,
    Names(user): Names<String>,
    Fields(body): Fields<PasswordBody>,
) -> Result<Json<UserView>, ApiError> {
    let user = existing(&app, &user)?;
    let entry = entry(&act, &user, json!({}));
    Ok(Json(app.accounts.set_password(&user.id, body.password, entry).await?.into()))
}

/// Deletes a user; it ends their sessions. What they did stays.
#[utoipa::path(delete, path = "/api/users/{user}", tag = "identity", params(("user" = String, Path, description = "their id or name")),
    responses((status = 204, description = "they are deleted")))]
pub(crate) async fn delete(
    State(app): State<App>,
    act: Act,
    Names(user): Names<String>,
) -> Result<StatusCode, ApiError> {
    let user = existing(&app, &user)?;
    app.accounts.delete_user(&user.id, entry(&act, &user, json!({}))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn existing(app: &App, id_or_name: &str) -> Result<UserRow, ApiError> {
    let missing = || {
        let name: String = id_or_name.chars().take(64).collect();
        ApiError::new(Code::UserNotFound, format!("there is no user {name:?}; GET /api/users lists them"))
    };
    app.accounts.user(id_or_name).ok_or_else(missing)
}

fn entry(act: &Act, user: &UserRow, mut details: serde_json::Value) -> crate::store::AuditEntry {
    details["name"] = (*user.name).into();
    act.done(&*user.id).with(details)
}
