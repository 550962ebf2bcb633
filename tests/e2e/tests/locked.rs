//! R7: another process holds the lock of the database.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{task::JoinSet, time::timeout};
use weir_e2e::{Api, Data, Host, api::Answer};

use crate::sample;

/// Shorter than the host waits for the lock.
const SHORT: Duration = Duration::from_secs(3);
/// What a request may take while the lock is held: the host waits for it five seconds, for the row of the audit log
/// again, and the machine may be busy.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);
const STARTS: usize = 20;

/// The lock, held by this process.
struct ForeignLock(SqliteConnection);

impl ForeignLock {
    async fn take(data: &Data) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(data.path().join("weir.db"));
        let mut connection = options.connect().await.context("opening the database beside the host")?;
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.context("locking the database")?;
        Ok(Self(connection))
    }

    async fn release(mut self) -> Result<()> {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.context("unlocking the database")?;
        self.0.close().await.context("closing the database")
    }
}

fn starts(api: &Api) -> JoinSet<Result<Answer>> {
    let mut starts = JoinSet::new();
    for n in 0..STARTS {
        let api = api.clone();
        let body = json!({ "input_data": { "n": n } });
        starts.spawn(async move { api.try_post("/api/workflows/asking/execute", &body).await });
    }
    starts
}

async fn started(host: &Host) -> Result<usize> {
    Ok(host.api.all("/api/executions").await?.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_a_lock_of_three_seconds_costs_only_time() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    let lock = ForeignLock::take(&data).await?;
    let mut starts = starts(&host.api);
    ensure!(started(&host).await? == 0, "what is not on disk is shown");
    ensure!(timeout(SHORT, starts.join_next()).await.is_err(), "an answer came before its start could be on disk");
    lock.release().await?;
    for answer in starts.join_all().await {
        let answer = answer?;
        ensure!(answer.status == 202, "the host answered {}: {}", answer.status, answer.text);
    }
    ensure!(started(&host).await? == STARTS, "some starts are lost");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_a_longer_lock_is_said_and_nothing_is_lost() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    for workflow in [sample::asking(), sample::sleeping(2.0)] {
        host.api.post("/api/workflows", &workflow).await?;
    }
    let hook = sample::hook(&host).await?;
    let asking = start(&host, "asking").await?;
    host.api.asked(&asking).await?;
    // Its call ends while nothing can be written.
    let sleeping = start(&host, "sleeping").await?;
    let lock = ForeignLock::take(&data).await?;
    refused(&host, &hook, &asking).await?;
    lock.release().await?;
    ensure!(started(&host).await? == 2, "what was refused was started");
    ensure!(host.api.ended(&sleeping).await?["status"] == "completed", "an execution did not go on");
    let approve = format!("/api/executions/{asking}/approve");
    host.api.post(&approve, &json!({ "option_id": "yes" })).await?;
    ensure!(host.api.ended(&asking).await?["output"]["option"] == "yes", "an answer is lost");
    let [first, second] = [hook.send("delivery", &json!({})).await?, hook.send("delivery", &json!({})).await?];
    ensure!((first.status, second.status) == (202, 200), "the copies: {first:?} {second:?}");
    start(&host, "asking").await?;
    ensure!(started(&host).await? == 4, "some starts are lost, or came twice");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

async fn start(host: &Host, workflow: &str) -> Result<String> {
    let path = format!("/api/workflows/{workflow}/execute");
    let accepted = host.api.post(&path, &json!({ "input_data": { "n": 1 } })).await?;
    Ok(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned())
}

/// Whatever would write is refused in time as what can be tried again; what only reads is answered.
async fn refused(host: &Host, hook: &sample::Hook, asking: &str) -> Result<()> {
    let began = Instant::now();
    let mut requests = starts(&host.api);
    let (api, path) = (host.api.clone(), format!("/api/executions/{asking}/approve"));
    requests.spawn(async move { api.try_post(&path, &json!({ "option_id": "yes" })).await });
    let (api, path) = (host.api.clone(), format!("/api/executions/{asking}/cancel"));
    requests.spawn(async move { api.try_post(&path, &json!({})).await });
    let sender = hook.clone();
    requests.spawn(async move { sender.send("delivery", &json!({})).await });
    let (api, mut other) = (host.api.clone(), sample::asking());
    other["name"] = json!("other");
    requests.spawn(async move { api.try_post("/api/workflows", &other).await });
    host.api.get(&format!("/api/executions/{asking}")).await?;
    for answer in requests.join_all().await {
        answer?.refused(503, "unavailable")?;
    }
    host.api.get("/api/workflows").await?;
    let took = began.elapsed();
    ensure!(took < REFUSED_WITHIN, "the refusals took {took:?}");
    Ok(())
}
