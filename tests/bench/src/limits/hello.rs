//! What the HTTP library does when nothing stands behind it: the same requests, answered at once.

use std::{io::Write, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    client::Api,
    load::{self, Load, Loaded, Requests},
};

/// The subcommand of this program that [`Hello::start`] runs.
pub(crate) const SUBCOMMAND: &str = "hello";

/// Serves the hello in this process until it is killed.
pub(crate) fn serve() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let router = Router::new().route("/hello", post(hello));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        axum::serve(listener, router).await.context("serving")
    })
}

async fn hello(Json(body): Json<Value>) -> Json<Value> {
    Json(json!({ "status": "completed", "hello": body.get("input_data") }))
}

/// A process that serves the hello.
pub(crate) struct Hello {
    /// Kept: it is killed when this value goes.
    _child: Child,
    api: Api,
}

impl Hello {
    /// Starts it.
    pub(crate) async fn start() -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        command.arg(SUBCOMMAND).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("starting the hello server")?;
        let stdout = child.stdout.take().context("taking the hello server's output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("the hello server ended")?;
        let address = line.parse().context("reading the hello server's address")?;
        Ok(Self { _child: child, api: Api { address, token: "hello".to_owned() } })
    }

    /// Puts the same load on it as on the server under test.
    pub(crate) async fn load(
        &self,
        connections: usize,
        count: usize,
        body: &str,
        time_max: Duration,
    ) -> Result<Loaded> {
        let requests = Requests::Same(self.api.request("POST", "/hello", body), count);
        load::run(&self.api, Load { connections, requests, time_max, expect: "completed", keep: false }).await
    }
}
