//! Request bodies: read within limits of size and time, refused before they are buffered where their head tells enough.

mod cloud_events;
mod yaml;

use std::{collections::HashMap, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use weir_engine::{
    definition::JSON_DEPTH_MAX,
    json::{self, Json},
};

pub use self::{cloud_events::EventsBody, yaml::from_yaml};
use super::error::{ApiError, Code, FieldProblem};

/// The most bytes of a JSON or YAML body.
pub const JSON_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a plugin.
pub const PLUGIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many bytes tell what a body is.
const HEAD_BYTES: usize = 4;
const JSON_TIMEOUT: Duration = Duration::from_secs(30);
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(120);
/// How long what is left of a refused body is thrown away, so that a client that writes first gets to read the answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How many bytes of a refused body are thrown away.
const DRAIN_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A JSON body of the shape `T`. An empty body is read as `{}`.
#[derive(Debug)]
pub struct Fields<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Fields<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let is_json = |kind: &str| kind == "application/json";
        let text = text(&parts.headers, body, is_json, "application/json").await?;
        let text = if text.is_empty() { "{}" } else { &text };
        json::check(text).map_err(unacceptable)?;
        fields(text).map(Self)
    }
}

/// A workflow definition, as JSON or YAML.
#[derive(Debug)]
pub struct DefinitionBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for DefinitionBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let kind = media_type(&parts.headers);
        let is_known = |kind: &str| kind == "application/json" || is_yaml(kind);
        let text = text(&parts.headers, body, is_known, "application/json or application/yaml").await?;
        let json = if kind.as_deref().is_some_and(is_yaml) { from_yaml(&text)? } else { text };
        json::check_within(&json, JSON_DEPTH_MAX).map_err(unacceptable)?;
        serde_json::from_str(&json).map(Self).map_err(|e| ApiError::new(Code::InvalidBody, e.to_string()))
    }
}

/// The members of a form that a page sends; of several with one name the last counts.
#[derive(Debug)]
pub struct FormFields(pub HashMap<String, String>);

impl<S: Send + Sync> FromRequest<S> for FormFields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let expected = "application/x-www-form-urlencoded";
        let text = text(&parts.headers, body, |kind| kind == expected, expected).await?;
        Ok(Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }
}

/// A plugin's bytes.
#[derive(Debug)]
pub struct PluginBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for PluginBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let expected = "application/wasm";
        let mut body = accept(&parts.headers, body, |kind| kind == expected, expected, PLUGIN_BYTES_MAX).await?;
        let read = read(&mut body, PLUGIN_BYTES_MAX, PLUGIN_TIMEOUT, looks_like_component);
        let bytes = read.await;
        settle(bytes, &parts.headers, body).await.map(Self)
    }
}

/// Refuses what is no component by its first bytes, so that nobody sends 64 MiB in vain.
fn looks_like_component(head: &[u8]) -> Result<(), ApiError> {
    let refuse = |what: &str| {
        let detail = format!("the body is {what}, not a WebAssembly component; send the .wasm file itself");
        Err(ApiError::new(Code::InvalidPlugin, detail.clone()).with_errors(vec![FieldProblem::new(
            "",
            "not_a_component",
            detail,
        )]))
    };
    match head {
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        [b'P', b'K', ..] => refuse("a zip archive"),
        [0x1f, 0x8b, ..] => refuse("gzip data"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => refuse("zstd data"),
        [0x7f, b'E', b'L', b'F', ..] => refuse("an ELF file (a program or a precompiled component)"),
        [] => refuse("empty"),
        _ if head.get(257..262) == Some(b"ustar") => refuse("a tar archive"),
        _ => refuse("something else (the first bytes are not \\0asm)"),
    }
}

/// The bytes of a body of any type, at most `bytes_max`.
///
/// # Errors
/// It is larger, encoded, too slow, or ends early.
pub(super) async fn raw(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    if let Some(error) = refuse_by_size(headers, &body, bytes_max) {
        return settle(Err(error), headers, body).await;
    }
    let mut body = body;
    let bytes = read(&mut body, bytes_max, JSON_TIMEOUT, |_| Ok(())).await;
    settle(bytes, headers, body).await
}

async fn text(
    headers: &HeaderMap,
    body: Body,
    is_known: impl Fn(&str) -> bool,
    expected: &str,
) -> Result<String, ApiError> {
    let mut body = accept(headers, body, is_known, expected, JSON_BYTES_MAX).await?;
    let bytes = read(&mut body, JSON_BYTES_MAX, JSON_TIMEOUT, |_| Ok(())).await;
    let bytes = settle(bytes, headers, body).await?;
    String::from_utf8(bytes.into()).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        ApiError::new(Code::InvalidBody, format!("the body is not UTF-8: the byte at {at} is wrong"))
    })
}

