//! A model's API that answers at once, always the same: what the gateway talks with, and the bare client beside it.

use std::{
    io::Write,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    http::header,
    response::IntoResponse,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

/// The subcommand of this program that [`Provider::start`] runs.
pub(crate) const SUBCOMMAND: &str = "model";

/// An answer of some forty tokens in eight pieces, as OpenAI streams it.
fn answer() -> String {
    let mut frames: Vec<String> = (0..8)
        .map(|piece| {
            format!(
                r#"{{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{{"index":0,"delta":{{"content":"piece {piece} of the answer "}},"finish_reason":null}}]}}"#
            )
        })
        .collect();
    frames.push(r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned());
    frames.push(
        r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":300,"completion_tokens":40,"total_tokens":340}}"#
            .to_owned(),
    );
    frames.push("[DONE]".to_owned());
    frames.iter().map(|frame| format!("data: {frame}\n\n")).collect()
}

/// How many requests an agent makes that talks to `/held` or `/plain`: all but the last are answered with a call of a tool.
pub(crate) const TURNS: usize = 50;
/// The turn whose first request to `/held` is never answered.
pub(crate) const HELD_TURN: usize = TURNS / 2;

/// What the model counted at `/held`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Requests that came.
    pub(crate) asked: usize,
    /// Requests that were answered.
    pub(crate) answered: usize,
}

#[derive(Default)]
struct Counted {
    asked: AtomicUsize,
    answered: AtomicUsize,
}

impl Counted {
    fn seen(&self) -> Seen {
        Seen { asked: self.asked.load(Ordering::SeqCst), answered: self.answered.load(Ordering::SeqCst) }
    }

    /// Answers a request, unless it is the one that is held.
    async fn answer(&self, request: &Value) -> String {
        let (number, turn) = (self.asked.fetch_add(1, Ordering::SeqCst), turn_of(request));
        if turn == HELD_TURN && number == HELD_TURN {
            std::future::pending::<()>().await;
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        said(turn)
    }
}

fn turn_of(request: &Value) -> usize {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().filter(|message| message["role"] == "assistant").count()
}

/// What the model says in a turn, as OpenAI streams it.
fn said(turn: usize) -> String {
    let (delta, finish) = if turn + 1 < TURNS {
        let arguments = json!({ "message": format!("turn {turn}") }).to_string();
        let call = json!({ "index": 0, "id": format!("call_{turn}"), "type": "function",
            "function": { "name": "echo__echo", "arguments": arguments } });
        (json!({ "role": "assistant", "tool_calls": [call] }), "tool_calls")
    } else {
        (json!({ "role": "assistant", "content": "all is done" }), "stop")
    };
    let frames = [
        json!({ "id": "c", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }),
        json!({ "id": "c", "model": "m", "choices": [{ "index": 0, "delta": {}, "finish_reason": finish }] }),
        json!({ "id": "c", "model": "m", "choices": [], "usage": { "prompt_tokens": 300, "completion_tokens": 40 } }),
    ];
    let frames: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    frames + "data: [DONE]\n\n"
}

fn stream(answer: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/event-stream")], answer)
}

/// Serves the model in this process until it is killed.
pub(crate) fn serve() -> Result<()> {
    let answer = answer();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let counted = Arc::<Counted>::default();
        let seen = Arc::clone(&counted);
        let held = move |Json(request): Json<Value>| async move { stream(counted.answer(&request).await) };
        let plain = |Json(request): Json<Value>| async move { stream(said(turn_of(&request))) };
        let router = Router::new()
            .route("/v1/chat/completions", post(move |_body: String| async move { stream(answer) }))
            .route("/plain/chat/completions", post(plain))
            .route("/held/chat/completions", post(held))
            .route("/seen", get(move || async move { Json(seen.seen()) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        axum::serve(listener, router).await.context("serving")
    })
}

/// A process that serves the model.
pub(crate) struct Provider {
    /// Kept: it is killed when this value goes.
    _child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Provider {
    /// Starts it.
    pub(crate) async fn start() -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        command.arg(SUBCOMMAND).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("starting the model")?;
        let stdout = child.stdout.take().context("taking the model's output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("the model ended")?;
        Ok(Self { _child: child, address: line.parse().context("reading the model's address")? })
    }
}
