//! Requests over HTTP to the hosts that were asked for (`asks: { hosts: ["api.example.com"] }`) and granted.
//!
//! Each request passes the host's egress guard: it reaches public addresses only, redirects are followed by the host and
//! checked like requests, and numbers and sizes have limits. Secrets are not seen by the plugin: [`secret`] stands for
//! one, and the host puts it in on the way to a host that the secret is bound to.
//!
//! ```
//! use weir_sdk::{http, prelude::*, testing::Host};
//!
//! fn temperature(city: &str) -> Result<f64> {
//!     let answer = http::get(format!("https://weather.example.com/{city}"))
//!         .header("authorization", format!("Bearer {}", http::secret("weather_key")))
//!         .send()?
//!         .success()?;
//!     Ok(answer.json::<Value>()?["celsius"].as_f64().unwrap_or_default())
//! }
//!
//! let host = Host::new().http(|_request| Ok(http::Response::of_json(200, &json!({ "celsius": 21.5 }))));
//! let ran = host.run(|| temperature("Berlin"));
//! assert_eq!(ran.result, Ok(21.5));
//! assert_eq!(ran.requests[0].url, "https://weather.example.com/Berlin");
//! ```

use crate::{Failure, dispatch, host};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest part of an answer that a failure repeats, in bytes.
const EXCERPT_BYTES_MAX: usize = 300;

/// A request, made step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a request does nothing before it is sent"]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// An absolute URL, http or https.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// How long the answer may take, in milliseconds; at most what is left of the call.
    pub timeout_ms: Option<u64>,
}

/// Begins a `GET`.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// Begins a `POST` of a JSON document.
///
/// Fails where the value cannot be written as JSON.
pub fn post_json<T: Serialize + ?Sized>(url: impl Into<String>, value: &T) -> Result<Request, Failure> {
    Request::new("POST", url).json(value)
}

/// What stands for a secret in a header's value: `{{secret:NAME}}`.
///
/// The secret has to be asked for (`asks: { secrets: ["NAME"] }`) and granted, and bound to the request's host.
pub fn secret(name: &str) -> String {
    format!("{{{{secret:{name}}}}}")
}

impl Request {
    /// Begins a request.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), ..Self::default() }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a JSON document, and `content-type` where none is set.
    ///
    /// Fails where the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, Failure> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Failure::failed(format!("could not write the request's body as JSON: {error}")))?;
        let typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let request = if typed { self } else { self.header("content-type", "application/json") };
        Ok(request.body(body))
    }

    /// Sets how long the answer may take, in milliseconds.
    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Sends the request and waits for the whole answer.
    ///
    /// Every status is an answer. Fails with [`Failure::Denied`] where the request was not granted, with
    /// [`Failure::Unavailable`] where the server cannot be reached, and with [`Failure::Failed`] where its answer is too
    /// large or makes no sense.
    pub fn send(self) -> Result<Response, Failure> {
        host::send_http(self)
    }
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// Where the answer came from, after redirects.
    pub url: String,
}

impl Response {
    /// An answer with a JSON document, for tests.
    pub fn of_json<T: Serialize + ?Sized>(status: u16, value: &T) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { status, headers: vec![("content-type".into(), "application/json".into())], body, url: String::new() }
    }

    /// An answer with a body of a type, for tests.
    pub fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".into(), content_type.into())];
        Self { status, headers, body: body.into(), url: String::new() }
    }

    /// The first header of a name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer, if its status is 200 to 299.
    ///
    /// Fails with [`Failure::Unavailable`] for 408, 425, 429 and 5xx, where a later attempt may work, and with
    /// [`Failure::Failed`] for all others; the text repeats the beginning of the body.
    pub fn success(self) -> Result<Self, Failure> {
        if self.is_success() {
            return Ok(self);
        }
        let text = self.text();
        let excerpt = text.get(..text.floor_char_boundary(EXCERPT_BYTES_MAX)).unwrap_or_default();
        let message = format!("{} answered {}: {excerpt}", self.url, self.status);
        let later = matches!(self.status, 408 | 425 | 429 | 500..=599);
        Err(if later { Failure::unavailable(message) } else { Failure::failed(message) })
    }

    /// The body as text; what is not UTF-8 becomes `�`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads the body as JSON.
    ///
    /// Fails with [`Failure::Failed`] where it is not of the wanted type, and names the place.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        dispatch::decode("body", &self.text()).map_err(|failure| {
            Failure::failed(format!("could not read the answer of {}: {}", self.url, failure.message()))
        })
    }
}