/// The body, if its head says nothing against it.
async fn accept(
    headers: &HeaderMap,
    body: Body,
    is_known: impl Fn(&str) -> bool,
    expected: &str,
    bytes_max: usize,
) -> Result<Body, ApiError> {
    match refuse_by_head(headers, &body, is_known, expected, bytes_max) {
        None => Ok(body),
        Some(error) => settle(Err(error), headers, body).await.map(|_: Bytes| Body::empty()),
    }
}

fn refuse_by_head(
    headers: &HeaderMap,
    body: &Body,
    is_known: impl Fn(&str) -> bool,
    expected: &str,
    bytes_max: usize,
) -> Option<ApiError> {
    if let Some(error) = refuse_by_size(headers, body, bytes_max) {
        return Some(error);
    }
    let is_empty = body.size_hint().exact() == Some(0);
    match media_type(headers) {
        Some(kind) if is_known(&kind) => None,
        None if is_empty => None,
        Some(kind) => {
            let detail = format!("the content-type {kind:?} is not supported here; send {expected}");
            Some(ApiError::new(Code::UnsupportedMediaType, detail))
        }
        None => Some(ApiError::new(
            Code::UnsupportedMediaType,
            format!("the body has no content-type; send {expected} and say so in the header"),
        )),
    }
}

/// What the head says about a body's size stands against it, or leaves it open.
fn refuse_by_size(headers: &HeaderMap, body: &Body, bytes_max: usize) -> Option<ApiError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Some(too_large(bytes_max));
    }
    let is_encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|v| v != "identity");
    let detail = "the body has a content-encoding; send it as it is";
    is_encoded.then(|| ApiError::new(Code::UnsupportedMediaType, detail))
}

/// The content-type without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_yaml(kind: &str) -> bool {
    matches!(kind, "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml")
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(
        Code::BodyTooLarge,
        format!("the body has more than {bytes_max} bytes, the most that this path takes"),
    )
}

/// Reads a body of at most `bytes_max` bytes; `look` sees its first bytes before the rest is waited for.
async fn read(
    body: &mut Body,
    bytes_max: usize,
    timeout: Duration,
    look: impl Fn(&[u8]) -> Result<(), ApiError>,
) -> Result<Bytes, ApiError> {
    let whole = read_whole(body, bytes_max, look);
    match tokio::time::timeout(timeout, whole).await {
        Ok(bytes) => bytes,
        Err(_) => {
            let detail = format!("the body was not complete after {} s", timeout.as_secs());
            Err(ApiError::new(Code::BodyTimeout, detail))
        }
    }
}

