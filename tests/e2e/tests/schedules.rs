//! Many schedules: due at once, through a crash, and idle.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_e2e::{Data, Host, api::Api, host::PATIENCE};

/// The most triggers of a workflow.
const EACH: usize = 32;
/// How many schedules are due at once.
const DUE: usize = 32 * EACH;
/// How many schedules are idle.
const IDLE: usize = 10_000;
/// How long the host has to save them all before they are due.
const NOTICE: Duration = Duration::from_secs(12);
/// How late a schedule may start, and how long the API may take meanwhile; both for all but one in a hundred.
const LAG_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_millis(250);
/// What 10,000 idle schedules may cost in three seconds.
const IDLE_CPU_MAX: Duration = Duration::from_millis(150);

/// A workflow without plugins, with as many schedules as it may have.
fn scheduled(name: &str, schedule: &str) -> Value {
    let trigger = json!({ "type": "cron", "config": { "schedule": schedule } });
    json!({
        "name": name,
        "triggers": vec![trigger; EACH],
        "steps": [{ "id": "a", "type": "condition", "condition": { "field": "$.trigger.id", "operator": "exists" } }],
    })
}

async fn save(api: &Api, schedules: usize, schedule: &str) -> Result<()> {
    let mut saving = JoinSet::new();
    for client in 0..8 {
        let (api, schedule) = (api.clone(), schedule.to_owned());
        saving.spawn(async move {
            for n in (client..schedules.div_ceil(EACH)).step_by(8) {
                api.post("/api/workflows", &scheduled(&format!("scheduled {n}"), &schedule)).await?;
            }
            anyhow::Ok(())
        });
    }
    saving.join_all().await.into_iter().collect()
}

fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Saves schedules that are due in the same second, some seconds from now.
async fn due_together(api: &Api) -> Result<Duration> {
    let due = Duration::from_secs((now()? + NOTICE).as_secs());
    let of_day = due.as_secs() % 86_400;
    let schedule = format!("{} {} {} * * *", of_day % 60, of_day / 60 % 60, of_day / 3600);
    save(api, DUE, &schedule).await?;
    ensure!(now()? < due, "the schedules were saved too late");
    Ok(due)
}

/// Looks at the triggers until `done` says so; tells how long each answer took.
async fn until(api: &Api, done: impl Fn(&[Value]) -> bool) -> Result<Vec<Duration>> {
    let (began, mut took) = (Instant::now(), Vec::new());
    let mut turn = tokio::time::interval(Duration::from_millis(10));
    while began.elapsed() < PATIENCE {
        turn.tick().await;
        let asked = Instant::now();
        let first = api.get("/api/triggers?limit=199").await?;
        took.push(asked.elapsed());
        let items = first["items"].as_array().context("a page without items")?;
        if done(items) && done(&api.all("/api/triggers").await?) {
            return Ok(took);
        }
    }
    anyhow::bail!("the schedules are not done after {} s", PATIENCE.as_secs())
}

fn all_fired(triggers: &[Value]) -> bool {
    triggers.iter().all(|trigger| trigger["fired"].as_u64() >= Some(1))
}

/// Checks that each schedule started one execution, and tells when each did.
async fn started_once(api: &Api) -> Result<Vec<Duration>> {
    let (mut executions, mut at) = (BTreeSet::new(), Vec::new());
    for trigger in api.all("/api/triggers").await? {
        let id = trigger["id"].as_str().context("a trigger without an id")?;
        let page = api.get(&format!("/api/triggers/{id}/occurrences")).await?;
        let [row] = page["items"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            anyhow::bail!("not one occurrence: {page}")
        };
        ensure!(row["status"] == "fired" && trigger["fired"] == 1, "it did not start: {row}");
        executions.insert(row["execution_id"].as_str().context("an occurrence without an execution")?.to_owned());
        at.push(instant(row["at"].as_str().context("an occurrence without a time")?)?);
    }
    ensure!(executions.len() == DUE, "{} executions for {DUE} schedules", executions.len());
    let stored = api.all("/api/executions").await?;
    ensure!(stored.len() == DUE, "{} executions were started, not {DUE}", stored.len());
    let strange = stored.iter().find(|execution| execution["id"].as_str().is_none_or(|id| !executions.contains(id)));
    ensure!(strange.is_none(), "an execution without an occurrence: {strange:?}");
    Ok(at)
}

fn instant(text: &str) -> Result<Duration> {
    let at: jiff::Timestamp = text.parse()?;
    Ok(Duration::from_micros(u64::try_from(at.as_microsecond())?))
}

/// What all but one in a hundred do not exceed.
fn p99(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values.get(values.len().saturating_sub(1 + values.len() / 100)).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_a_thousand_schedules_are_due_in_the_same_second() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let due = due_together(&host.api).await?;
    let answers = until(&host.api, all_fired).await?;
    let lags = started_once(&host.api).await?.into_iter().map(|at| at.saturating_sub(due)).collect();
    let (lag, answer) = (p99(lags), p99(answers));
    eprintln!("start lag p99 {} ms, API p99 {} ms", lag.as_millis(), answer.as_millis());
    ensure!(lag <= LAG_MAX, "schedules started {} ms late", lag.as_millis());
    ensure!(answer <= ANSWER_MAX, "the API took {} ms meanwhile", answer.as_millis());
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_a_crash_amid_a_thousand_starts_loses_none_and_doubles_none() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    due_together(&host.api).await?;
    until(&host.api, |triggers| triggers.iter().any(|trigger| trigger["fired"] == 1)).await?;
    let killed = now()?;
    host.kill().await?;
    let host = data.start().await?;
    until(&host.api, all_fired).await?;
    let at = started_once(&host.api).await?;
    let before = at.iter().filter(|at| **at < killed).count();
    eprintln!("{before} of {} started before the crash", at.len());
    ensure!(before > 0 && before < at.len(), "the crash was not amid the starts: {before} of {} before it", at.len());
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

/// The processor time that a process has used.
fn used(host: &Host) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", host.process()?)).context("reading what it used")?;
    let fields = stat.rsplit_once(')').context("a line without a name")?.1;
    let ticks: Vec<u64> = fields.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    Ok(Duration::from_secs_f64(ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_idle_schedules_cost_nothing() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    save(&host.api, IDLE, "0 0 1 1 *").await?;
    // Three seconds by the host's own clock: a person who does not answer.
    let wait = json!({ "name": "wait", "steps": [{ "id": "ask", "type": "human", "human_config": {
        "notification": "?", "options": [{ "id": "yes" }], "timeout_minutes": 0.05, "on_timeout": "continue" } }] });
    host.api.post("/api/workflows", &wait).await?;
    let started = host.api.post("/api/workflows/wait/execute", &json!({ "input_data": {} })).await?;
    let before = used(&host)?;
    host.api.ended(started["execution_id"].as_str().context("an answer without an id")?).await?;
    let used = used(&host)?.saturating_sub(before);
    eprintln!("{IDLE} idle schedules used {} ms in three seconds", used.as_millis());
    ensure!(used <= IDLE_CPU_MAX, "{IDLE} idle schedules used {} ms in three seconds", used.as_millis());
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}
