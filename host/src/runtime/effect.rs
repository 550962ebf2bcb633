//! What a running call may ask its host to do, and the documents that answer it. Both are journalled, so their shapes
//! are kept.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
    limits::Room,
};

/// A thing that a running call asks the host to do. It is recorded before it is done, and answered with a document.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Calls of tools, beside each other. Answered by an array of [`ToolAnswer`], in the order of the calls.
    Tools(Vec<ToolCall>),
    /// One request to a model. Answered by the object that WIT's `chat.send` describes.
    Model(ChatTurn),
    /// A request over HTTP. Answered by an [`HttpResponse`].
    Http(HttpRequest),
    /// An operation on the plugin's documents. Answered as its kind says.
    Kv(KvOperation),
}

/// One call of a tool.
#[derive(Debug, Clone, Serialize)]
pub struct ToolCall {
    /// Its name, as the agent uses it.
    pub tool: String,
    /// What it is given.
    pub input: Json,
}

/// How one call of a tool ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolAnswer {
    /// What it answered.
    Ok(Json),
    /// Why there is no answer.
    Failure(Failure),
}

impl ToolAnswer {
    /// The document that answers [`Effect::Tools`].
    #[must_use]
    pub fn document(answers: &[Self]) -> Json {
        document(&answers)
    }
}

impl From<Result<Json, Failure>> for ToolAnswer {
    fn from(result: Result<Json, Failure>) -> Self {
        match result {
            Ok(output) => Self::Ok(output),
            Err(failure) => Self::Failure(failure),
        }
    }
}

/// One send of a conversation with a model.
#[derive(Debug, Clone, Serialize)]
pub struct ChatTurn {
    /// The options that the conversation began with: an object.
    pub options: Json,
    /// All messages so far, answers of the model included. Each is an object.
    pub messages: Vec<Json>,
    /// How many of the messages were there at the send before this one; 0 for the first.
    pub sent_before: usize,
}

/// A request over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// An absolute URL.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Bytes,
    /// How long the answer may take; the host's own limit if nobody says.
    pub timeout: Option<Duration>,
}

/// A whole answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Where the answer came from, after redirects.
    pub url: String,
    /// The body: `body` where it is a text, or `body_base64`.
    #[serde(flatten)]
    pub body: HttpBody,
}

/// A body in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpBody {
    /// A text.
    #[serde(rename = "body")]
    Text(String),
    /// Bytes that are no text, or one that would grow too much as JSON, in base64.
    #[serde(rename = "body_base64")]
    Base64(String),
}

/// An operation on the documents of one plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KvOperation {
    /// The document under a key. Answered by a [`KvEntry`], or null if there is none.
    Get {
        /// Who shares it.
        space: KvSpace,
        /// Its key.
        key: String,
    },
    /// Writes a document. Answered by null.
    Set {
        /// Who shares it.
        space: KvSpace,
        /// Its key.
        key: String,
        /// The document.
        value: Json,
    },
    /// Takes a document away. Answered by whether there was one.
    Delete {
        /// Who shares it.
        space: KvSpace,
        /// Its key.
        key: String,
    },
    /// Writes or takes away a document if it equals what is expected. Answered by whether it did.
    CompareAndSet {
        /// Who shares it.
        space: KvSpace,
        /// Its key.
        key: String,
        /// What must be there; `None`: nothing may be there.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<Json>,
        /// What will be there; `None`: nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Json>,
    },
    /// Keys in order. Answered by an array of texts.
    Keys {
        /// Who shares them.
        space: KvSpace,
        /// What they begin with.
        prefix: String,
        /// After which key; from the first if nobody says.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
}

impl KvOperation {
    /// What it is called: `set settings`, `keys user/`.
    #[must_use]
    pub fn name(&self) -> String {
        let (what, key) = match self {
            Self::Get { key, .. } => ("get", key),
            Self::Set { key, .. } => ("set", key),
            Self::Delete { key, .. } => ("delete", key),
            Self::CompareAndSet { key, .. } => ("compare_and_set", key),
            Self::Keys { prefix, .. } => ("keys", prefix),
        };
        format!("{what} {key}")
    }
}

/// Who shares a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KvSpace {
    /// All calls of the plugin.
    Plugin,
    /// All calls of the plugin in one workflow.
    Workflow,
}

/// A document that is there: the wrapping tells a stored null from none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KvEntry {
    /// The document.
    pub value: Json,
}

/// An answer over HTTP whose body streams. Dropping it ends the exchange.
pub trait HttpAnswer: Send + Sync {
    /// The status.
    fn status(&self) -> u16;

    /// Names, in lower case, and values.
    fn headers(&self) -> Vec<(String, Bytes)>;

    /// The next bytes of the body; `None` at its end.
    fn chunk(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>>;
}

/// What the host does for a running call.
pub trait CallHost: Send + Sync {
    /// Does what the call asks for, or says why not. It is recorded before it is answered. The future is dropped when
    /// the call ends early.
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>>;

    /// The tools that the call may use: an array of `{name, title, description, input_schema, output_schema}`.
    fn tools(&self) -> BoxFuture<'static, Json> {
        Box::pin(std::future::ready(Json::from_value(serde_json::Value::Array(Vec::new()))))
    }

