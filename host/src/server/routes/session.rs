//! Sessions of users in a browser: signed in, shown, signed out.

use axum::{
    Extension, Json,
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    accounts::{AccountError, ChangedPassword},
    identity::Kind,
    server::{
        App,
        act::{Act, Object},
        auth,
        body::Fields,
        error::{ApiError, Code, Problem},
        gate::{self, Who},
        network::Peer,
        view::{SessionView, Time},
    },
    store,
};

/// The most characters of a name in a row of the audit log.
const NAME_CHARS_MAX: usize = 64;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInBody {
    /// The user's name.
    name: String,
    /// The password.
    password: String,
}

/// Begins a session: the answer sets a cookie that scripts cannot read and other sites cannot use.
#[utoipa::path(post, path = "/api/session", tag = "identity", request_body = SignInBody,
    responses(
        (status = 200, description = "who signed in", body = SessionView),
        (status = 401, description = "the name or the password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "a page of another site asks", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "too many attempts failed; `retry-after` says how long to wait", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn create(
    State(app): State<App>,
    act: Act,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Response> {
    // Signing somebody in from another site is an attack as well.
    if app.network.is_own_page(&request) == Some(false) {
        return Err(gate::cross_origin().into_response());
    }
    let Fields(body) = Fields::<SignInBody>::from_request(request, &()).await.map_err(ApiError::into_response)?;
    let tried = Object(body.name.chars().take(NAME_CHARS_MAX).collect());
    let entry = |who: &crate::identity::Principal| {
        act.done_by(who, &*who.name).with(json!({ "from": peer.address.to_string() }))
    };
    let signed_in = app.accounts.sign_in(&body.name, body.password, peer.counted_as(), entry).await;
    let signed_in = signed_in.map_err(|error: AccountError| {
        let mut response = ApiError::from(error).into_response();
        response.extensions_mut().insert(tried);
        response
    })?;
    let seconds = (signed_in.expires_at.0 - store::now().0) / 1_000_000;
    let view = SessionView::new(&signed_in.principal, Some(Time(signed_in.expires_at)));
    Ok((StatusCode::OK, [cookie(&signed_in.cookie, seconds, peer)], Json(view)).into_response())
}

/// Tells who asks, and what they may do.
#[utoipa::path(get, path = "/api/session", tag = "identity",
    responses((status = 200, description = "who asks", body = SessionView)))]
pub(crate) async fn show(State(app): State<App>, Who(who): Who, headers: HeaderMap) -> Json<SessionView> {
    let expires_at = auth::session_cookie(&headers).and_then(|cookie| app.accounts.session_expires_at(cookie));
    Json(SessionView::new(&who, expires_at.map(Time)))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/session", tag = "identity",
    responses((status = 204, description = "there is no session any more")))]
pub(crate) async fn delete(
    State(app): State<App>,
    act: Act,
    Who(who): Who,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(session) = auth::session_cookie(&headers) {
        app.accounts.sign_out(session, act.done(&*who.name)).await?;
    }
    Ok((StatusCode::NO_CONTENT, [cookie("", 0, peer)]).into_response())
}

/// A new password of whoever asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePasswordBody {
    /// The current password.
    current_password: String,
    /// The new one: at least 12 characters.
    password: String,
}

/// Gives the user who asks a new password. It takes a session and the current password, and ends all other sessions of
/// the user.
#[utoipa::path(post, path = "/api/session/password", tag = "identity", request_body = ChangePasswordBody,
    responses(
        (status = 204, description = "it is changed, and this session goes on"),
        (status = 403, description = "the current password is wrong, or whoever asks is no user with a session", body = Problem,
            content_type = "application/problem+json"),
        (status = 429, description = "too many attempts failed; `retry-after` says how long to wait", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn change_password(
    State(app): State<App>,
    act: Act,
    Who(who): Who,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Fields(body): Fields<ChangePasswordBody>,
) -> Result<StatusCode, ApiError> {
    let session = auth::session_cookie(&headers);
    let (Kind::User(id), Some(session)) = (&who.kind, session) else {
        let detail = "only users change their password, in a session of theirs; an admin gives one at /api/users";
        return Err(ApiError::new(Code::Forbidden, detail));
    };
    let entry = act.done(&**id).with(json!({ "name": *who.name, "from": peer.address.to_string() }));
    let passwords = ChangedPassword { current: body.current_password, new: body.password };
    app.accounts.change_password(id, session, passwords, peer.counted_as(), entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The header that sets the session's cookie.
fn cookie(value: &str, seconds: i64, peer: Peer) -> (header::HeaderName, HeaderValue) {
    let secure = if peer.https { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}", auth::COOKIE);
    (header::SET_COOKIE, HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("")))
}
