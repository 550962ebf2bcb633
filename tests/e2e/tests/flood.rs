//! A3, A17: more webhooks than the host can take, and larger ones than it can hold.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};
use weir_e2e::{Api, Data, Host, api::Answer};

/// The most bytes of a body where a trigger does not say, and where it says as much as it may.
const BODY: usize = 1 << 20;
const LARGE_BODY: usize = 25 << 20;
/// What all large bodies may take at a time.
const ROOM: usize = 100 << 20;
/// Large bodies that wait are there once, and the one that is worked on some six times: as input, as a tree, as events, as
/// a delivery, and on its way into the database. Fifty of them alone would be 1250 MiB.
const LARGE_GROWTH_MAX: usize = 300 << 20;
/// Bodies that come in at a time.
const PARALLEL: usize = 50;

/// Senders that keep the host busy, and ten times as many.
const BUSY: usize = 32;
const FLOOD: usize = 10 * BUSY;
/// How many of them send large bodies with a wrong token.
const LARGE: usize = 40;
const FLOOD_LASTS: Duration = Duration::from_secs(8);
/// How long an answer may take meanwhile, to a sender and to whoever looks after the host.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A webhook with its token.
#[derive(Clone)]
struct Hook {
    api: Api,
    path: String,
}

impl Hook {
    /// Saves a workflow without plugins that a webhook starts, which takes bodies of so many bytes.
    async fn save(host: &Host, name: &str, body_bytes_max: usize) -> Result<Self> {
        let workflow = json!({
            "name": name,
            "trigger": { "type": "webhook", "config": { "path": name, "body_limit_bytes": body_bytes_max } },
            "steps": [{ "id": "a", "type": "condition", "condition": { "field": "$.input.a", "operator": "exists" } }],
        });
        let saved = host.api.post("/api/workflows", &workflow).await?;
        let secret = saved["secrets"][0]["secret"].as_str().context("no secret was made")?;
        Ok(Self { api: Api::new(&host.api.url, secret), path: format!("/webhooks/{name}") })
    }

    /// The same webhook, sent to by somebody who knows no secret.
    fn of_a_stranger(&self) -> Self {
        Self { api: Api::new(&self.api.url, "nobody's token"), path: self.path.clone() }
    }

    async fn send(&self, body: &Bytes) -> Result<Answer> {
        self.api.send(Method::POST, &self.path, "application/json", body.clone()).await
    }

    /// Sends all of a body but its last byte, on a connection of its own.
    async fn send_nearly(&self, body: &[u8]) -> Result<TcpStream> {
        let address = self.api.url.strip_prefix("http://").context("another URL")?;
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.path,
            self.api.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        // One that is refused at once may be closed while it is written.
        drop(stream.write_all(&body[..body.len() - 1]).await);
        Ok(stream)
    }
}

/// JSON of so many bytes.
fn body(bytes: usize) -> Bytes {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8)).into()
}

/// A refusal that says when to come back.
fn is_busy(answer: &Answer) -> bool {
    [429, 503].contains(&answer.status) && answer.headers.contains_key("retry-after")
}

/// Sends a body so often at a time; tells how many were taken and how many were refused for now.
async fn at_once(hook: &Hook, body: &Bytes, times: usize) -> Result<(usize, usize)> {
    let mut sending = JoinSet::new();
    for _ in 0..times {
        let (hook, body) = (hook.clone(), body.clone());
        sending.spawn(async move { hook.send(&body).await });
    }
    let (mut taken, mut busy) = (0, 0);
    for answer in sending.join_all().await {
        let answer = answer?;
        ensure!(answer.status == 202 || is_busy(&answer), "{}: {}", answer.status, answer.text);
        if answer.status == 202 { taken += 1 } else { busy += 1 }
    }
    Ok((taken, busy))
}

