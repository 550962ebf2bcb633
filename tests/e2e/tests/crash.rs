//! R1: the host is killed at random, again and again, and contradicts nothing that was seen of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use weir_e2e::{
    Api, Data, Event,
    api::is_crash,
    ledger::{Ledger, Seen},
    log,
};

use crate::sample;

/// How often the host is killed.
const KILLS: u32 = 60;
/// Executions in flight at any time.
const IN_FLIGHT: usize = 20;
/// Milliseconds that a host lives.
const LIFE_MS: std::ops::Range<u64> = 50..1_500;
/// How long a broken connection may go unexplained by a crash.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that a start may take.
const READY_MAX: Duration = Duration::from_secs(10);

/// The hosts one after the other, and what was seen of them.
struct World {
    /// Which host it is, and how to talk to it.
    host: watch::Receiver<(u32, Api)>,
    ledger: Ledger,
    next: AtomicU64,
    enough: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_sixty_random_kills() -> Result<()> {
    let data = Data::with_bundled().await?;
    let path = data.beside("ledger");
    let mut host = data.start().await?;
    sample::install_guests(&host).await?;
    host.api.post("/api/workflows", &sample::everything()).await?;

    let (hosts, watched) = watch::channel((0, host.api.clone()));
    let (next, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let world = Arc::new(World { host: watched, ledger: Ledger::create(&path)?, next, enough });
    let mut workers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let world = Arc::clone(&world);
        workers.spawn(async move { world.work().await });
    }
    let mut slowest = Duration::ZERO;
    for kill in 1..=KILLS {
        let life = Duration::from_millis(rand::rng().random_range(LIFE_MS));
        // A worker ends early only with a violation.
        if let Ok(Some(ended)) = timeout(life, workers.join_next()).await {
            ended?.context("a worker broke off")?;
        }
        host.kill().await?;
        host = data.start().await?;
        slowest = slowest.max(host.ready_after);
        hosts.send_replace((kill, host.api.clone()));
    }
    world.enough.store(true, Ordering::Relaxed);
    while let Some(ended) = workers.join_next().await {
        ended?.context("a worker broke off")?;
    }
    let checked = Check::read(&path)?.run(&host.api).await?;
    eprintln!("r1: {KILLS} kills, slowest start {slowest:?}, {checked}");
    ensure!(slowest < READY_MAX, "a host took {slowest:?} to get ready");
    ensure!(host.stop().await?.success(), "the last host did not stop well");
    let said = data.said()?;
    ensure!(!said.contains("panicked") && !said.contains("ERROR"), "the hosts complained: {}", complaints(&said));
    Ok(())
}

fn complaints(said: &str) -> String {
    said.lines()
        .filter(|line| line.contains("panicked") || line.contains("ERROR"))
        .take(20)
        .collect::<Vec<_>>()
        .join("\n")
}

impl World {
    /// Starts executions one after the other and sees each to its end.
    async fn work(&self) -> Result<()> {
        while !self.enough.load(Ordering::Relaxed) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            self.ledger.write(&[Seen::Sent { n }])?;
            let (life, api) = self.host.borrow().clone();
            match api.post("/api/workflows/everything/execute", &json!({ "input_data": sample::input(n) })).await {
                Ok(accepted) => {
                    let execution = accepted["execution_id"].as_str().context("an answer without an id")?.to_owned();
                    self.ledger.write(&[Seen::Accepted { n, execution: execution.clone() }])?;
                    self.see(&execution).await.with_context(|| format!("seeing execution {execution}"))?;
                }
                Err(error) => self.outlive(life, error).await?,
            }
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

    /// Follows an execution to its end over all crashes, and answers what it asks.
    async fn see(&self, execution: &str) -> Result<()> {
        let mut way = Way { execution, seen: 0, question: None, tried: false };
        loop {
            let (life, api) = self.host.borrow().clone();
            match self.follow(&api, &mut way).await {
                Ok(()) => return Ok(()),
                Err(error) => self.outlive(life, error).await?,
            }
        }
    }

    async fn follow(&self, api: &Api, way: &mut Way<'_>) -> Result<()> {
        self.answer(api, way).await?;
        let mut events = api.events(way.execution, way.seen).await?;
        loop {
            let batch = events.next().await?;
            if batch.is_empty() {
                // The stream of an execution that has ended, to a client that has seen its end, is empty.
                let execution = api.get(&format!("/api/executions/{}", way.execution)).await?;
                ensure!(!execution["completed_at"].is_null(), "the stream ended before the execution: {execution}");
                return Ok(());
            }
            for event in &batch {
                ensure!(event.seq == way.seen + 1, "event {} was told after {}", event.seq, way.seen);
                way.seen = event.seq;
                if event.is_question() {
                    way.question = Some(event.seq);
                }
            }
            let told: Vec<_> = batch.iter().map(|event| Seen::told(way.execution, event)).collect();
            self.ledger.write(&told)?;
            if batch.iter().any(Event::is_end) {
                return Ok(());
            }
            self.answer(api, way).await?;
        }
    }

    /// Answers the question that is open, once.
    async fn answer(&self, api: &Api, way: &mut Way<'_>) -> Result<()> {
        let Some(approval) = way.question else { return Ok(()) };
        let option = if approval.is_multiple_of(2) { "yes" } else { "no" };
        let path = format!("/api/executions/{}/approve", way.execution);
        let tried = std::mem::replace(&mut way.tried, true);
        let answer = api.try_post(&path, &json!({ "approval_id": approval, "option_id": option })).await?;
        if answer.status == 409 && tried {
            let problem = answer.refused(409, "already_decided")?;
            ensure!(problem["details"]["approval"]["decision"]["option_id"] == option, "another decision: {problem}");
        } else {
            answer.good()?;
        }
        let (execution, option) = (way.execution.to_owned(), option.to_owned());
        self.ledger.write(&[Seen::Answered { execution, approval, option }])?;
        way.question = None;
        Ok(())
    }
}

/// How far an execution was seen.
struct Way<'a> {
    execution: &'a str,
    /// The last event that was told.
    seen: u64,
    /// The question that waits for an answer.
    question: Option<u64>,
    /// Whether an answer was sent before, that may have arrived.
    tried: bool,
}

/// The ledger, sorted for the comparison with what the host says in the end.
#[derive(Default)]
struct Check {
    sent: u64,
    accepted: BTreeMap<u64, String>,
    told: HashMap<String, Vec<(u64, String, String)>>,
    answered: HashMap<String, (u64, String)>,
}

impl Check {
    fn read(path: &std::path::Path) -> Result<Self> {
        let mut check = Self::default();
        for seen in Ledger::read(path)? {
            match seen {
                Seen::Sent { n: _ } => check.sent += 1,
                Seen::Accepted { n, execution } => {
                    ensure!(check.accepted.insert(n, execution).is_none(), "start {n} was accepted twice");
                }
                Seen::Told { execution, seq, kind, data } => {
                    check.told.entry(execution).or_default().push((seq, kind, data));
                }
                Seen::Answered { execution, approval, option } => {
                    let before = check.answered.insert(execution, (approval, option));
                    ensure!(before.is_none(), "an execution asked twice: {before:?}");
                }
            }
        }
        Ok(check)
    }

