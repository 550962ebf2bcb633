//! Executions that wait for a person: a start with many of them, and how fast they are approved.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::{Bench, execute};
use crate::{
    limits::sqlite::{Bare, Meeting},
    load::{self, Load, Loaded, Requests},
    process::{self, Snapshot},
    report::progress,
    rows::Sample,
    server::Server,
    workload,
};

/// How many people approve at once.
const APPROVERS: usize = 32;

impl Bench {
    /// Measures the start with waiting executions, and their approval.
    pub(crate) async fn measure_waiting(&mut self) -> Result<()> {
        let data = self.folder()?;
        let server = self.installed_server(data.path()).await?;
        let rss = process::rss_mb(server.pid)?;
        let ids = self.submit(&server).await?;
        until_none_is(&server, &["pending", "running"]).await?;
        self.report.add("waiting_rss_growth_mb", process::rss_mb(server.pid)? - rss, "MiB");
        let sampled = ids.first().context("finding an execution")?;
        let before = Sample::read(data.path(), sampled).await?;
        server.crash().await?;

        let server = self.server(data.path()).await?;
        self.report.add("startup_10k_ms", server.ready_after.as_secs_f64() * 1e3, "ms");
        self.report.add("startup_10k_rss_mb", process::rss_mb(server.pid)?, "MiB");
        let activity = Snapshot::take(server.pid)?;
        let approved = self.approve(&server, &ids).await?;
        let activity = Snapshot::take(server.pid)?.since(&activity);
        until_none_is(&server, &["pending", "running", "awaiting_human"]).await?;
        let after = Sample::read(data.path(), sampled).await?;
        server.stop().await?;

        let limit = self.bare_approvals(&before, &after, ids.len()).await?;
        self.report.add("bare_approvals_per_s", limit, "1/s");
        self.report.add_beside("approvals_per_s", approved.per_second(), "1/s", limit);
        self.report.add("approvals_p99_ms", approved.quantile_ms(0.99), "ms");
        self.report.hint(format!("approvals at {APPROVERS}: {}", activity.profile(approved.count())));
        Ok(())
    }

    async fn submit(&self, server: &Server) -> Result<Vec<String>> {
        let count = self.sizes.waiting;
        progress(&format!("{count} executions that wait for a person …"));
        let requests = Requests::Same(execute(&server.api, "approval", false, &workload::message_body()), count);
        let load =
            Load { connections: 32, requests, time_max: Duration::from_secs(300), expect: "execution_id", keep: true };
        let submitted = load::run(&server.api, load).await?;
        let id = |body: &Vec<u8>| -> Result<String> {
            let answer: Value = serde_json::from_slice(body)?;
            Ok(answer["execution_id"].as_str().context("finding an execution's id")?.to_owned())
        };
        submitted.bodies.iter().map(id).collect()
    }

    async fn approve(&self, server: &Server, ids: &[String]) -> Result<Loaded> {
        progress(&format!("{} approvals over {APPROVERS} connections …", ids.len()));
        let request = |id: &String| {
            server.api.request("POST", &format!("/api/executions/{id}/approve"), r#"{"option_id":"yes"}"#)
        };
        let requests = Requests::Each(ids.iter().map(request).collect());
        let time_max = Duration::from_secs(300);
        load::run(&server.api, Load { connections: APPROVERS, requests, time_max, expect: "", keep: false }).await
    }

    async fn bare_approvals(&self, before: &Sample, after: &Sample, count: usize) -> Result<f64> {
        let folder = self.folder()?;
        let mut bare = Bare::create(folder.path(), before).await?;
        let own: Vec<_> = before.own().cloned().collect();
        let changed = after.changed_since(before);
        ensure!(!changed.is_empty(), "an approval changed nothing");
        let batches = count.div_ceil(APPROVERS);
        bare.measure(&own, batches, APPROVERS, Duration::MAX).await?;
        let written = bare.measure_from(&changed, 0, batches, APPROVERS, Meeting::Update, self.sizes.time_max).await?;
        Ok(written.per_second())
    }
}

/// Waits until no execution has one of these statuses.
async fn until_none_is(server: &Server, statuses: &[&str]) -> Result<()> {
    let start = Instant::now();
    for status in statuses {
        let path = format!("/api/executions?status={status}&limit=1");
        while !server.api.get(&path).await?["items"].as_array().context("listing executions")?.is_empty() {
            ensure!(start.elapsed() < Duration::from_secs(120), "some executions stay {status}");
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
