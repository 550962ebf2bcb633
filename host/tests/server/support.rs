//! A host of its own for each test, and a client that says exactly what it is told.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use weir_host::{
    Host, Running,
    client::{Client, ClientError},
    config::Config,
};

/// No answer takes longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A host that runs for one test.
pub(super) struct TestHost {
    pub(super) running: Running,
    pub(super) client: Client,
    pub(super) address: SocketAddr,
    data: TempDir,
}

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Whether the answer is a problem as the API promises it, without anything of the host's inside.
    pub(super) fn assert_problem(&self) {
        let problem = self.json();
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["code"].is_string() && problem["title"].is_string(), "{self:?}");
        for word in ["SELECT", "sqlite", "SQLite", "/tmp/", "/home/", ".rs:", "panicked", "stack backtrace", "RUST_"] {
            assert!(!self.body.contains(word), "{word} in {self:?}");
        }
    }
}

impl TestHost {
    pub(super) async fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// A host that is set up otherwise than by default.
    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::set_up(tempfile::tempdir().unwrap(), change).await
    }

    /// Stops the host and starts another on its data, set up otherwise than by default.
    pub(super) async fn restart_with(self, change: impl FnOnce(&mut Config)) -> Self {
        self.running.stop().await;
        Self::set_up(self.data, change).await
    }

    async fn on(data: TempDir) -> Self {
        Self::set_up(data, |_| {}).await
    }

    async fn set_up(data: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            data: data.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            allowed_hosts: vec!["x".to_owned()],
            program: Some(env!("CARGO_BIN_EXE_weir").into()),
            ..Config::default()
        };
        change(&mut config);
        let mut running = Host::start(config).await.unwrap();
        running.ready().await.unwrap();
        let client = Client::new(&running.url(), running.token().token.as_str()).unwrap();
        let address = running.url().strip_prefix("http://").unwrap().parse().unwrap();
        Self { running, client, address, data }
    }

    /// Stops the host and starts another on its data.
    pub(super) async fn restart(self) -> Self {
        self.running.stop().await;
        Self::on(self.data).await
    }

    /// Sends JSON, or nothing where the body is null, with these head lines and no others that say who asks.
    pub(super) async fn send(&self, method: &str, path: &str, head: &str, body: &Value) -> Answer {
        let (kind, body) =
            if body.is_null() { ("", String::new()) } else { ("content-type: application/json\r\n", body.to_string()) };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}{kind}content-length: {length}\r\n\r\n{body}"
        );
        self.raw(request.as_bytes()).await
    }

    /// Makes a token with these roles and gives its id and the head line that carries it.
    pub(super) async fn token(&self, name: &str, roles: &[&str]) -> (String, String) {
        let made = self.client.post("/api/tokens", json!({ "name": name, "roles": roles })).await.unwrap();
        let head = format!("authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
        (made["id"].as_str().unwrap().to_owned(), head)
    }

    /// The rows of the audit log, newest first.
    pub(super) async fn audit(&self, query: &str) -> Vec<Value> {
        let page = self.client.get(&format!("/api/audit?limit=199{query}")).await.unwrap();
        page["items"].as_array().unwrap().clone()
    }

    /// Sends bytes as they are and reads until the host closes.
    pub(super) async fn raw(&self, request: &[u8]) -> Answer {
        let work = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            // The host may refuse before it has read everything.
            drop(stream.write_all(request).await);
            let mut bytes = Vec::new();
            drop(stream.read_to_end(&mut bytes).await);
            take_apart(&bytes)
        };
        tokio::time::timeout(ANSWER_TIMEOUT, work).await.expect("an answer in time")
    }

    /// Sends a request with the token and further head lines.
    pub(super) async fn request(&self, method: &str, path: &str, head: &str, body: &[u8]) -> Answer {
        let token = &self.running.token().token;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{head}"
        );
        if !head.contains("transfer-encoding") && !head.contains("content-length") {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        self.raw(&[request.as_bytes(), body].concat()).await
    }

    /// Sends a request whole, and goes away without waiting for the answer.
    pub(super) async fn send_and_leave(&self, method: &str, path: &str, body: &Value) {
        let (token, body) = (&self.running.token().token, body.to_string());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        TcpStream::connect(self.address).await.unwrap().write_all(request.as_bytes()).await.unwrap();
    }

    /// Asks again and again until something holds.
    pub(super) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let work = async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(ANSWER_TIMEOUT, work).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", b"").await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, "content-type: application/json\r\n", body.to_string().as_bytes()).await
    }

    /// Saves a workflow.
    pub(super) async fn save(&self, definition: Value) -> Value {
        self.client.post("/api/workflows", definition).await.unwrap()
    }

    /// Starts an execution of a workflow and answers its id.
    pub(super) async fn execute(&self, workflow: &str, input: Value) -> String {
        let path = format!("/api/workflows/{workflow}/execute");
        let started = self.client.post(&path, json!({ "input_data": input })).await.unwrap();
        started["execution_id"].as_str().unwrap().to_owned()
    }
}

fn take_apart(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let body = if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn dechunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

/// The code of a refused request.
pub(super) fn code(result: Result<Value, ClientError>) -> String {
    match result {
        Err(ClientError::Problem(problem)) => problem["code"].as_str().unwrap().to_owned(),
        other => panic!("not refused: {other:?}"),
    }
}

/// A workflow that asks a person once for each id.
pub(super) fn asking(name: &str, steps: &[&str]) -> Value {
    let step = |id: &&str| {
        json!({ "id": id, "type": "human", "human_config": {
            "notification": "go on?", "options": [{ "id": "yes", "label": "Yes" }, { "id": "no", "label": "No" }] } })
    };
    json!({ "name": name, "steps": steps.iter().map(step).collect::<Vec<_>>() })
}

/// A workflow that ends at once.
pub(super) fn quick(name: &str) -> Value {
    json!({ "name": name, "output": { "seen": "$.input" }, "steps": [
        { "id": "is_set", "type": "condition", "condition": { "field": "$.input.a", "operator": "exists" } }
    ] })
}
