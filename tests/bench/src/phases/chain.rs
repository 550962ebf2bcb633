//! Durable chains of three tool steps: alone, 32 and 256 at once, and with a long history behind them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Bench;
use crate::{
    limits::sqlite::{Bare, Written},
    load::Loaded,
    numbers::{float, ms, quantile},
    process::{self, Activity},
    rows::{Sample, Table},
    server::Server,
    workload,
};

impl Bench {
    /// Measures the chains.
    pub(crate) async fn measure_chains(&mut self) -> Result<()> {
        let data = self.folder()?;
        let server = self.installed_server(data.path()).await?;
        let first = run_one(&server).await?;
        self.report.add("idle_rss_mb", process::rss_mb(server.pid)?, "MiB");
        self.chains(&server, 8, self.sizes.warm_up / 10).await?;
        let young = self.chains(&server, 32, self.sizes.warm_up).await?.0.per_second();

        let sample = Sample::read(data.path(), &first).await?;
        let own: Vec<_> = sample.own().cloned().collect();
        let bare_folder = self.folder()?;
        let mut bare = Bare::create(bare_folder.path(), &sample).await?;
        let rows_kb = float(sample.bytes()) / 1024.0;
        self.report.add("chain3_rows_kb", rows_kb, "KiB");

        let written_kb = self.one_at_a_time(&server, &mut bare, &own).await?;
        self.report.add_beside("chain3_written_kb_c1", written_kb, "KiB", rows_kb);
        let written_kb = self.at_32(&server, &mut bare, &own).await?;
        self.report.add_beside("chain3_written_kb_c32", written_kb, "KiB", rows_kb);
        self.at_256(&server, &mut bare, &own).await?;
        self.report.add("load_rss_mb", process::peak_rss_mb(server.pid)?, "MiB");
        self.history(&server, young).await?;
        server.stop().await
    }

    /// Answers how much was written for each.
    async fn one_at_a_time(&mut self, server: &Server, bare: &mut Bare, own: &[Table]) -> Result<f64> {
        let count = self.sizes.chains_at_1;
        let synced = self.sync()?;
        let (loaded, activity) = self.chains(server, 1, count).await?;
        let written = self.bare(bare, own, count, 1).await?;
        self.report.add("fdatasync_p50_ms", ms(synced.min(self.sync()?)), "ms");
        let commit = ms(quantile(&written.batches, 0.5));
        self.report.add("bare_commit_p50_ms", commit, "ms");
        self.report.add_beside("chain3_c1_p50_ms", loaded.quantile_ms(0.5), "ms", commit);
        self.report.add("chain3_c1_p99_ms", loaded.quantile_ms(0.99), "ms");
        self.report.add("chain3_c1_exec_per_s", loaded.per_second(), "1/s");
        self.profile("chain3 at 1", &activity, &loaded);
        Ok(kb_each(&activity, &loaded))
    }

    /// Answers how much was written for each.
    async fn at_32(&mut self, server: &Server, bare: &mut Bare, own: &[Table]) -> Result<f64> {
        let count = self.sizes.chains_at_32;
        let (loaded, activity) = self.chains(server, 32, count).await?;
        let limit = self.bare(bare, own, count / 32, 32).await?.per_second;
        self.report.add("bare_batch32_exec_per_s", limit, "1/s");
        self.report.add_beside("chain3_c32_exec_per_s", loaded.per_second(), "1/s", limit);
        self.report.add("chain3_c32_p50_ms", loaded.quantile_ms(0.5), "ms");
        self.report.add("chain3_c32_p99_ms", loaded.quantile_ms(0.99), "ms");
        self.profile("chain3 at 32", &activity, &loaded);
        Ok(kb_each(&activity, &loaded))
    }

    async fn at_256(&mut self, server: &Server, bare: &mut Bare, own: &[Table]) -> Result<()> {
        let count = self.sizes.chains_at_256;
        let (loaded, activity) = self.chains(server, 256, count).await?;
        let limit = self.bare(bare, own, count / 256, 256).await?.per_second;
        self.report.add("bare_batch256_exec_per_s", limit, "1/s");
        self.report.add_beside("chain3_c256_exec_per_s", loaded.per_second(), "1/s", limit);
        self.report.add("chain3_c256_p50_ms", loaded.quantile_ms(0.5), "ms");
        self.report.add("chain3_c256_p99_ms", loaded.quantile_ms(0.99), "ms");
        self.report.add("steps_per_s", 3.0 * loaded.per_second(), "1/s");
        self.profile("chain3 at 256", &activity, &loaded);
        Ok(())
    }

    /// Fills the history, then measures what was measured at the very beginning.
    async fn history(&mut self, server: &Server, young: f64) -> Result<()> {
        let sizes = &self.sizes;
        let stored = 3 * (sizes.warm_up + sizes.chains_at_1 + sizes.chains_at_32 + sizes.chains_at_256);
        let mut missing = sizes.history_steps.saturating_sub(stored) / 3;
        while missing > 0 {
            let (filled, _) = self.chains(server, 256, missing.min(sizes.chains_at_256)).await?;
            missing = missing.saturating_sub(filled.count());
        }
        let old = self.chains(server, 32, self.sizes.warm_up).await?.0.per_second();
        self.report.add("chain3_c32_young_exec_per_s", young, "1/s");
        self.report.add_beside("chain3_history_ratio", old / young, "", 1.0);
        Ok(())
    }

    async fn bare(&self, bare: &mut Bare, own: &[Table], batches: usize, size: usize) -> Result<Written> {
        // The first batch of a size prepares its statements.
        bare.measure(own, 1, size, Duration::ZERO).await?;
        bare.measure(own, batches.max(1), size, self.sizes.time_max).await
    }

    fn profile(&mut self, name: &str, activity: &Activity, loaded: &Loaded) {
        self.report.hint(format!("{name}: {}", activity.profile(loaded.count())));
    }
}

/// Runs one chain and checks what it answers.
async fn run_one(server: &Server) -> Result<String> {
    let body: Value = serde_json::from_str(&workload::message_body())?;
    let done = server.api.post("/api/workflows/chain3/execute?wait=30", &body).await?;
    ensure!(done["status"] == "completed", "the chain ended as {done}");
    ensure!(done["output"]["message"] == workload::MESSAGE, "the chain answered {}", done["output"]);
    Ok(done["id"].as_str().context("finding the execution's id")?.to_owned())
}

/// KiB that an execution brought to the disk.
fn kb_each(activity: &Activity, loaded: &Loaded) -> f64 {
    activity.written_bytes / 1024.0 / float(loaded.count())
}
