//! Webhooks: requests from outside, which prove by themselves that they may start something.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse as _,
};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use utoipa::ToSchema;
use weir_engine::execution::Status;

use crate::{
    driver::Finished,
    server::{
        App, WORK_KIB_MAX, body,
        error::{ApiError, Code, Problem},
        view::ExecutionView,
    },
    trigger::{
        config::{BODY_BYTES_DEFAULT, BODY_BYTES_MAX, is_path},
        webhook::{self, ContentError, Endpoint, Headers, ReceiveError, Received},
    },
};

/// A body that is not larger is worked on at once.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// How long a larger one waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// What stands before the path of a trigger.
const PREFIX: &str = "/webhooks/";

/// What became of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceivedView {
    /// The execution that it started, or that the first of its copies did; null where its trigger's filter did not let it
    /// pass.
    #[schema(value_type = Option<String>)]
    execution_id: Option<Arc<str>>,
    /// `running`, `duplicate` or `filtered`.
    status: &'static str,
    /// The delivery; null for a copy.
    #[schema(value_type = Option<String>)]
    delivery_id: Option<Arc<str>>,
}

/// Starts an execution by a request from outside, which is verified as its trigger says: without a token.
#[utoipa::path(post, path = "/webhooks/{path}", tag = "webhooks",
    params(("path" = String, Path, description = "the path of the trigger, slashes included")),
    request_body(description = "the input", content((Object = "application/json"), (Object = "application/x-www-form-urlencoded"), (String = "text/plain"))),
    responses(
        (status = 200, description = "the workflow's output, where the trigger waits for it; or a copy of what came before, or filtered: `ReceivedView`", body = ReceivedView),
        (status = 202, description = "an execution runs, and is durable", body = ReceivedView),
        (status = 401, description = "its signature, time or token is wrong or missing; always the same bytes", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no trigger takes webhooks here", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "the trigger, or its workflow, is switched off", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "the workflow whose output was waited for did not complete; `details` is the execution", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn receive(State(app): State<App>, request: Request) -> Result<Response<Body>, ApiError> {
    receive_below(PREFIX, &app, request).await
}

/// Takes a request whose path begins with `prefix`.
pub(super) async fn receive_below(prefix: &str, app: &App, request: Request) -> Result<Response<Body>, ApiError> {
    // The path counts as it was sent: no other spelling leads to a trigger.
    let path = request.uri().path().strip_prefix(prefix).filter(|path| is_path(path)).ok_or_else(unknown)?.to_owned();
    let endpoint = app.webhooks.endpoint(&path).await?.ok_or_else(unknown)?;
    let (parts, body) = request.into_parts();
    let headers: Headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let query = parts.uri.query().map(str::to_owned);
    let (body, _room) = match read(app, &endpoint, &parts.headers, body).await {
        Ok(read) => read,
        Err(error) => {
            app.webhooks.refused(&endpoint, &headers, query.as_deref(), error.detail()).await;
            return Err(error);
        }
    };
    let _turn = turn(app, body.len()).await?;
    let request = webhook::Request { method: "POST", headers, query, body };
    match app.webhooks.receive(&endpoint, request).await {
        Ok(received) => answer(received),
        Err(ReceiveError::Refused) => Ok(refusal()),
        Err(error) => Err(error.into()),
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::WebhookNotFound, "no trigger takes webhooks at this path; check how it is written")
}

/// Reads a body, and keeps the room that a large one takes: so that a few senders cannot take all memory.
async fn read(
    app: &App,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
    let bytes_max = endpoint.config.body_bytes_max.min(BODY_BYTES_MAX);
    let expected = body.size_hint().upper().unwrap_or(bytes_max).min(bytes_max);
    let room = if expected > BODY_BYTES_DEFAULT { room(app, expected).map(Some) } else { Ok(None) };
    let room = match room {
        Ok(room) => room,
        Err(error) => {
            body::throw_away(headers, body).await;
            return Err(error);
        }
    };
    let bytes = body::raw(headers, body, usize::try_from(bytes_max).unwrap_or(usize::MAX)).await?;
    Ok((bytes, room))
}

fn room(app: &App, bytes: u64) -> Result<OwnedSemaphorePermit, ApiError> {
    let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
    let busy = |_| ApiError::new(Code::Unavailable, "too many large bodies come in at the moment; try again");
    Arc::clone(&app.large_bodies).try_acquire_many_owned(mib).map_err(busy)
}

/// Waits until a body of so many bytes may be worked on; small ones always may.
async fn turn(app: &App, bytes: usize) -> Result<Option<SemaphorePermit<'_>>, ApiError> {
    if bytes <= SMALL_BYTES_MAX {
        return Ok(None);
    }
    let kib = u32::try_from(bytes.div_ceil(1024).min(WORK_KIB_MAX)).unwrap_or(u32::MAX);
    match tokio::time::timeout(TURN_TIMEOUT, app.work.acquire_many(kib)).await {
        Ok(Ok(turn)) => Ok(Some(turn)),
        Ok(Err(_)) | Err(_) => Err(ApiError::new(Code::Unavailable, "too many bodies are worked on; try again")),
    }
}

