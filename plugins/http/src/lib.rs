//! One tool: a request over HTTP, to the hosts and with the methods that an administrator granted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use weir_sdk::prelude::*;

weir_sdk::plugin! {
    title: "HTTP",
    tools: [request],
    asks: {
        hosts: [{ host: "*", methods: ["*"] }],
        secrets: ["*"],
    },
}

/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// The longest body that a request may have, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest body that an answer may have, in bytes: what a tool answers is at most 1 MiB, and base64 takes a third more.
const ANSWER_BYTES_MAX: usize = 700_000;

/// A request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestInput {
    /// `GET` (the default), `POST`, …
    #[serde(default)]
    pub method: Option<String>,
    /// An absolute URL, http or https.
    pub url: String,
    /// Members that are added to the URL's query.
    #[serde(default)]
    pub query: BTreeMap<String, Scalar>,
    /// Names and values. A value may hold `{{secret:NAME}}`: the host puts the secret in on the way to a host that it is
    /// bound to.
    #[serde(default)]
    pub headers: BTreeMap<String, Scalar>,
    /// A JSON document as the body. Only one of `json`, `body` and `base64` may be given.
    #[serde(default, deserialize_with = "given")]
    pub json: Option<Value>,
    /// A text as the body.
    #[serde(default)]
    pub body: Option<String>,
    /// Any bytes as the body, in base64.
    #[serde(default)]
    pub base64: Option<String>,
    /// How long the answer may take, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// A JSON `null` is a body too.
fn given<'de, D: weir_sdk::serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A value of a header or of a query.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(weir_sdk::serde_json::Number),
    /// `true` or `false`.
    Bool(bool),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Number(number) => number.fmt(formatter),
            Self::Bool(flag) => flag.fmt(formatter),
        }
    }
}

/// An answer. One of `json`, `text` and `base64` holds its body.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct RequestOutput {
    /// The status. Every status is an answer: the step fails only where none came.
    pub status: u16,
    /// Whether the status is 200 to 299.
    pub ok: bool,
    /// Names, in lower case, and values; those of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Where the answer came from, after redirects.
    pub url: String,
    /// The body, where its type is JSON and it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body in base64, where it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// Sends a request over HTTP.
///
/// Every status is an answer; the step fails only where none came. Redirects are followed. What may be reached, and by
/// which methods, an administrator grants.
#[tool(timeout_ms = 60_000, fuel = 4_000_000_000)]
pub fn request(input: RequestInput) -> Result<RequestOutput> {
    let method = input.method.clone().unwrap_or_else(|| "GET".into()).to_ascii_uppercase();
    let mut request = http::Request::new(method, with_query(&input.url, &input.query));
    if input.headers.len() > HEADERS_MAX {
        let message = format!("headers has {} members, the most is {HEADERS_MAX}", input.headers.len());
        return Err(Failure::invalid_input(message));
    }
    for (name, value) in &input.headers {
        request = request.header(name.to_ascii_lowercase(), value.to_string());
    }
    request = with_body(request, &input)?;
    request.timeout_ms = input.timeout_ms;
    answer(request.send()?)
}

/// The URL with members added to its query, before its fragment.
fn with_query(url: &str, query: &BTreeMap<String, Scalar>) -> String {
    if query.is_empty() {
        return url.to_owned();
    }
    let (address, fragment) = url.split_once('#').map_or((url, None), |(address, fragment)| (address, Some(fragment)));
    let (address, known) = address.split_once('?').unwrap_or((address, ""));
    let mut all = form_urlencoded::Serializer::new(known.to_owned());
    for (name, value) in query {
        all.append_pair(name, &value.to_string());
    }
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{address}?{}{fragment}", all.finish())
}

fn with_body(request: http::Request, input: &RequestInput) -> Result<http::Request> {
    let request = match (&input.json, &input.body, &input.base64) {
        (None, None, None) => request,
        (Some(json), None, None) => request.json(json)?,
        (None, Some(text), None) => request.body(text.as_bytes()),
        (None, None, Some(base64)) => request.body(
            STANDARD
                .decode(base64)
                .map_err(|error| Failure::invalid_input(format!("base64 cannot be read: {error}")))?,
        ),
        _ => return Err(Failure::invalid_input("json, body and base64 are all bodies: give one of them")),
    };
    if request.body.len() > BODY_BYTES_MAX {
        let message = format!("the body has {} bytes, the most is {BODY_BYTES_MAX}", request.body.len());
        return Err(Failure::invalid_input(message));
    }
    Ok(request)
}

fn answer(answer: http::Response) -> Result<RequestOutput> {
    if answer.body.len() > ANSWER_BYTES_MAX {
        let message = format!(
            "the answer of {} has {} bytes, the most is {ANSWER_BYTES_MAX}: ask for less of it",
            answer.url,
            answer.body.len()
        );
        return Err(Failure::failed(message));
    }
    let mut output =
        RequestOutput { status: answer.status, ok: answer.is_success(), url: answer.url.clone(), ..Default::default() };
    if is_json(answer.header("content-type").unwrap_or_default())
        && let Ok(json) = weir_sdk::serde_json::from_slice(&answer.body)
    {
        output.json = Some(json);
    } else {
        match String::from_utf8(answer.body) {
            Ok(text) => output.text = Some(text),
            Err(bytes) => output.base64 = Some(STANDARD.encode(bytes.as_bytes())),
        }
    }
    for (name, value) in answer.headers {
        let joined = output.headers.entry(name.to_ascii_lowercase()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&value);
    }
    Ok(output)
}

/// `application/json`, `application/problem+json; charset=utf-8`, …
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests;
