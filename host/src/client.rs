//! A client of the API, for the command line.

use std::{collections::VecDeque, time::Duration};

pub use axum::http::Method;
use axum::http::{Request, Uri, header, uri::Authority};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The most bytes of one event of a stream.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one that this client can use.
    #[error("could not use {url:?} as the host's URL: write http://ADDRESS:PORT")]
    Url {
        /// The URL.
        url: String,
    },
    /// Nobody listens there.
    #[error("could not reach {url}: is the host running? start it with `weir serve`, or name another with --url")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// The answer broke off, or is not what the API says.
    #[error("could not read the host's answer to {request}: {reason}")]
    Answer {
        /// Method and path.
        request: String,
        /// Why.
        reason: String,
    },
    /// The host refused, and says why.
    #[error("{}", problem_text(.0))]
    Problem(Value),
}

fn problem_text(problem: &Value) -> String {
    let text = |field: &str| problem[field].as_str().unwrap_or_default();
    let mut lines = match (text("title"), text("detail")) {
        (title, "") => title.to_owned(),
        ("", detail) => detail.to_owned(),
        (title, detail) => format!("{title}: {detail}"),
    };
    for error in problem["errors"].as_array().into_iter().flatten() {
        let line = |name: &str| error[name].as_str().unwrap_or_default();
        let step = error["step_id"].as_str().map(|step| format!(" (step {step})")).unwrap_or_default();
        lines.push_str(&format!("\n  {}{step}: {}", line("field"), line("message")));
    }
    lines
}

/// What a request carries.
#[derive(Debug, Clone)]
pub enum Sent {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(Value),
    /// Bytes of a content type.
    Bytes(&'static str, Bytes),
}

/// A client of one host.
#[derive(Debug, Clone)]
pub struct Client {
    authority: Authority,
    token: String,
    /// The cookie of a session.
    session: Option<String>,
    http: HttpClient<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// A client of the host at `url` (`http://ADDRESS:PORT`), with its admin token.
    ///
    /// # Errors
    /// The URL is not of that form.
    pub fn new(url: &str, token: impl Into<String>) -> Result<Self, ClientError> {
        let wrong = || ClientError::Url { url: url.to_owned() };
        let parts = url.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let is_plain = parts.scheme.as_ref().is_some_and(|scheme| scheme.as_str() == "http");
        let has_path = parts.path_and_query.as_ref().is_some_and(|path| path != "/");
        if !is_plain || has_path {
            return Err(wrong());
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let http = HttpClient::builder(TokioExecutor::new()).build(connector);
        Ok(Self { authority: parts.authority.ok_or_else(wrong)?, token: token.into(), session: None, http })
    }

    /// The same client for a user with a session of their own, which begins here.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<Self, ClientError> {
        let stranger = Self { token: String::new(), session: None, ..self.clone() };
        let body = serde_json::json!({ "name": name, "password": password });
        let answer = stranger.request(Method::POST, "/api/session", Sent::Json(body), &[]).await?;
        let cookie = answer.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        let session = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        read("POST /api/session", answer).await?;
        Ok(Self { session, ..stranger })
    }

    /// Sends a request and reads the answer's JSON; null where there is none.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn send(&self, method: Method, path: &str, sent: Sent) -> Result<Value, ClientError> {
        self.send_with(method, path, sent, &[]).await
    }

