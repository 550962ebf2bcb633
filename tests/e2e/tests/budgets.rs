//! Budgets and trees of a host that is killed: whatever runs when, the model's own count stays within what all may spend.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use weir_e2e::{Data, Host, host::PATIENCE};

/// A model that counts; at some requests it says so and never answers. It ends with the test.
struct Model {
    config: String,
    seen: Arc<AtomicUsize>,
    stops: UnboundedReceiver<usize>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Answers {
    seen: Arc<AtomicUsize>,
    /// How many turns a conversation has; all but the last end with a call of a tool.
    turns: usize,
    stop_at: &'static [usize],
    stop: UnboundedSender<usize>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Model {
    async fn start(turns: usize, stop_at: &'static [usize]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listening as a model")?;
        let address = listener.local_addr()?;
        let (stop, stops) = unbounded_channel();
        let seen = Arc::<AtomicUsize>::default();
        let answers = Answers { seen: seen.clone(), turns, stop_at, stop };
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answers = answers.clone();
                let service = service_fn(move |request| answers.clone().answer(request));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        let model =
            json!({ "provider": "openai", "model": "test", "base_url": format!("http://{address}/v1"), "free": true });
        let config = json!({ "models": { "default": model }, "egress": { "allow": [address.to_string()] } });
        Ok(Self { config: config.to_string(), seen, stops, server })
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// Kills the host whenever the model says so, and starts it again.
    async fn kill_at_each_stop(&mut self, data: &Data, mut host: Host, stops: usize) -> Result<Host> {
        for _ in 0..stops {
            if tokio::time::timeout(Duration::from_secs(60), self.stops.recv()).await.is_err() {
                bail!("nothing more was asked for after {} requests: {}", self.seen(), data.said()?);
            }
            host.kill().await?;
            host = data.start().await?;
        }
        Ok(host)
    }
}

impl Answers {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let number = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        if self.stop_at.contains(&number) {
            let _ = self.stop.send(number);
            return std::future::pending().await;
        }
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let messages = asked["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let turn = messages.iter().filter(|message| message["role"] == "assistant").count() + 1;
        let mut response = Response::new(Full::new(Bytes::from(stream(turn, turn < self.turns))));
        let kind = header::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}

/// An answer as the protocol streams it.
fn stream(turn: usize, goes_on: bool) -> String {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "test",
            "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let (delta, finish) = if goes_on {
        let arguments = json!({ "template": format!("turn {turn}"), "data": {} }).to_string();
        let function = json!({ "name": "text__render", "arguments": arguments });
        let call = json!({ "index": 0, "id": format!("call_{turn}"), "type": "function", "function": function });
        (json!({ "role": "assistant", "tool_calls": [call] }), "tool_calls")
    } else {
        (json!({ "role": "assistant", "content": "all is done" }), "stop")
    };
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 });
    let first = chunk(choice(delta, Value::Null), Value::Null);
    let last = chunk(choice(json!({}), finish.into()), Value::Null);
    format!("{first}{last}{}data: [DONE]\n\n", chunk(json!([]), usage))
}

fn agent(name: &str, more: Value) -> Value {
    let step = json!({ "id": "work", "type": "agent", "agent": "agent.agent", "agent_prompt": "Do it all.",
        "agent_config": { "tools": ["text.render"], "max_turns": 50 } });
    let mut definition = json!({ "name": name, "steps": [step] });
    if let (Some(members), Value::Object(more)) = (definition.as_object_mut(), more) {
        members.extend(more);
    }
    definition
}

async fn execute(host: &Host, workflow: &str) -> Result<String> {
    let path = format!("/api/workflows/{workflow}/execute");
    let accepted = host.api.post(&path, &json!({ "input_data": {} })).await?;
    Ok(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned())
}

/// The execution of a workflow that starts by itself: it starts when the one before it has ended.
async fn started(host: &Host, workflow: &str) -> Result<String> {
    let look = async {
        loop {
            let page = host.api.get(&format!("/api/workflows/{workflow}/executions")).await?;
            if let Some(id) = page["items"][0]["id"].as_str() {
                return Ok(id.to_owned());
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.context("it does not start")?
}

#[tokio::test]
async fn g1_a_budget_that_executions_share_holds_across_kills() -> Result<()> {
    const STOPS: &[usize] = &[2, 5, 7];
    let (data, mut model) = (Data::with_bundled().await?, Model::start(usize::MAX, STOPS).await?);
    data.configure(&model.config)?;
    let host = data.start().await?;
    let budget = json!({ "scope": "host", "period": "month", "limits": { "request_limit": 10 } });
    let set = host.api.send(Method::PUT, "/api/budgets/team", "application/json", budget.to_string()).await?.good()?;
    ensure!(set["reserved"]["requests"] == 0, "{set:#}");
    let mut executions = Vec::new();
    for name in ["one", "two"] {
        host.api.post("/api/workflows", &agent(name, json!({}))).await?;
        executions.push(execute(&host, name).await?);
    }
    let host = model.kill_at_each_stop(&data, host, STOPS.len()).await?;
    let (mut counted, mut stopped) = (0, 0);
    for id in &executions {
        let ended = host.api.ended(id).await?;
        ensure!(ended["status"] == "failed", "{ended:#}");
        // Whoever sees that one request is left tells the model to come to an end, which this one never does.
        let details = &ended["error"]["details"];
        ensure!(details["budget"] == "team" || details["code"] == "max_turns", "{:#}", ended["error"]);
        stopped += usize::from(details["budget"] == "team");
        counted += ended["usage"]["requests"].as_u64().unwrap_or_default();
    }
    ensure!(stopped > 0, "the budget stopped nobody");
    let team = host.api.get("/api/budgets/team").await?;
    ensure!(team["settled"]["requests"] == 10 && team["reserved"]["requests"] == 0, "{team:#}");
    ensure!(counted == 10, "counted were {counted}: {team:#}");
    // What was promised when the host was killed may never have been sent, and is spent all the same.
    let (seen, lost) = (model.seen(), STOPS.len() * executions.len());
    ensure!(seen <= 10 && seen + lost >= 10, "the model saw {seen} requests");
    Ok(())
}

#[tokio::test]
async fn g2_a_chain_whose_host_is_killed_draws_from_the_limit_of_the_first() -> Result<()> {
    const STOPS: &[usize] = &[6, 9];
    let (data, mut model) = (Data::with_bundled().await?, Model::start(4, STOPS).await?);
    data.configure(&model.config)?;
    let host = data.start().await?;
    let after = |name: &str| {
        let config = json!({ "workflow_id": name, "status": ["completed", "failed"] });
        json!({ "triggers": [{ "type": "agent_completion", "config": config }] })
    };
    for definition in [
        agent("first", json!({ "guardrails": { "request_limit": 10 } })),
        agent("second", after("first")),
        agent("third", after("second")),
    ] {
        host.api.post("/api/workflows", &definition).await?;
    }
    let root = execute(&host, "first").await?;
    let host = model.kill_at_each_stop(&data, host, STOPS.len()).await?;
    let ended = host.api.ended(&started(&host, "third").await?).await?;
    ensure!(ended["status"] == "failed", "{ended:#}");
    ensure!(ended["error"]["details"]["execution"] == root, "{:#}", ended["error"]);
    let page = host.api.get("/api/executions").await?;
    let used: u64 =
        page["items"].as_array().into_iter().flatten().filter_map(|e| e["usage"]["requests"].as_u64()).sum();
    ensure!(used == 10, "used were {used}: {page:#}");
    ensure!(model.seen() == 10, "the model saw {} requests", model.seen());
    Ok(())
}
