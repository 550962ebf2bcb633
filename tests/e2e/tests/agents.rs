//! An agent whose host is killed at every boundary of its journal: what was answered once is not asked for again.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use weir_e2e::Data;

/// Turns of the agent: all but the last end with a call of a tool.
const TURNS: usize = 8;

/// When the host is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// The request has come, and is never answered.
    Before,
    /// The request was answered.
    After,
}

/// What is asked for, the number of it, and when the host is killed.
type Boundary = (&'static str, usize, When);

/// What the model and the tools' other side saw: an effect ledger.
#[derive(Debug, Default)]
struct Seen {
    /// Requests of each turn, from 0.
    turns: BTreeMap<usize, usize>,
    /// Requests with an effect, by their number and idempotency key.
    effects: BTreeMap<(usize, String), usize>,
}

/// A model, and a service that its tools change. It ends with the test.
struct World {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    kills: UnboundedReceiver<()>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    plan: Arc<Mutex<VecDeque<Boundary>>>,
    kill: UnboundedSender<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    async fn start(plan: &[Boundary]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listening as a model")?;
        let address = listener.local_addr()?;
        let (kill, kills) = unbounded_channel();
        let seen = Arc::<Mutex<Seen>>::default();
        let plan = Arc::new(Mutex::new(plan.iter().copied().collect()));
        let shared = Shared { address, seen: seen.clone(), plan, kill };
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let answers = service_fn(move |request| shared.clone().answer(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answers),
                );
            }
        });
        Ok(Self { address, seen, kills, server })
    }

    fn config(&self) -> String {
        let base = format!("http://{}/v1", self.address);
        let model = json!({ "provider": "openai", "model": "test", "base_url": base, "free": true });
        json!({ "models": { "default": model }, "egress": { "allow": [self.address.to_string()] } }).to_string()
    }
}

impl Shared {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or("").to_owned();
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (kind, number, answer) = match path.strip_prefix("/effects/") {
            Some(number) => {
                let number = number.parse().unwrap_or_default();
                *lock(&self.seen).effects.entry((number, key)).or_default() += 1;
                ("effect", number, ("application/json", json!({ "done": number }).to_string()))
            }
            None => {
                let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
                let messages = asked["messages"].as_array().cloned().unwrap_or_default();
                let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
                *lock(&self.seen).turns.entry(turn).or_default() += 1;
                ("model", turn, ("text/event-stream", self.turn(turn)))
            }
        };
        let planned = lock(&self.plan).pop_front_if(|next| (next.0, next.1) == (kind, number));
        match planned {
            Some((_, _, When::Before)) => {
                let _ = self.kill.send(());
                std::future::pending().await
            }
            Some((_, _, When::After)) => {
                let _ = self.kill.send(());
            }
            None => {}
        }
        let mut response = Response::new(Full::new(Bytes::from(answer.1)));
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.0));
        Ok(response)
    }

    /// The model's answer as the protocol streams it.
    fn turn(&self, turn: usize) -> String {
        let chunk = |delta: Value, finish: Value| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
            format!(
                "data: {}\n\n",
                json!({ "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "test", "choices": [choice] })
            )
        };
        let (delta, finish) = if turn + 1 < TURNS {
            let url = format!("http://{}/effects/{turn}", self.address);
            let arguments = json!({ "method": "POST", "url": url, "json": { "n": turn } }).to_string();
            let function = json!({ "name": "http__request", "arguments": arguments });
            let call = json!({ "index": 0, "id": format!("call_{turn}"), "type": "function", "function": function });
            (json!({ "role": "assistant", "tool_calls": [call] }), "tool_calls")
        } else {
            (json!({ "role": "assistant", "content": "all is done" }), "stop")
        };
        let usage = json!({ "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "test", "choices": [],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 } });
        format!("{}{}data: {usage}\n\ndata: [DONE]\n\n", chunk(delta, Value::Null), chunk(json!({}), finish.into()))
    }
}

#[tokio::test]
async fn r2_an_agent_that_is_killed_at_every_boundary_asks_for_nothing_twice_that_was_answered() -> Result<()> {
    let plan = [
        ("model", 0, When::Before),
        ("model", 1, When::After),
        ("effect", 2, When::Before),
        ("effect", 3, When::After),
        ("model", 4, When::Before),
        ("effect", 5, When::Before),
        ("model", 7, When::After),
    ];
    let (data, mut world) = (Data::with_bundled().await?, World::start(&plan).await?);
    data.configure(&world.config())?;
    let mut host = data.start().await?;
    let step = json!({ "id": "work", "type": "agent", "agent": "agent.agent", "agent_prompt": "Do it all.",
        "agent_config": { "tools": ["http.request"] } });
    host.api.post("/api/workflows", &json!({ "name": "errands", "steps": [step] })).await?;
    let accepted = host.api.post("/api/workflows/errands/execute", &json!({ "input_data": {} })).await?;
    let id = accepted["execution_id"].as_str().context("an answer without an id")?.to_owned();
    for _ in plan {
        if tokio::time::timeout(Duration::from_secs(15), world.kills.recv()).await.is_err() {
            let execution = host.api.get(&format!("/api/executions/{id}")).await?;
            bail!("nothing more was asked for: {} {:?}", execution["error"], lock(&world.seen));
        }
        host.kill().await?;
        host = data.start().await?;
    }
    let ended = host.api.ended(&id).await?;
    ensure!(ended["status"] == "completed", "{ended:#}");
    ensure!(ended["output"]["result"] == "all is done", "{:#}", ended["output"]);

    let seen = lock(&world.seen);
    let killed = |kind: &str, number: usize| plan.iter().filter(|(k, n, _)| (*k, *n) == (kind, number)).count();
    ensure!(seen.turns.len() == TURNS, "turns are missing: {seen:?}");
    for (turn, count) in &seen.turns {
        ensure!(*count <= 1 + killed("model", *turn), "turn {turn} was asked {count} times: {seen:?}");
    }
    ensure!(seen.effects.len() == TURNS - 1, "an effect has several names, or is missing: {seen:?}");
    for ((number, key), count) in &seen.effects {
        ensure!(!key.is_empty(), "effect {number} has no name");
        ensure!(*count <= 1 + killed("effect", *number), "effect {number} was made {count} times: {seen:?}");
    }
    let requests: usize = seen.turns.values().sum();
    ensure!(ended["usage"]["requests"] == requests, "{requests} were sent, and counted were {}", ended["usage"]);
    ensure!(ended["usage"]["tool_calls"] == TURNS - 1, "{}", ended["usage"]);
    Ok(())
}
