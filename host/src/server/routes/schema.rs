//! Descriptions for programs: the API's and the workflow definition's.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::server::openapi as document;

/// Describes this API as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/openapi.json", tag = "host", responses((status = 200, description = "the document", body = Object)))]
pub(crate) async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], document::text()).into_response()
}

/// Describes workflow definitions as JSON Schema (draft 2020-12).
#[utoipa::path(get, path = "/api/schema/workflow", tag = "workflows", responses((status = 200, description = "the schema", body = Object)))]
pub(crate) async fn workflow() -> Json<Value> {
    Json(weir_engine::definition::definition_schema())
}
