//! A language model that a test plays: it counts what reaches it, holds answers back, and can be asked what it was told.
//! Beside it, under `/effects/`, stands a service that tools change.

use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
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
    /// Whether the model was asked, and not the service beside it.
    #[must_use]
    pub fn is_model(&self) -> bool {
        !self.path.starts_with("/effects/")
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

type Script = dyn Fn(&Asked) -> Said + Send + Sync;

/// The model. It ends with the test.
pub struct Model {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<watch::Sender<Vec<Asked>>>,
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
        let shared = Shared { script: Arc::new(script), asked: Arc::clone(&asked), gate: Arc::clone(&gate) };
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let answers = service_fn(move |request| shared.clone().answer(request));
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), answers));
            }
        });
        Ok(Self { address, asked, gate, server })
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
        self.asked.borrow().iter().filter(|asked| !asked.is_model()).cloned().collect()
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
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let asked = Asked { path: head.uri.path().to_owned(), headers: head.headers, body };
        let mut number = 0;
        self.asked.send_modify(|all| {
            number = all.len();
            all.push(asked.clone());
        });
        // Who waits for a closed gate waits for ever: the test is over.
        drop(self.gate.subscribe().wait_for(|open| number < *open).await);
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
    let mut delta = json!({ "role": "assistant", "content": said.text });
    if !said.calls.is_empty() {
        delta["tool_calls"] = said.calls.iter().enumerate().map(call).collect();
    }
    let finish = if said.calls.is_empty() { "stop" } else { "tool_calls" };
    let (input, output) = said.tokens;
    let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    let parts = [
        chunk(choice(delta, Value::Null), Value::Null),
        chunk(choice(json!({}), finish.into()), Value::Null),
        chunk(json!([]), usage),
    ];
    format!("{}data: [DONE]\n\n", parts.concat())
}
