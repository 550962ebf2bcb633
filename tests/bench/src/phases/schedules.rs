//! Schedules: what ten thousand that are not due cost, and how late a thousand start that are due in the same second.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::sleep;

use super::Bench;
use crate::{
    numbers::quantile,
    process::{self, Snapshot},
    report::progress,
    rows::database_in,
    server::Server,
};

/// The most triggers of one workflow.
const TRIGGERS_OF_ONE: usize = 32;
/// How long an idle server is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// From the definition of the schedules until they are due, in seconds: time to save them all.
const DUE_AFTER_S: i64 = 8;

impl Bench {
    /// Measures idle schedules, then many that are due at once.
    pub(crate) async fn measure_schedules(&mut self) -> Result<()> {
        let data = self.folder()?;
        let server = self.installed_server(data.path()).await?;
        let (cpu_without, rss_without) = watch(&server).await?;
        let idle = self.sizes.waiting;
        progress(&format!("{idle} schedules that are not due …"));
        save(&server, "idle", "0 0 1 1 *", idle).await?;
        let (cpu_with, rss_with) = watch(&server).await?;
        self.report.add("idle_triggers_cpu_ms_per_s", cpu_with - cpu_without, "ms/s");
        self.report.add("idle_triggers_rss_mb", rss_with - rss_without, "MiB");

        let due = (idle / 10).max(1);
        let lags = due_at_once(&server, data.path(), due).await?;
        ensure!(lags.len() == due, "{} of {due} schedules started something", lags.len());
        self.report.add("cron_1k_lag_p50_ms", quantile(&lags, 0.5).as_secs_f64() * 1e3, "ms");
        self.report.add("cron_1k_lag_p99_ms", quantile(&lags, 0.99).as_secs_f64() * 1e3, "ms");
        server.stop().await
    }
}

/// Milliseconds of processor time a second while nothing happens, and the memory in MiB.
async fn watch(server: &Server) -> Result<(f64, f64)> {
    let before = Snapshot::take(server.pid)?;
    sleep(WATCHED).await;
    let activity = Snapshot::take(server.pid)?.since(&before);
    Ok((activity.cpu_us(1) / 1e3 / WATCHED.as_secs_f64(), process::rss_mb(server.pid)?))
}

/// Saves workflows that have `count` triggers with this schedule among them.
async fn save(server: &Server, name: &str, schedule: &str, count: usize) -> Result<()> {
    for (number, first) in (0..count).step_by(TRIGGERS_OF_ONE).enumerate() {
        let trigger = json!({ "type": "cron", "config": { "schedule": schedule } });
        let triggers = vec![trigger; TRIGGERS_OF_ONE.min(count - first)];
        let step = json!({ "id": "say", "type": "tool", "tool": "echo.echo", "tool_args": { "message": "tick" } });
        let definition = json!({ "name": format!("{name}-{number}"), "triggers": triggers, "steps": [step] });
        server.api.post("/api/workflows", &definition).await?;
    }
    Ok(())
}

/// How long after their second `count` schedules started their executions, ascending.
async fn due_at_once(server: &Server, data: &Path, count: usize) -> Result<Vec<Duration>> {
    progress(&format!("{count} schedules that are due in the same second …"));
    let due = Timestamp::now().checked_add(DUE_AFTER_S.seconds()).context("finding an instant")?;
    let civil = due.to_zoned(TimeZone::UTC).datetime();
    let (second, minute, hour, day, month) = (civil.second(), civil.minute(), civil.hour(), civil.day(), civil.month());
    save(server, "due", &format!("{second} {minute} {hour} {day} {month} *"), count).await?;
    ensure!(Timestamp::now() < due, "saving the schedules took longer than {DUE_AFTER_S} s");
    let began = Instant::now();
    while fired(server, count).await? < count {
        ensure!(began.elapsed() < Duration::from_secs(60), "not all schedules started something");
        sleep(Duration::from_millis(50)).await;
    }
    lags(data).await
}

/// How many of the workflows' triggers have fired.
async fn fired(server: &Server, count: usize) -> Result<usize> {
    let mut fired = 0;
    for number in 0..count.div_ceil(TRIGGERS_OF_ONE) {
        let answer = server.api.get(&format!("/api/triggers?workflow=due-{number}&limit=100")).await?;
        let items = answer["items"].as_array().context("listing triggers")?;
        fired += items.iter().filter(|item| item["fired"].as_u64().unwrap_or(0) > 0).count();
    }
    Ok(fired)
}

async fn lags(data: &Path) -> Result<Vec<Duration>> {
    let options = SqliteConnectOptions::new().filename(database_in(data)?).read_only(true);
    let mut database = SqliteConnection::connect_with(&options).await.context("opening the server's database")?;
    let text = "SELECT e.started_at - o.scheduled_for FROM occurrences AS o JOIN executions AS e ON e.id = o.execution_id \
                WHERE o.status = 'fired' ORDER BY 1";
    let lags: Vec<i64> = sqlx::query_scalar(text).fetch_all(&mut database).await.context("reading occurrences")?;
    Ok(lags.into_iter().map(|lag| Duration::from_micros(lag.max(0).unsigned_abs())).collect())
}