async fn read_whole(
    body: &mut Body,
    bytes_max: usize,
    look: impl Fn(&[u8]) -> Result<(), ApiError>,
) -> Result<Bytes, ApiError> {
    let first = head(body).await?;
    if first.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    look(&first)?;
    if body.is_end_stream() {
        return Ok(first);
    }
    // As much as is announced, so that it does not grow by copies; memory that nobody writes to is not taken.
    let expected = body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default();
    let mut whole = BytesMut::with_capacity(first.len() + expected.min(bytes_max));
    whole.extend_from_slice(&first);
    drop(first);
    while let Some(chunk) = next_chunk(body).await? {
        if whole.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The first bytes of a body: enough of them to tell what it is, however small its pieces are.
async fn head(body: &mut Body) -> Result<Bytes, ApiError> {
    let first = next_chunk(body).await?.unwrap_or_default();
    if first.len() >= HEAD_BYTES {
        return Ok(first);
    }
    let mut head = BytesMut::from(first);
    while head.len() < HEAD_BYTES
        && let Some(chunk) = next_chunk(body).await?
    {
        head.extend_from_slice(&chunk);
    }
    Ok(head.freeze())
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Ok(Some(data));
                }
            }
            Some(Err(e)) => {
                return Err(ApiError::new(Code::InvalidBody, "the body ended early or is malformed").with_source(e));
            }
        }
    }
}

/// Hands a result on; after a refusal it throws away what the client is still sending, for a while and without keeping
/// it, unless the client waits for our word before it sends.
async fn settle<T>(result: Result<T, ApiError>, headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    if result.is_err() {
        throw_away(headers, body).await;
    }
    result
}

/// Throws a body away that is not wanted, for a while: a client that writes first gets to read the answer then.
pub(super) async fn throw_away(headers: &HeaderMap, body: Body) {
    if !headers.contains_key(header::EXPECT) && !body.is_end_stream() {
        drop(tokio::time::timeout(DRAIN_TIMEOUT, drain(body)).await);
    }
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
        if drained > DRAIN_BYTES_MAX {
            return;
        }
    }
}

/// The text is no JSON that we accept: it is not sound, too deep, or has a key twice.
fn unacceptable(error: json::JsonError) -> ApiError {
    ApiError::new(Code::InvalidBody, error.to_string())
}

/// Reads checked JSON as a `T`; says which field is wrong.
///
/// # Errors
/// [`Code::InvalidFields`] with the field's JSON pointer.
pub fn fields<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    // Serde would take a list, too: its items as the fields in their order.
    if !text.trim_start().starts_with('{') {
        let message = "the body must be a JSON object";
        let problem = FieldProblem::new("", "invalid_field", message);
        return Err(ApiError::new(Code::InvalidFields, message).with_errors(vec![problem]));
    }
    // Following the path costs time, so it is followed only where there is something to tell.
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let field = pointer(e.path());
        let message = e.inner().to_string();
        let detail = if field.is_empty() { message.clone() } else { format!("{field}: {message}") };
        ApiError::new(Code::InvalidFields, detail).with_errors(vec![FieldProblem::new(field, "invalid_field", message)])
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { .. } | Segment::Unknown => return pointer,
        };
        pointer.push('/');
        pointer.push_str(&name);
        pointer
    })
}

/// Reads a document of a request that is JSON within JSON.
///
/// # Errors
/// [`Code::InvalidBody`] with the place.
pub fn document(text: &str) -> Result<Json, ApiError> {
    Json::parse(text).map_err(unacceptable)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the shape matters")]
    struct Shape {
        a: Option<Vec<u32>>,
    }

    #[test]
    fn wrong_fields_are_named_by_pointer() {
        let error = fields::<Shape>(r#"{"a": [1, "x"]}"#).unwrap_err();
        assert_eq!(error.code(), Code::InvalidFields);
        assert!(format!("{error:?}").contains("\"/a/1\""), "{error:?}");
        assert!(fields::<Shape>(r#"{"b": 1}"#).is_err());
        for text in ["[]", "[[1]]", "null", "1", "\"x\""] {
            assert_eq!(fields::<Shape>(text).unwrap_err().code(), Code::InvalidFields, "{text}");
        }
    }

    #[test]
    fn archives_are_no_plugins() {
        let mut tar = vec![b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for head in [&b"PK\x03\x04"[..], b"\x1f\x8b\x08", b"\x7fELF", b"", b"hello", &tar] {
            assert!(looks_like_component(head).is_err());
        }
        assert!(looks_like_component(b"\0asm\x0d\0\x01\0").is_ok());
    }
}
