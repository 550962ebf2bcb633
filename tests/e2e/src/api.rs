//! A client of the API that looks closely: whatever is refused must be refused as the API promises.

use std::{collections::VecDeque, fmt};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, body::Incoming, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// What no answer may tell: the host's inner life.
const SECRETS: [&str; 9] =
    ["SELECT ", "INSERT ", "UPDATE ", ".rs:", "panicked", "sqlx", "SqliteError", "stack backtrace", "/.cargo/"];

/// A client of one host.
#[derive(Clone)]
pub struct Api {
    /// `http://ADDRESS:PORT`.
    pub url: String,
    /// The admin token.
    pub token: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What the host answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, which is always text.
    pub text: String,
}

/// A refusal where a success was needed.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host answered {}: {}", self.status, self.text)
    }
}

impl std::error::Error for Refused {}

/// Whether a request failed because the host was killed, or is on its way up or down.
#[must_use]
pub fn is_crash(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.status == 503,
        None => error.chain().any(|cause| {
            cause.is::<hyper::Error>()
                || cause.is::<hyper_util::client::legacy::Error>()
                || cause.is::<std::io::Error>()
        }),
    }
}

impl Answer {
    /// The body as JSON; null where it is empty.
    ///
    /// # Errors
    /// It is something else.
    pub fn json(&self) -> Result<Value> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).with_context(|| format!("reading the answer {:?}", self.text))
    }

    /// The body of a success.
    ///
    /// # Errors
    /// It is no success.
    pub fn good(&self) -> Result<Value> {
        if (200..300).contains(&self.status) { self.json() } else { Err(self.refusal().into()) }
    }

    /// The body of a refusal: a problem as the API promises, with this status and code.
    ///
    /// # Errors
    /// It is something else.
    pub fn refused(&self, status: u16, code: &str) -> Result<Value> {
        ensure!(
            self.status == status,
            "expected {status} {code}, but the host answered {}: {}",
            self.status,
            self.text
        );
        let problem = self.json()?;
        ensure!(problem["code"] == code, "expected the code {code}: {problem}");
        Ok(problem)
    }

    fn refusal(&self) -> Refused {
        Refused { status: self.status, text: self.text.clone() }
    }

    /// Checks what holds for every refusal.
    fn check(&self) -> Result<()> {
        if self.status < 400 {
            return Ok(());
        }
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        ensure!(kind == Some("application/problem+json"), "a refusal of type {kind:?}: {}", self.text);
        if let Some(secret) = SECRETS.iter().find(|secret| self.text.contains(**secret)) {
            bail!("a refusal tells {secret:?}: {}", self.text);
        }
        let problem = self.json()?;
        // Strangers get a body that is always the same.
        let id = if self.status == 401 { "code" } else { "request_id" };
        for member in ["type", "title", "code", "detail", id] {
            ensure!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {problem}");
        }
        ensure!(problem["status"] == self.status, "a wrong status in {problem}");
        Ok(())
    }
}

impl Api {
    /// A client of the host at `url`.
    #[must_use]
    pub fn new(url: &str, token: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Self { url: url.to_owned(), token: token.to_owned(), http }
    }

