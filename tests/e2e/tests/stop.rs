//! R18: a host that is told to stop does so quickly and loses nothing; and two hosts never share a data directory.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use weir_e2e::{Api, Data, api::is_crash, host::weir, log};

use crate::sample;

/// Clients that start executions until the host is gone.
const CLIENTS: usize = 8;
/// Executions with a call that outlasts the grace.
const SLEEPERS: usize = 4;
const STOP_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r18_graceful_stop() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    for definition in [sample::chain(), sample::asking(), sample::sleeping(9.0)] {
        host.api.post("/api/workflows", &definition).await?;
    }
    let mut accepted = BTreeSet::new();
    for _ in 0..SLEEPERS {
        accepted.insert(start(&host.api, "sleeping").await?);
    }
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let api = host.api.clone();
        clients.spawn(async move { start_until_gone(&api).await });
    }
    // The stop comes when the clients are well under way.
    started(&host.api, 100).await?;
    let began = Instant::now();
    let status = host.stop().await?;
    let took = began.elapsed();
    ensure!(status.code() == Some(0), "the host ended with {status}: {}", data.said()?);
    ensure!(took < STOP_MAX, "the host took {took:?} to stop");
    while let Some(client) = clients.join_next().await {
        accepted.extend(client??);
    }

    let host = data.start().await?;
    let (mut interrupted, mut asked) = (0, 0);
    for id in &accepted {
        let execution = host.api.get(&format!("/api/executions/{id}")).await?;
        if execution["status"] == "awaiting_human" {
            asked += 1;
            host.api.post(&format!("/api/executions/{id}/approve"), &json!({ "option_id": "yes" })).await?;
        }
        let execution = host.api.ended(id).await?;
        ensure!(execution["status"] == "completed", "it was lost: {execution}");
        interrupted += log::check(&log::read(&host.api, id).await?)?.interrupted;
    }
    eprintln!("r18: stopped in {took:?}; {} accepted, {asked} asked, {interrupted} interrupted", accepted.len());
    ensure!(interrupted as usize >= SLEEPERS, "the calls that outlasted the grace were not made again: {interrupted}");
    Ok(())
}

async fn start(api: &Api, workflow: &str) -> Result<String> {
    let accepted =
        api.post(&format!("/api/workflows/{workflow}/execute"), &json!({ "input_data": { "n": 1 } })).await?;
    Ok(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned())
}

/// Starts executions until the host takes no more; gives those that were accepted.
async fn start_until_gone(api: &Api) -> Result<Vec<String>> {
    let mut accepted = Vec::new();
    loop {
        let workflow = if accepted.len().is_multiple_of(2) { "chain" } else { "asking" };
        match start(api, workflow).await {
            Ok(id) => accepted.push(id),
            Err(error) if is_crash(&error) => return Ok(accepted),
            Err(error) => return Err(error),
        }
    }
}

/// Waits until so many executions have begun.
async fn started(api: &Api, count: usize) -> Result<()> {
    let mut turn = tokio::time::interval(Duration::from_millis(20));
    loop {
        turn.tick().await;
        let page = api.get("/api/executions?limit=199").await?;
        if page["items"].as_array().context("a page without items")?.len() >= count {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_second_host_on_the_same_data_is_refused() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let directory = data.path().to_string_lossy().into_owned();
    let arguments = ["serve", "--data", &directory, "--listen", "127.0.0.1:0"];
    let second = weir(&arguments, &[], data.path().as_path()).await?;
    second.exits(1)?;
    ensure!(second.stdout.is_empty(), "it listened: {second:?}");
    ensure!(second.stderr.contains("another host"), "it does not say why: {second:?}");
    ensure!(second.stderr.contains(&directory), "it does not say where: {second:?}");
    host.api.get("/api/executions").await.context("the first host is hurt")?;
    // A host that was killed leaves no lock behind.
    host.kill().await?;
    let third = data.start().await?;
    ensure!(third.stop().await?.success(), "the third host did not stop well");
    Ok(())
}