    /// Compares with every execution of the host.
    async fn run(&self, api: &Api) -> Result<String> {
        let executions = api.all("/api/executions").await?;
        let mut by_n: BTreeMap<u64, String> = BTreeMap::new();
        let mut sum = log::Told::default();
        for summary in &executions {
            let id = summary["id"].as_str().context("an execution without an id")?;
            let (n, told) = self.execution(api, id).await.with_context(|| format!("checking execution {id}"))?;
            ensure!(by_n.insert(n, id.to_owned()).is_none(), "start {n} has two executions");
            sum.completed += told.completed;
            sum.interrupted += told.interrupted;
            sum.decided += told.decided;
        }
        for (n, id) in &self.accepted {
            ensure!(by_n.get(n) == Some(id), "start {n} was accepted as {id}, but there is {:?}", by_n.get(n));
        }
        ensure!(executions.len() as u64 <= self.sent, "there are more executions than starts");
        ensure!(sum.interrupted > 0, "no kill hit a running call: the test shows nothing");
        let (accepted, all) = (self.accepted.len(), executions.len());
        let told: usize = self.told.values().map(Vec::len).sum();
        Ok(format!(
            "{} starts sent, {accepted} accepted, {all} executions, {told} events seen, {} steps completed, \
             {} calls interrupted, {} answers",
            self.sent, sum.completed, sum.interrupted, sum.decided
        ))
    }

    async fn execution(&self, api: &Api, id: &str) -> Result<(u64, log::Told)> {
        let shown = ended(api, id).await?;
        ensure!(shown["status"] == "completed", "it ended badly: {shown}");
        let n = shown["input_data"]["n"].as_u64().context("an execution without its number")?;
        let events = log::read(api, id).await?;
        let told = log::check(&events)?;
        for (seq, kind, data) in self.told.get(id).into_iter().flatten() {
            let stored = usize::try_from(*seq)?.checked_sub(1).and_then(|index| events.get(index));
            let stored = stored.with_context(|| format!("event {seq} ({kind}) was told, and is not in the log"))?;
            let same = stored.kind == *kind && stored.data.to_string().as_str() == data;
            ensure!(same, "event {seq} was told as {kind} {data}, but the log has {stored:?}");
        }
        if let Some((approval, option)) = self.answered.get(id) {
            let decided =
                events.iter().find(|event| event.kind == "decided").context("the answer is not in the log")?;
            ensure!(decided.data["call"] == *approval, "another question was answered: {decided:?}");
            ensure!(decided.data["decision"]["option_id"] == *option, "another answer: {decided:?}");
            ensure!(shown["output"] == json!({ "n": n, "option": option }), "another output: {shown}");
        }
        Ok((n, told))
    }
}

/// An execution at its end. One whose acceptance was never told is not followed by anybody, and may still ask.
async fn ended(api: &Api, id: &str) -> Result<Value> {
    let mut events = api.events(id, 0).await?;
    loop {
        let batch = events.next().await?;
        if batch.is_empty() {
            break;
        }
        for question in batch.iter().filter(|event| event.is_question()) {
            let body = json!({ "approval_id": question.seq, "option_id": "yes" });
            let answer = api.try_post(&format!("/api/executions/{id}/approve"), &body).await?;
            if !matches!(answer.status, 200 | 409) {
                bail!("an answer got {}: {}", answer.status, answer.text);
            }
        }
    }
    api.get(&format!("/api/executions/{id}")).await
}