    /// Sends a request as it is and gives the answer, whatever it is.
    ///
    /// # Errors
    /// The connection broke, or a refusal is not as the API promises.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send_with(method, path, &[(header::CONTENT_TYPE.as_str(), kind)], body).await
    }

    /// The same with any headers.
    ///
    /// # Errors
    /// The connection broke, or a refusal is not as the API promises.
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let answer = self.request(method.clone(), path, headers, body.into()).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await.context("reading an answer")?.to_bytes();
        let text = String::from_utf8(body.into()).context("reading an answer as text")?;
        let answer = Answer { status, headers, text };
        answer.check().with_context(|| format!("asking {method} {path}"))?;
        Ok(answer)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<hyper::Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).with_context(|| format!("making a request for {path}"))?;
        self.http.request(request).await.with_context(|| format!("asking {path}"))
    }

    /// Reads a path.
    ///
    /// # Errors
    /// The connection broke, or the host refused.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path).await?.good().with_context(|| format!("getting {path}"))
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// The connection broke, or a refusal is not as the API promises.
    pub async fn ask(&self, method: Method, path: &str) -> Result<Answer> {
        self.send(method, path, "", Bytes::new()).await
    }

    /// Posts JSON and gives the answer, whatever it is.
    ///
    /// # Errors
    /// The connection broke, or a refusal is not as the API promises.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// The connection broke, or the host refused.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.try_post(path, body).await?.good().with_context(|| format!("posting to {path}"))
    }

    /// Installs a component, and grants it all that it asks for.
    ///
    /// # Errors
    /// The file cannot be read, or the host refused.
    pub async fn install(&self, file: &std::path::Path) -> Result<Value> {
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let answer = self.send(Method::POST, "/api/plugins?grant=all", "application/wasm", bytes).await?;
        answer.good().with_context(|| format!("installing {}", file.display()))
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// The connection broke, or the host refused.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let mut page = self.get(&format!("{path}{mark}limit=199{cursor}")).await?;
            items.append(page["items"].as_array_mut().context("a page without items")?);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Follows the events of an execution after number `after`.
    ///
    /// # Errors
    /// The connection broke, or the host refused.
    pub async fn events(&self, execution: &str, after: u64) -> Result<Events> {
        let path = format!("/api/executions/{execution}/events");
        let last = after.to_string();
        let headers = [("last-event-id", last.as_str()), ("accept", "text/event-stream")];
        let answer = self.request(Method::GET, &path, &headers, Bytes::new()).await?;
        let status = answer.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(Refused { status, text: path }.into());
        }
        Ok(Events { body: answer.into_body(), buffer: Vec::new(), ready: VecDeque::new() })
    }

    /// Waits until an execution has ended, by its events, and shows it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ended(&self, execution: &str) -> Result<Value> {
        let mut events = self.events(execution, 0).await?;
        while !events.next().await?.is_empty() {}
        self.get(&format!("/api/executions/{execution}")).await
    }

    /// Waits until an execution asks a person, by its events; gives the question's id.
    ///
    /// # Errors
    /// The connection broke, or the execution ended without asking.
    pub async fn asked(&self, execution: &str) -> Result<u64> {
        let mut events = self.events(execution, 0).await?;
        loop {
            let batch = events.next().await?;
            ensure!(!batch.is_empty(), "execution {execution} ended without asking anybody");
            if let Some(event) = batch.iter().find(|event| event.is_question()) {
                return Ok(event.seq);
            }
        }
    }
}

/// One event of an execution, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// What happened.
    pub kind: String,
    /// Its facts.
    pub data: Value,
}

impl Event {
    /// Reads an event of a stream or a page.
    ///
    /// # Errors
    /// It is none.
    pub fn read(mut event: Value) -> Result<Self> {
        let seq = event["seq"].as_u64().context("an event without a number")?;
        let kind = event["type"].as_str().context("an event without a type")?.to_owned();
        Ok(Self { seq, kind, data: event["data"].take() })
    }

    /// Whether a person is asked here.
    #[must_use]
    pub fn is_question(&self) -> bool {
        self.kind == "step_started" && self.data["kind"] == "human"
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_end(&self) -> bool {
        ["execution_completed", "execution_failed", "execution_timed_out", "execution_cancelled"]
            .contains(&self.kind.as_str())
    }
}

/// The events of an execution as they come.
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    ready: VecDeque<Event>,
}

impl Events {
    /// The events that came since the last call, at least one; none at the end of the stream.
    ///
    /// # Errors
    /// The stream broke off.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        while self.ready.is_empty() {
            let Some(frame) = self.body.frame().await else { break };
            let frame = frame.context("reading a stream of events")?;
            self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            self.split()?;
        }
        Ok(self.ready.drain(..).collect())
    }

    /// All bytes of the stream that were not read yet, up to its end.
    ///
    /// # Errors
    /// The stream broke off.
    pub async fn raw(mut self) -> Result<Vec<u8>> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.context("reading a stream of events")?;
            self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        }
        Ok(self.buffer)
    }

    fn split(&mut self) -> Result<()> {
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let frame = String::from_utf8(frame).context("reading an event as text")?;
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
            // Pieces of a model's answer have no number: they are shown, not kept.
            let (Some(data), Some(_)) = (field("data: "), field("id: ")) else { continue };
            let event = Event::read(serde_json::from_str(data).with_context(|| format!("reading {data:?}"))?)?;
            ensure!(field("id: ") == Some(&event.seq.to_string()), "an event's id is not its number: {frame:?}");
            ensure!(field("event: ") == Some(&event.kind), "an event's name is not its type: {frame:?}");
            self.ready.push_back(event);
        }
        Ok(())
    }
}
