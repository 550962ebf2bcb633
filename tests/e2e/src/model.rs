//! A language model that a test plays: it counts what reaches it, holds answers back, and can be asked what it was told.
//! Beside it, under `/effects/`, stands a service that tools change, under `/echo/` one that repeats what it is told in many
//! spellings, and at `/v1/traces` a collector of traces that keeps what it gets.

use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use crate::host::PATIENCE;

/// What reached the model or the service.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null where it is not JSON.
    pub body: Value,
    /// The body as it came.
    pub bytes: Bytes,
}

/// What the model says.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The text.
    pub text: String,
    /// Tools to call, with what they are given.
    pub calls: Vec<(String, Value)>,
    /// Tokens that it claims: of the request and of the answer.
    pub tokens: (u64, u64),
}

impl Said {
    /// A final answer of few tokens.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), calls: Vec::new(), tokens: (10, 5) }
    }

    /// A call of a tool.
    #[must_use]
    pub fn call(tool: &str, input: Value) -> Self {
        Self { calls: vec![(tool.to_owned(), input)], ..Self::text("") }
    }
}

impl Asked {
    /// Whether the model was asked, and not a service beside it.
    #[must_use]
    pub fn is_model(&self) -> bool {
        self.path.ends_with("/chat/completions")
    }

    /// Which turn of its conversation this is, from 0.
    #[must_use]
    pub fn turn(&self) -> usize {
        self.messages().filter(|message| message["role"] == "assistant").count()
    }

    /// The messages of the conversation.
    pub fn messages(&self) -> impl Iterator<Item = &Value> {
        self.body["messages"].as_array().into_iter().flatten()
    }

    /// The last thing that the model was told.
    #[must_use]
    pub fn last(&self) -> &str {
        self.messages().last().and_then(|message| message["content"].as_str()).unwrap_or_default()
    }

    /// The longest answer that is wanted.
    #[must_use]
    pub fn max_tokens(&self) -> u64 {
        let named = ["max_completion_tokens", "max_tokens"].into_iter().find_map(|name| self.body[name].as_u64());
        named.unwrap_or(u64::MAX)
    }

    /// The name of the effect for systems that recognise repeats.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default()
    }
}

/// Where a collector takes traces.
const TRACES: &str = "/v1/traces";

type Script = dyn Fn(&Asked) -> Said + Send + Sync;

/// The model. It ends with the test.
pub struct Model {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<watch::Sender<Vec<Asked>>>,
    traces: Arc<watch::Sender<Vec<Bytes>>>,
    gate: Arc<watch::Sender<usize>>,
    server: JoinHandle<()>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("address", &self.address).field("asked", &*self.asked.borrow()).finish()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Shared {
    script: Arc<Script>,
    asked: Arc<watch::Sender<Vec<Asked>>>,
    traces: Arc<watch::Sender<Vec<Bytes>>>,
    gate: Arc<watch::Sender<usize>>,
}

impl Model {
    /// A model that answers as `script` says.
    ///
    /// # Errors
    /// There is no port for it.
    pub async fn start(script: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listening as a model")?;
        let address = listener.local_addr()?;
        let (asked, gate) = (Arc::new(watch::Sender::default()), Arc::new(watch::Sender::new(usize::MAX)));
        let traces = Arc::new(watch::Sender::default());
        let script: Arc<Script> = Arc::new(script);
        let shared = Shared { script, asked: Arc::clone(&asked), traces: Arc::clone(&traces), gate: Arc::clone(&gate) };
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let answers = service_fn(move |request| shared.clone().answer(request));
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), answers));
            }
        });
        Ok(Self { address, asked, traces, gate, server })
    }

    /// A host's configuration with this model as `default`, `more` said about it, and leave to reach it.
    #[must_use]
    pub fn config(&self, more: &Value) -> Value {
        let base = format!("http://{}/v1", self.address);
        let mut model = json!({ "provider": "openai", "model": "test", "base_url": base, "concurrency": 64 });
        for (name, value) in more.as_object().into_iter().flatten() {
            model[name] = value.clone();
        }
        json!({ "models": { "default": model }, "egress": { "allow": [self.address.to_string()] } })
    }

    /// Answers only the first `count` of all that reaches it; whatever comes after waits.
    pub fn answer_only(&self, count: usize) {
        self.gate.send_replace(count);
    }

    /// What has reached the model.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().iter().filter(|asked| asked.is_model()).cloned().collect()
    }

    /// What has reached the service beside it.
    #[must_use]
    pub fn effects(&self) -> Vec<Asked> {
        self.reached("/effects/")
    }

    /// What has reached the paths that begin so.
    #[must_use]
    pub fn reached(&self, path: &str) -> Vec<Asked> {
        self.asked.borrow().iter().filter(|asked| asked.path.starts_with(path)).cloned().collect()
    }

    /// Waits until the collector has got something, and gives it.
    ///
    /// # Errors
    /// Nothing comes.
    pub async fn traces(&self) -> Result<Vec<u8>> {
        let mut traces = self.traces.subscribe();
        let some = timeout(PATIENCE, traces.wait_for(|traces| !traces.is_empty())).await;
        Ok(some.context("no trace comes")??.concat())
    }

    /// Waits until as much has reached the model and the service.
    ///
    /// # Errors
    /// It does not come.
    pub async fn until_asked(&self, count: usize) -> Result<()> {
        let mut asked = self.asked.subscribe();
        let enough = timeout(PATIENCE.min(Duration::from_secs(60)), asked.wait_for(|asked| asked.len() >= count)).await;
        let reached = self.asked.borrow().len();
        enough.with_context(|| format!("{reached} requests came, and {count} are waited for"))?.map(drop)?;
        Ok(())
    }
}