/// How a request that was taken is answered.
fn answer(received: Received) -> Result<Response<Body>, ApiError> {
    Ok(match received {
        Received::Started { finished: Some(finished), .. } => output(*finished)?,
        Received::Started { delivery_id, execution_id, finished: None } => {
            let (execution_id, delivery_id) = (Some(execution_id), Some(delivery_id));
            let view = ReceivedView { execution_id, status: Status::Running.as_str(), delivery_id };
            (StatusCode::ACCEPTED, Json(view)).into_response()
        }
        Received::Duplicate { execution_id } => {
            let view = ReceivedView { execution_id: Some(execution_id), status: "duplicate", delivery_id: None };
            Json(view).into_response()
        }
        Received::Filtered { delivery_id } => {
            let view = ReceivedView { execution_id: None, status: "filtered", delivery_id: Some(delivery_id) };
            Json(view).into_response()
        }
    })
}

/// The output of a workflow that completed. The sender did nothing wrong where it did not: the fault lies behind the host.
fn output(finished: Finished) -> Result<Response<Body>, ApiError> {
    if finished.execution.row.status == Status::Completed {
        let id = finished.execution.row.id.to_string();
        let output = finished.execution.output.map_or_else(|| "null".to_owned(), |output| output.text().to_owned());
        let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (EXECUTION_HEADER, id)];
        return Ok((headers, output).into_response());
    }
    let view = ExecutionView::new(finished.execution, finished.step_outputs);
    let details = serde_json::to_value(&view).map_err(ApiError::internal)?;
    let detail = "the workflow did not complete; details has its execution";
    Err(ApiError::new(Code::WorkflowFailed, detail).with_details(details))
}

/// Names the execution where the body is its output.
const EXECUTION_HEADER: header::HeaderName = header::HeaderName::from_static("x-execution-id");

/// The answer to every request that does not prove where it comes from: always the same bytes.
fn refusal() -> Response<Body> {
    const BODY: &str = concat!(
        r#"{"type":"urn:weir:problem:unauthorized","title":"the request is not verified","status":401,"#,
        r#""code":"unauthorized","detail":"its signature, time or token is wrong or missing; the deliveries of the "#,
        r#"trigger say which"}"#
    );
    (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "application/problem+json")], BODY).into_response()
}

impl From<ReceiveError> for ApiError {
    fn from(error: ReceiveError) -> Self {
        let detail = error.to_string();
        match error {
            ReceiveError::Refused => Self::new(Code::Unauthorized, detail),
            ReceiveError::Disabled => Self::new(Code::TriggerDisabled, detail),
            ReceiveError::Content(ContentError::Unsupported) => Self::new(Code::UnsupportedMediaType, detail),
            ReceiveError::Content(ContentError::Malformed(_)) => Self::new(Code::InvalidBody, detail),
            ReceiveError::FailedBefore { .. } => Self::new(Code::FailedBefore, detail),
            ReceiveError::Fire(error) => error.into(),
        }
    }
}