    /// What is left under all limits around the call.
    fn budget(&self) -> BoxFuture<'static, Room> {
        Box::pin(std::future::ready(Room::default()))
    }

    /// Sends a request whose answer streams: granted and counted like [`Effect::Http`], and not journalled.
    fn open_http(&self, request: HttpRequest) -> BoxFuture<'static, Result<Box<dyn HttpAnswer>, Failure>> {
        let message =
            format!("could not send {} to {:.200}: the call was granted no host", request.method, request.url);
        Box::pin(std::future::ready(Err(Failure::new(FailureCode::Denied, message))))
    }
}

/// The host of a call that has no powers: everything is denied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Powerless;

impl CallHost for Powerless {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        Box::pin(std::future::ready(effect.not_granted()))
    }
}

impl Effect {
    /// The answer to an effect that nobody granted.
    ///
    /// # Errors
    /// Always, except that each call of a tool has a failure of its own.
    pub fn not_granted(&self) -> Result<Json, Failure> {
        let denied = |message: String| Failure::new(FailureCode::Denied, message);
        Err(denied(match self {
            Self::Tools(calls) => {
                let each = calls.iter().map(|call| {
                    ToolAnswer::Failure(denied(format!("could not call tool {:?}: it was not granted", call.tool)))
                });
                return Ok(ToolAnswer::document(&each.collect::<Vec<_>>()));
            }
            Self::Model(_) => "could not ask a model: none was granted".to_owned(),
            Self::Http(request) => format!("could not send a request to {:.200}: no host was granted", request.url),
            Self::Kv(_) => "could not use the store of documents: it was not granted".to_owned(),
        }))
    }
}

/// A document of ours; it has no part that JSON cannot express.
pub(crate) fn document(value: &impl Serialize) -> Json {
    serde_json::to_string(value).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(Json::null)
}

impl HttpBody {
    /// A body as it came.
    #[must_use]
    pub fn new(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if escapes(text) <= bytes.len() / 3 => Self::Text(text.to_owned()),
            Ok(_) | Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// The body's bytes.
    ///
    /// # Errors
    /// What should be base64 is not.
    pub fn into_bytes(self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64(text) => STANDARD.decode(text),
        }
    }
}

/// How many bytes a text grows when it is written as JSON.
fn escapes(text: &str) -> usize {
    let grows = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.as_bytes().iter().map(grows).sum()
}

impl Serialize for HttpRequest {
    /// As a document: the body as in [`HttpResponse`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("HttpRequest", 5)?;
        out.serialize_field("method", &self.method)?;
        out.serialize_field("url", &self.url)?;
        out.serialize_field("headers", &self.headers)?;
        match HttpBody::new(&self.body) {
            HttpBody::Text(text) => out.serialize_field("body", &text)?,
            HttpBody::Base64(text) => out.serialize_field("body_base64", &text)?,
        }
        match self.timeout {
            Some(timeout) => out.serialize_field("timeout_ms", &u64::try_from(timeout.as_millis()).ok())?,
            None => out.skip_field("timeout_ms")?,
        }
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(effect: &Effect) -> serde_json::Value {
        serde_json::to_value(effect).unwrap()
    }

    #[test]
    fn effects_are_documents() {
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: "https://a.example/".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: Bytes::from_static(b"\xff\x00"),
            timeout: Some(Duration::from_secs(1)),
        };
        let expected = json!({ "http": { "method": "POST", "url": "https://a.example/", "headers": [["accept", "*/*"]],
            "body_base64": "/wA=", "timeout_ms": 1000 } });
        assert_eq!(shown(&Effect::Http(request)), expected);
        let get = KvOperation::Get { space: KvSpace::Workflow, key: "a".to_owned() };
        assert_eq!(shown(&Effect::Kv(get)), json!({ "kv": { "get": { "space": "workflow", "key": "a" } } }));
        let call = ToolCall { tool: "a.b".to_owned(), input: Json::from_value(json!([1])) };
        assert_eq!(shown(&Effect::Tools(vec![call])), json!({ "tools": [{ "tool": "a.b", "input": [1] }] }));
    }

    #[test]
    fn a_body_is_a_text_where_that_is_no_longer() {
        assert_eq!(HttpBody::new(&Bytes::from_static(b"{\"a\": 1}")), HttpBody::Text("{\"a\": 1}".to_owned()));
        for body in [&b"\xff"[..], &[1; 30]] {
            let body = Bytes::copy_from_slice(body);
            assert!(matches!(HttpBody::new(&body), HttpBody::Base64(_)));
            assert_eq!(HttpBody::new(&body).into_bytes().unwrap(), body);
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for body in [Bytes::from_static(b"text"), Bytes::from_static(b"\xff"), Bytes::new()] {
            let headers = vec![("a".to_owned(), "b".to_owned())];
            let answer = HttpResponse { status: 200, headers, url: "u".to_owned(), body: HttpBody::new(&body) };
            let read: HttpResponse = serde_json::from_str(document(&answer).text()).unwrap();
            assert_eq!(read, answer);
        }
        let answers = [ToolAnswer::Ok(Json::null()), ToolAnswer::Failure(Failure::new(FailureCode::Failed, "no"))];
        assert_eq!(
            ToolAnswer::document(&answers).text(),
            r#"[{"ok":null},{"failure":{"code":"failed","message":"no"}}]"#
        );
        let read: Vec<ToolAnswer> = serde_json::from_str(ToolAnswer::document(&answers).text()).unwrap();
        assert!(matches!(&read[..], [ToolAnswer::Ok(ok), ToolAnswer::Failure(_)] if ok.value().is_null()));
    }
}
