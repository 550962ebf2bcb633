//! A model's API that answers at once, always the same: what the gateway talks with, and the bare client beside it.

use std::{io::Write, net::SocketAddr, process::Stdio};

use anyhow::{Context, Result};
use axum::{Router, http::header, routing::post};
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

/// Serves the model in this process until it is killed.
pub(crate) fn serve() -> Result<()> {
    let answer = answer();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let said = move |_body: String| async move { ([(header::CONTENT_TYPE, "text/event-stream")], answer) };
        let router = Router::new().route("/v1/chat/completions", post(said));
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
