//! Events of a request: CloudEvents 1.0 in the binary, the structured and the batch mode.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use serde_json::Value;
use weir_engine::json;

use super::{JSON_BYTES_MAX, JSON_TIMEOUT, accept, media_type, read, settle, unacceptable};
use crate::{
    server::error::{ApiError, Code, FieldProblem},
    store::NewBusEvent,
    trigger::cloud_event::{self, EventProblem},
};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const PREFIX: &str = "ce-";

/// The events of a body, all of them sound.
#[derive(Debug)]
pub struct EventsBody(pub Vec<NewBusEvent>);

impl<S: Send + Sync> FromRequest<S> for EventsBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = bytes(&parts.headers, body).await?;
        let kind = media_type(&parts.headers);
        let events = match kind.as_deref() {
            Some(STRUCTURED) => cloud_event::structured(&document(&bytes)?).map(|event| vec![event]),
            Some(BATCH) => cloud_event::batch(&document(&bytes)?),
            Some(_) | None => binary(&parts.headers, &bytes)?.map(|event| vec![event]),
        };
        events.map(Self).map_err(refused)
    }
}

async fn bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    // Any other type of this family is one that nobody here can read; all else is the data of a binary event.
    let is_known = |kind: &str| [STRUCTURED, BATCH].contains(&kind) || !kind.starts_with("application/cloudevents");
    let expected = format!("{STRUCTURED}, {BATCH}, or the data itself with ce- headers");
    let mut body = accept(headers, body, is_known, &expected, JSON_BYTES_MAX).await?;
    let bytes = read(&mut body, JSON_BYTES_MAX, JSON_TIMEOUT, |_| Ok(())).await;
    settle(bytes, headers, body).await
}

fn document(bytes: &[u8]) -> Result<Value, ApiError> {
    let wrong = |reason: String| ApiError::new(Code::InvalidBody, reason);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| wrong(format!("the body is not UTF-8: the byte at {} is wrong", e.valid_up_to())))?;
    json::check(text).map_err(unacceptable)?;
    serde_json::from_str(text).map_err(|e| wrong(e.to_string()))
}

fn binary(headers: &HeaderMap, bytes: &[u8]) -> Result<Result<NewBusEvent, Vec<EventProblem>>, ApiError> {
    let attributes: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(PREFIX)?.to_owned(), value.as_bytes().to_vec())))
        .collect();
    if attributes.is_empty() {
        let detail = format!("this is no event: send it as {STRUCTURED}, or its attributes in ce- headers");
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    Ok(cloud_event::binary(&attributes, kind, bytes))
}

fn refused(problems: Vec<EventProblem>) -> ApiError {
    let problems: Vec<_> = problems
        .into_iter()
        .map(|problem| FieldProblem::new(problem.field, "invalid_event", problem.message))
        .collect();
    let detail = match problems.as_slice() {
        [only] => only.message.clone(),
        all => format!("nothing was stored: {} problems, see errors", all.len()),
    };
    ApiError::new(Code::InvalidFields, detail).with_errors(problems)
}