/// Sends small bodies at once, and large ones one after the other, so that caches and pools are there.
async fn warm_up(hook: &Hook) -> Result<()> {
    ensure!(at_once(hook, &body(1_000), PARALLEL).await? == (PARALLEL, 0), "small bodies are refused");
    for _ in 0..PARALLEL {
        ensure!(at_once(hook, &body(BODY), 1).await? == (1, 0), "a body is refused");
    }
    Ok(())
}

/// The memory of a host.
struct Memory {
    process: u32,
    before: usize,
}

impl Memory {
    /// Forgets the peak of before.
    fn watch(host: &Host) -> Result<Self> {
        let process = host.process()?;
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").context("forgetting the peak")?;
        Ok(Self { process, before: read_memory(process, "VmRSS:")? })
    }

    /// How many bytes it had more at its peak.
    fn growth(&self) -> Result<usize> {
        Ok(read_memory(self.process, "VmHWM:")?.saturating_sub(self.before))
    }
}

fn read_memory(process: u32, name: &str) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("reading a process's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a process without memory")?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse().context("reading the memory")?;
    Ok(kib << 10)
}

fn mib(bytes: usize) -> usize {
    bytes >> 20
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_fifty_bodies_at_once_take_no_more_than_twice_what_they_may() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let (hook, large_hook) = (Hook::save(&host, "usual", BODY).await?, Hook::save(&host, "large", LARGE_BODY).await?);
    warm_up(&hook).await?;

    let memory = Memory::watch(&host)?;
    let (taken, busy) = at_once(&hook, &body(BODY), PARALLEL).await?;
    let growth = memory.growth()?;
    eprintln!("a3: {PARALLEL} bodies of 1 MiB: {taken} taken, {} MiB more", mib(growth));
    ensure!((taken, busy) == (PARALLEL, 0), "{busy} were refused");
    ensure!(growth <= 2 * PARALLEL * BODY, "the memory grew by {} MiB", mib(growth));

    let memory = Memory::watch(&host)?;
    let (taken, busy) = at_once(&large_hook, &body(LARGE_BODY), PARALLEL).await?;
    let growth = memory.growth()?;
    eprintln!("a3: {PARALLEL} bodies of 25 MiB: {taken} taken, {busy} refused for now, {} MiB more", mib(growth));
    ensure!(taken > 0 && busy > 0, "{taken} were taken and {busy} refused for now");
    ensure!(growth <= LARGE_GROWTH_MAX, "the memory grew by {} MiB", mib(growth));

    let too_large = large_hook.send(&body(LARGE_BODY + 1)).await?;
    too_large.refused(413, "body_too_large")?;
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_bodies_that_never_end_take_their_room_and_no_more() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let (hook, large_hook) = (Hook::save(&host, "usual", BODY).await?, Hook::save(&host, "large", LARGE_BODY).await?);
    warm_up(&hook).await?;

    let (memory, large) = (Memory::watch(&host)?, Arc::new(body(LARGE_BODY)));
    let mut sending = JoinSet::new();
    for _ in 0..PARALLEL {
        let (hook, large) = (large_hook.of_a_stranger(), Arc::clone(&large));
        sending.spawn(async move { hook.send_nearly(&large).await });
    }
    let held: Vec<TcpStream> = sending.join_all().await.into_iter().collect::<Result<_>>()?;
    // The room is taken, and is only the room of large bodies.
    ensure!(is_busy(&large_hook.send(&body(LARGE_BODY)).await?), "there is room for more");
    ensure!(hook.send(&body(BODY)).await?.status == 202, "usual bodies are refused");
    let growth = memory.growth()?;
    eprintln!("a3: {PARALLEL} bodies of 25 MiB that do not end: {} MiB more", mib(growth));
    ensure!(growth <= 2 * ROOM, "the memory grew by {} MiB", mib(growth));

    // Those that were held get their last byte: they prove nothing, and their room is free again.
    let mut refused = 0;
    for mut stream in held {
        drop(stream.write_all(b"}").await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        refused += usize::from(answer.starts_with(b"HTTP/1.1 401"));
    }
    ensure!(refused == ROOM / LARGE_BODY, "{refused} were held");
    ensure!(large_hook.send(&body(LARGE_BODY)).await?.status == 202, "the room is not free again");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

/// What senders were told, and how long the longest answer took.
#[derive(Default)]
struct Told {
    taken: Vec<String>,
    statuses: BTreeMap<u16, u32>,
    longest: Duration,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.taken.extend(other.taken);
        other.statuses.into_iter().for_each(|(status, count)| *self.statuses.entry(status).or_default() += count);
        self.longest = self.longest.max(other.longest);
    }

    /// Sends until it is over, without a pause.
    async fn by(hook: Hook, body: Bytes, over: watch::Receiver<bool>) -> Result<Self> {
        let mut told = Self::default();
        while !*over.borrow() {
            let sent = Instant::now();
            let answer = hook.send(&body).await?;
            told.longest = told.longest.max(sent.elapsed());
            *told.statuses.entry(answer.status).or_default() += 1;
            if answer.status == 202 {
                told.taken.push(answer.json()?["execution_id"].as_str().context("no execution")?.to_owned());
            } else {
                ensure!(answer.status == 401 || is_busy(&answer), "{}: {}", answer.status, answer.text);
            }
        }
        Ok(told)
    }
}

/// Lets many send at once for a while; somebody looks after the host meanwhile.
async fn flood(host: &Host, hook: &Hook, large: &Hook, senders: usize) -> Result<(Told, Duration)> {
    let (over, is_over) = watch::channel(false);
    let (small, large_body) = (body(200), body(5 << 20));
    let mut sending = JoinSet::new();
    for n in 0..senders {
        let (hook, body) = if n < LARGE { (large, &large_body) } else { (hook, &small) };
        sending.spawn(Told::by(hook.clone(), body.clone(), is_over.clone()));
    }
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    let mut turn = tokio::time::interval(Duration::from_millis(50));
    while began.elapsed() < FLOOD_LASTS {
        turn.tick().await;
        let asked = Instant::now();
        host.api.get("/api/workflows").await?;
        longest = longest.max(asked.elapsed());
    }
    over.send_replace(true);
    let mut told = Told::default();
    for each in sending.join_all().await {
        told.add(each?);
    }
    Ok((told, longest))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_a_flood_of_webhooks_is_taken_or_told_to_come_back_and_what_is_taken_is_executed() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let (hook, large) = (Hook::save(&host, "usual", BODY).await?, Hook::save(&host, "large", LARGE_BODY).await?);
    let (told, longest) = flood(&host, &hook, &large.of_a_stranger(), FLOOD).await?;
    eprintln!("a17: {:?}, the longest took {:?}; others waited {longest:?}", told.statuses, told.longest);
    ensure!(told.statuses.contains_key(&503), "nothing was refused: it was no flood");
    ensure!(told.longest <= ANSWER_MAX, "an answer took {:?}", told.longest);
    ensure!(longest <= ANSWER_MAX, "others waited {longest:?}");

    let taken: HashSet<String> = told.taken.iter().cloned().collect();
    ensure!(taken.len() == told.taken.len(), "an execution was told twice");
    for execution in told.taken.iter().rev().take(FLOOD) {
        host.api.ended(execution).await?;
    }
    let completed = host.api.all("/api/executions?status=completed").await?;
    let completed: HashSet<String> =
        completed.iter().filter_map(|execution| execution["id"].as_str().map(str::to_owned)).collect();
    ensure!(completed == taken, "{} were taken, {} completed", taken.len(), completed.len());
    ensure!(host.api.all("/api/executions").await?.len() == taken.len(), "others were started");
    let said = data.said()?;
    ensure!(!said.contains("ERROR") && !said.contains("panicked"), "the host complained: {said}");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}
