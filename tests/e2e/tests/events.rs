//! B15: the host is killed between taking an event and starting what waits for it; nothing is lost, nothing starts twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use weir_e2e::{
    Api, Data,
    api::is_crash,
    host::{PATIENCE, weir},
};

/// How often the host is killed.
const KILLS: u32 = 12;
/// Who sends at a time.
const SENDERS: usize = 8;
/// Milliseconds that a host lives.
const LIFE_MS: std::ops::Range<u64> = 30..400;
/// Every event starts two workflows, and the end of the first starts a third.
const STARTED: [&str; 3] = ["first", "second", "after"];

/// The hosts one after the other, and what they took.
struct World {
    host: watch::Receiver<(u32, Api)>,
    next: AtomicU64,
    enough: AtomicBool,
    accepted: Mutex<Vec<u64>>,
}

fn flow(name: &str, trigger: Value) -> Value {
    json!({ "name": name, "trigger": trigger, "output": "$.input", "steps": [
        { "id": "is_set", "type": "condition", "condition": { "field": "$.input.n", "operator": "exists" } } ] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b15_accepted_events_start_everything_once_whenever_the_host_dies() -> Result<()> {
    let data = Data::new()?;
    let mut host = data.start().await?;
    for name in ["first", "second"] {
        let trigger = json!({ "type": "event", "config": { "event_type": "com.example.*" } });
        host.api.post("/api/workflows", &flow(name, trigger)).await?;
    }
    let trigger = json!({ "type": "agent_completion", "config": { "workflow_id": "first" } });
    host.api.post("/api/workflows", &flow("after", trigger)).await?;
    let (hosts, watched) = watch::channel((0, host.api.clone()));
    let (next, enough, accepted) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::default());
    let world = Arc::new(World { host: watched, next, enough, accepted });
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let world = Arc::clone(&world);
        senders.spawn(async move { world.send().await });
    }
    for kill in 1..=KILLS {
        let life = Duration::from_millis(rand::rng().random_range(LIFE_MS));
        if let Ok(Some(ended)) = timeout(life, senders.join_next()).await {
            ended?.context("a sender broke off")?;
        }
        host.kill().await?;
        host = data.start().await?;
        hosts.send_replace((kill, host.api.clone()));
    }
    world.enough.store(true, Ordering::Relaxed);
    while let Some(ended) = senders.join_next().await {
        ended?.context("a sender broke off")?;
    }
    dispatched(&host.api).await?;
    check(&host.api, &world).await?;
    ensure!(host.stop().await?.success(), "the last host did not stop well");
    let said = data.said()?;
    ensure!(!said.contains("panicked") && !said.contains("ERROR"), "the hosts complained: {said}");
    Ok(())
}

impl World {
    /// Sends one event after the other, each until it is taken.
    async fn send(&self) -> Result<()> {
        while !self.enough.load(Ordering::Relaxed) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let event = json!({ "specversion": "1.0", "source": "/e2e", "id": n.to_string(), "type": "com.example.n",
                "data": { "n": n } })
            .to_string();
            loop {
                let (life, api) = self.host.borrow().clone();
                let answer = api.send(Method::POST, "/api/events", "application/cloudevents+json", event.clone()).await;
                match answer.and_then(|answer| answer.good()) {
                    Ok(_) => break,
                    Err(error) => self.outlive(life, error).await?,
                }
            }
            self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(n);
        }
        Ok(())
    }

    /// Waits for the next host, if a request failed because this one was killed.
    async fn outlive(&self, life: u32, error: anyhow::Error) -> Result<()> {
        if !is_crash(&error) {
            return Err(error);
        }
        let mut host = self.host.clone();
        let next = timeout(PATIENCE, host.wait_for(|(now, _)| *now > life)).await;
        drop(next.with_context(|| format!("a request failed though nobody killed the host: {error:#}"))??);
        Ok(())
    }
}

/// Waits until nothing is left to dispatch and nothing runs.
async fn dispatched(api: &Api) -> Result<()> {
    let mut turn = tokio::time::interval(Duration::from_millis(20));
    let quiet = async {
        loop {
            turn.tick().await;
            let events = api.all("/api/events").await?;
            let waits = events.iter().filter(|event| event["dispatched_at"].is_null()).count();
            if waits == 0 && api.all("/api/executions?status=running").await?.is_empty() {
                // An end that came after the list was read has its own event.
                if api.all("/api/events").await?.len() == events.len() {
                    return anyhow::Ok(());
                }
            }
        }
    };
    timeout(PATIENCE, quiet).await.context("events are left that nobody dispatches")?
}

/// Compares what was taken with every execution of the host.
async fn check(api: &Api, world: &World) -> Result<()> {
    let mut started: BTreeMap<(String, u64), u32> = BTreeMap::new();
    for summary in api.all("/api/executions").await? {
        let id = summary["id"].as_str().context("an execution without an id")?;
        let shown = api.get(&format!("/api/executions/{id}")).await?;
        ensure!(shown["status"] == "completed", "it ended badly: {shown}");
        let n = shown["input_data"]["n"].as_u64().with_context(|| format!("another input: {shown}"))?;
        let workflow = summary["workflow_name"].as_str().context("an execution without a workflow")?.to_owned();
        *started.entry((workflow, n)).or_default() += 1;
    }
    let twice: Vec<_> = started.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "started twice: {twice:?}");
    let accepted = world.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(!accepted.is_empty(), "no event was taken: the test shows nothing");
    for n in &accepted {
        for workflow in STARTED {
            ensure!(started.contains_key(&(workflow.to_owned(), *n)), "event {n} did not start {workflow}");
        }
    }
    eprintln!("b15: {KILLS} kills, {} events taken, {} executions", accepted.len(), started.len());
    Ok(())
}

#[tokio::test]
async fn events_are_sent_and_listed_from_the_command_line() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let environment = [("WEIR_URL", host.api.url.as_str()), ("WEIR_TOKEN", host.api.token.as_str())];
    let directory = data.path();
    let run = async |arguments: &[&str]| weir(arguments, &environment, &directory).await;
    let order =
        ["events", "send", "--type", "com.example.order", "--source", "/shop", "--id", "a1", "--input", "{\"n\":1}"];
    ensure!(run(&order).await?.exits(0)?.contains("accepted a1"), "it is new");
    ensure!(run(&order).await?.exits(0)?.contains("stored before"), "it is a copy");
    ensure!(
        run(&["events", "list", "--source", "/shop"]).await?.exits(0)?.contains("com.example.order"),
        "it is listed"
    );
    let shown: Value = serde_json::from_str(run(&["events", "show", "1", "--json"]).await?.exits(0)?)?;
    ensure!(shown["event"]["data"] == json!({ "n": 1 }), "another event: {shown}");
    let refused = run(&["events", "send", "--type", "t", "--source", "weir:host"]).await?;
    ensure!(refused.code != Some(0) && refused.stderr.contains("/source"), "not refused: {refused:?}");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}