    /// Sends a request with more headers, as [`Client::send`] does.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        sent: Sent,
        headers: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        let request = format!("{method} {path}");
        read(&request, self.request(method, path, sent, headers).await?).await
    }

    /// Reads.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path, Sent::Nothing).await
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, ClientError> {
        self.send(Method::POST, path, Sent::Json(body)).await
    }

    /// Follows the events of an execution, after number `after`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn events(&self, execution_id: &str, after: u64) -> Result<Events, ClientError> {
        let path = format!("/api/executions/{}/events", segment(execution_id));
        let last = [("last-event-id", after.to_string())];
        let answer = self.request(Method::GET, &path, Sent::Nothing, &last).await?;
        if answer.status().is_success() {
            return Ok(Events {
                body: answer.into_body(),
                buffer: Vec::new(),
                searched: 0,
                read: VecDeque::new(),
                path,
            });
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let broken = |reason: String| ClientError::Answer { request: path.clone(), reason };
        let bytes = body.map_err(|e| broken(e.to_string()))?.to_bytes();
        Err(serde_json::from_slice(&bytes).map_or_else(|e| broken(e.to_string()), ClientError::Problem))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        sent: Sent,
        headers: &[(&str, String)],
    ) -> Result<axum::http::Response<Incoming>, ClientError> {
        let url = format!("http://{}{path}", self.authority);
        let mut request = Request::builder().method(method).uri(&url);
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        if let Some(session) = &self.session {
            // The host takes what a session changes only from pages of its own.
            request =
                request.header(header::COOKIE, session).header(header::ORIGIN, format!("http://{}", self.authority));
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (kind, bytes) = match sent {
            Sent::Nothing => (None, Bytes::new()),
            Sent::Json(value) => (Some("application/json"), Bytes::from(value.to_string())),
            Sent::Bytes(kind, bytes) => (Some(kind), bytes),
        };
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Full::new(bytes)).map_err(|_| ClientError::Url { url: url.clone() })?;
        let at = || format!("http://{}", self.authority);
        self.http.request(request).await.map_err(|source| ClientError::Unreachable { url: at(), source })
    }
}

/// The JSON of an answer; null where there is none.
async fn read(request: &str, answer: axum::http::Response<Incoming>) -> Result<Value, ClientError> {
    let broken = |reason: String| ClientError::Answer { request: request.to_owned(), reason };
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|e| broken(e.to_string()))?.to_bytes();
    if bytes.is_empty() && status.is_success() {
        return Ok(Value::Null);
    }
    let value = serde_json::from_slice(&bytes).map_err(|e| broken(format!("status {status}, {e}")))?;
    if status.is_success() { Ok(value) } else { Err(ClientError::Problem(value)) }
}

/// The events of an execution, as they come.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    /// So much of the buffer holds no end of a frame.
    searched: usize,
    read: VecDeque<Value>,
    path: String,
}

impl Events {
    /// The next event (`{seq, at, type, data}`); `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream broke off: ask for the events after the last one again.
    pub async fn next(&mut self) -> Result<Option<Value>, ClientError> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Ok(Some(event));
            }
            let broken = |reason: String| ClientError::Answer { request: self.path.clone(), reason };
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|e| broken(e.to_string()))?;
            self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(broken("an event is too large".to_owned()));
            }
            self.split();
        }
    }

    /// Takes whole frames out of the buffer.
    fn split(&mut self) {
        while let Some(end) = self.buffer[self.searched..].windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = self.buffer.drain(..self.searched + end + 2).collect();
            self.searched = 0;
            let lines = frame.split(|byte| *byte == b'\n');
            let data = lines.filter_map(|line| line.strip_prefix(b"data: "));
            self.read.extend(data.filter_map(|data| serde_json::from_slice(data).ok()));
        }
        self.searched = self.buffer.len().saturating_sub(1);
    }
}

/// A name as one segment of a path.
#[must_use]
pub fn segment(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && name.len() > 2) {
            path.push(byte.into());
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(segment("a/b c"), "a%2Fb%20c");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("é?"), "%C3%A9%3F");
    }

    #[test]
    fn only_plain_http_urls_are_taken() {
        assert!(Client::new("http://127.0.0.1:8787", "t").is_ok());
        assert!(Client::new("http://127.0.0.1:8787/", "t").is_ok());
        for url in ["https://a", "127.0.0.1:1", "http://a/b", "", "ftp://x"] {
            assert!(Client::new(url, "t").is_err(), "{url}");
        }
    }
}
