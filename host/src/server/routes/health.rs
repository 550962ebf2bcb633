//! Whether the host lives, and whether it takes requests.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::{
    App,
    error::{ApiError, Code},
};

/// How the host is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// The host's version.
    version: &'static str,
}

const OK: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// Tells that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "host", responses((status = 200, description = "it lives", body = Health)))]
pub(crate) async fn alive() -> Json<Health> {
    Json(OK)
}

/// Tells whether the host takes requests: not before recovery is done, and not once it stops.
#[utoipa::path(get, path = "/readyz", tag = "host", responses((status = 200, description = "it is ready", body = Health)))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    if app.is_ready() {
        Ok(Json(OK))
    } else {
        Err(ApiError::new(Code::Unavailable, "the host is starting and recovers its executions; try again"))
    }
}
