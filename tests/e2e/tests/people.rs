//! R13: ten thousand executions wait for people, and cost next to nothing; each goes on once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_e2e::{Api, Data};

use crate::sample;

const WAITING: usize = 9_500;
/// One in twenty.
const EXPIRING: usize = 500;
const CLIENTS: usize = 8;
/// Executions that are started before the first look at the memory, so that caches and pools are there.
const WARM_UP: usize = 400;
const GROWTH_MAX_MIB: u64 = 100;
const READY_MAX: Duration = Duration::from_secs(3);
const DECISIONS_PER_SECOND_MIN: f64 = 200.0;

/// A workflow like the one that asks, whose question lapses soon.
fn expiring() -> Value {
    let mut definition = sample::asking();
    definition["name"] = json!("expiring");
    for step in definition["steps"].as_array_mut().into_iter().flatten() {
        if step["type"] == "human" {
            step["human_config"]["timeout_minutes"] = json!(0.01);
            step["human_config"]["on_timeout"] = json!("fail");
        }
    }
    definition
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_ten_thousand_waits() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    host.api.post("/api/workflows", &expiring()).await?;
    let mut waiting = start(&host.api, "asking", WARM_UP).await?;
    let before = memory_mib(host.process()?)?;
    waiting.extend(start(&host.api, "asking", WAITING - WARM_UP).await?);
    let expiring = start(&host.api, "expiring", EXPIRING).await?;
    let after = memory_mib(host.process()?)?;
    host.kill().await?;

    let host = data.start().await?;
    let began = Instant::now();
    let sent = answer(&host.api, waiting.clone()).await?;
    let rate = sent as f64 / began.elapsed().as_secs_f64();
    let growth = after.saturating_sub(before);
    eprintln!("r13: memory {before} MiB and {growth} more, ready after {:?}, {rate:.0} decisions/s", host.ready_after);

    for execution in &expiring {
        ensure!(host.api.ended(execution).await?["status"] == "failed", "{execution} did not lapse");
        let late =
            host.api.try_post(&format!("/api/executions/{execution}/approve"), &json!({ "option_id": "yes" })).await?;
        late.refused(409, "already_decided")?;
    }
    check(&host.api, &waiting).await?;
    ensure!(growth <= GROWTH_MAX_MIB, "the memory grew by {growth} MiB");
    ensure!(host.ready_after <= READY_MAX, "ready after {:?}", host.ready_after);
    ensure!(rate >= DECISIONS_PER_SECOND_MIN, "{rate:.0} decisions/s");
    let said = data.said()?;
    ensure!(!said.contains("ERROR"), "the host complained: {said}");
    Ok(())
}

/// Each went on once, with the first answer.
async fn check(api: &Api, waiting: &[String]) -> Result<()> {
    let completed = api.all("/api/executions?status=completed").await?.len();
    ensure!(completed == waiting.len(), "{completed} of {} completed", waiting.len());
    ensure!(api.get("/api/approvals").await?["items"] == json!([]), "something is still asked");
    for execution in waiting.iter().step_by(19) {
        ensure!(api.get(&format!("/api/executions/{execution}")).await?["output"]["option"] == "yes", "{execution}");
        let questions = api.all(&format!("/api/executions/{execution}/approvals")).await?;
        let id = questions[0]["id"].as_str().context("a question without an id")?;
        let decisions = &api.get(&format!("/api/approvals/{id}")).await?["decisions"];
        ensure!(decisions.as_array().is_some_and(|all| all.len() == 1), "{id}: {decisions}");
    }
    Ok(())
}

/// Starts executions and waits until each asks.
async fn start(api: &Api, workflow: &'static str, count: usize) -> Result<Vec<String>> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let api = Api::new(&api.url, &api.token);
        let share = count / CLIENTS + usize::from(client < count % CLIENTS);
        clients.spawn(async move {
            let mut started = Vec::new();
            for n in 0..share {
                let body = json!({ "input_data": { "n": n } });
                let accepted = api.post(&format!("/api/workflows/{workflow}/execute"), &body).await?;
                started.push(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned());
            }
            Ok::<_, anyhow::Error>(started)
        });
    }
    let mut all = Vec::new();
    for started in clients.join_all().await {
        all.extend(started?);
    }
    Ok(all)
}

/// Answers each question, one in ten twice; gives the number of answers that counted.
async fn answer(api: &Api, waiting: Vec<String>) -> Result<usize> {
    let mut clients = JoinSet::new();
    let share = waiting.len().div_ceil(CLIENTS);
    for part in waiting.chunks(share).map(<[_]>::to_vec) {
        let api = Api::new(&api.url, &api.token);
        clients.spawn(async move {
            for (n, execution) in part.iter().enumerate() {
                let path = format!("/api/executions/{execution}/approve");
                api.post(&path, &json!({ "option_id": "yes" })).await?;
                if n % 10 == 0 {
                    let second = api.try_post(&path, &json!({ "option_id": "no" })).await?;
                    second.refused(409, "already_decided")?;
                }
            }
            Ok::<_, anyhow::Error>(part.len())
        });
    }
    let mut sent = 0;
    for part in clients.join_all().await {
        sent += part?;
    }
    Ok(sent)
}

/// The memory of a process that is in use.
fn memory_mib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("reading a process's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process without memory")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("reading the memory")?;
    Ok(kib / 1024)
}
