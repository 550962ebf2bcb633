//! Loops with a tool in the body: time, and memory that must not grow with the number of items.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Bench;
use crate::{
    client::Api,
    numbers::median,
    process::{self, Snapshot},
    report::progress,
};

/// Items of the short loop.
const SHORT: usize = 1000;

impl Bench {
    /// Measures the loops.
    pub(crate) async fn measure_loops(&mut self) -> Result<()> {
        let data = self.folder()?;
        let server = self.installed_server(data.path()).await?;
        let mut times = Vec::new();
        for _ in 0..self.sizes.short_loops {
            times.push(run(&server.api, "loop", SHORT).await?);
        }
        self.report.add("loop1k_s", median(&mut times).as_secs_f64(), "s");

        let items = self.sizes.items;
        for (workflow, name) in [("loop", "loop100k_s"), ("loop_window", "loop100k_window16_s")] {
            progress(&format!("a loop over {items} items …"));
            process::forget_peak(server.pid)?;
            let rss = process::rss_mb(server.pid)?;
            let before = Snapshot::take(server.pid)?;
            let took = run(&server.api, workflow, items).await?;
            let activity = Snapshot::take(server.pid)?.since(&before);
            self.report.add(name, took.as_secs_f64(), "s");
            if workflow == "loop" {
                self.report.add("loop100k_rss_mb", process::peak_rss_mb(server.pid)? - rss, "MiB");
            }
            self.report.hint(format!("{name}: {}", activity.profile(items)));
        }
        server.stop().await
    }
}

/// Runs a loop over `items` numbers to its end.
async fn run(api: &Api, workflow: &str, items: usize) -> Result<Duration> {
    let body = json!({ "input_data": { "items": (0..items).collect::<Vec<_>>() } });
    let start = Instant::now();
    let mut execution = api.post(&format!("/api/workflows/{workflow}/execute?wait=60"), &body).await?;
    let id = id_of(&execution).context("finding the loop's id")?;
    while !has_ended(&execution) && start.elapsed() < Duration::from_secs(300) {
        sleep(Duration::from_millis(100)).await;
        execution = api.get(&format!("/api/executions/{id}")).await?;
    }
    let took = start.elapsed();
    let (status, output) = (&execution["status"], &execution["output"]);
    ensure!(status == "completed", "the loop ended as {status}: {}", execution["error"]);
    ensure!(output["count"] == items, "the loop answered {output}");
    Ok(took)
}

fn id_of(execution: &Value) -> Option<String> {
    execution["id"].as_str().or_else(|| execution["execution_id"].as_str()).map(str::to_owned)
}

fn has_ended(execution: &Value) -> bool {
    ["completed", "failed", "timeout", "cancelled"].iter().any(|status| execution["status"] == *status)
}