impl Shared {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        let asked = Asked { path: head.uri.path().to_owned(), headers: head.headers, body, bytes };
        if asked.path == TRACES {
            self.traces.send_modify(|traces| traces.push(asked.bytes));
            return Ok(Response::new(Full::default()));
        }
        let mut number = 0;
        self.asked.send_modify(|all| {
            number = all.len();
            all.push(asked.clone());
        });
        // Who waits for a closed gate waits for ever: the test is over.
        drop(self.gate.subscribe().wait_for(|open| number < *open).await);
        if asked.path.starts_with("/echo/") {
            return Ok(echoed(&asked));
        }
        let (kind, text) = if asked.is_model() {
            ("text/event-stream", streamed(&(self.script)(&asked)))
        } else {
            ("application/json", json!({ "done": asked.path }).to_string())
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        Ok(response)
    }
}

/// What stands in the header `authorization`, told in a header and in the body: as it is, in base64 at each alignment, in
/// hexadecimal, as a URL has it, and as JSON may.
fn echoed(asked: &Asked) -> Response<Full<Bytes>> {
    let told = asked.headers.get(header::AUTHORIZATION).cloned();
    let told = told.unwrap_or(header::HeaderValue::from_static("nothing"));
    let text = String::from_utf8_lossy(told.as_bytes()).into_owned();
    let escaped =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let aligned = ["", "u", "us"].map(|before| STANDARD.encode(format!("{before}{text}")));
    let body = json!({
        "plain": text, "url": text.bytes().map(escaped).collect::<String>(),
        "hex": text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "base64": aligned,
    });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert("x-echo-base64", STANDARD.encode(&text).parse().unwrap_or(header::HeaderValue::from_static("odd")));
    headers.insert("x-echo", told);
    response
}

/// An answer as the protocol streams it.
fn streamed(said: &Said) -> String {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk =
            json!({ "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "test", "choices": choices });
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let call = |(index, (tool, input)): (usize, &(String, Value))| {
        let function = json!({ "name": tool.replace('.', "__"), "arguments": input.to_string() });
        json!({ "index": index, "id": format!("call_{index}"), "type": "function", "function": function })
    };
    // In small pieces, as models answer.
    let letters: Vec<char> = said.text.chars().collect();
    let pieces = letters.chunks(5).map(|piece| piece.iter().collect::<String>());
    let pieces = pieces.map(|piece| chunk(choice(json!({ "content": piece }), Value::Null), Value::Null));
    let mut delta = json!({ "role": "assistant", "content": "" });
    if !said.calls.is_empty() {
        delta["tool_calls"] = said.calls.iter().enumerate().map(call).collect();
    }
    let finish = if said.calls.is_empty() { "stop" } else { "tool_calls" };
    let (input, output) = said.tokens;
    let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    let parts = [
        chunk(choice(delta, Value::Null), Value::Null),
        pieces.collect(),
        chunk(choice(json!({}), finish.into()), Value::Null),
        chunk(json!([]), usage),
    ];
    format!("{}data: [DONE]\n\n", parts.concat())
}
