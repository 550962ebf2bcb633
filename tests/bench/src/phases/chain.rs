//! Durable chains of three tool steps: alone, 32 and 256 at once, and with a long history behind them.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::Bench;
use crate::{
    limits::sqlite::{Bare, Written},
    load::Loaded,
    numbers::{float, ms},
    process::{self, Activity},
    rows::{Sample, Table},
    server::Server,
    workload,
};

/// A file system without a disk, where the system has one.
const MEMORY: &str = "/dev/shm";

impl Bench {
    /// Measures the chains.
    pub(crate) async fn measure_chains(&mut self) -> Result<()> {
        let data = self.folder()?;
        let server = self.installed_server(data.path()).await?;
        let first = run_one(&server).await?;
        self.report.add("idle_rss_mb", process::rss_mb(server.pid)?, "MiB");
        self.chains(&server, 8, self.sizes.warm_up / 10).await?;
        let young = self.short(&server, "young").await?;

        let sample = Sample::read(data.path(), &first).await?;
        let bare_folder = self.folder()?;
        let database = Bare::create(bare_folder.path(), &sample).await?;
        let rows_kb = float(sample.bytes()) / 1024.0;
        self.report.add("chain3_rows_kb", rows_kb, "KiB");
        let mut bare = BareChains { database, own: sample.own().cloned().collect(), rows_kb };

        let diskless = self.diskless().await?;
        self.at_1(&server, &mut bare).await?;
        self.at_32(&server, &mut bare, diskless.as_ref()).await?;
        self.at_256(&server, &mut bare, diskless.as_ref()).await?;
        if let Some(Diskless { server, .. }) = diskless {
            server.stop().await?;
        }
        self.report.add("load_rss_mb", process::peak_rss_mb(server.pid)?, "MiB");
        self.history(&server, young).await?;
        server.stop().await
    }

    async fn at_1(&mut self, server: &Server, bare: &mut BareChains) -> Result<()> {
        let synced = self.sync()?;
        let Measured { loaded, activity, written } = self.level(server, bare, 1, self.sizes.chains_at_1).await?;
        self.report.add("fdatasync_p50_ms", ms(synced.min(self.sync()?)), "ms");
        let commit = ms(written.p50());
        self.report.add("bare_commit_p50_ms", commit, "ms");
        self.report.add_beside("chain3_c1_p50_ms", loaded.quantile_ms(0.5), "ms", commit);
        self.report.add("chain3_c1_p99_ms", loaded.quantile_ms(0.99), "ms");
        self.report.add("chain3_c1_exec_per_s", loaded.per_second(), "1/s");
        self.report.add("chain3_c1_cpu_us", activity.cpu_us(loaded.count()), "µs");
        self.report.add_beside("chain3_written_kb_c1", kb_each(&activity, &loaded), "KiB", bare.rows_kb);
        self.profile("chain3 at 1", &activity, &loaded);
        Ok(())
    }

    async fn at_32(&mut self, server: &Server, bare: &mut BareChains, diskless: Option<&Diskless>) -> Result<()> {
        let count = self.sizes.chains_at_32;
        let before = self.without_disk(diskless, 32, count).await?;
        let Measured { loaded, activity, written } = self.level(server, bare, 32, count).await?;
        let without_disk = mean(before, self.without_disk(diskless, 32, count).await?);
        self.add_without_disk("chain3_c32_diskless_exec_per_s", without_disk);
        self.report.add("bare_batch32_exec_per_s", written.per_second(), "1/s");
        self.report.add_throughput("chain3_c32_exec_per_s", loaded.per_second(), written.per_second(), without_disk);
        self.report.add("chain3_c32_busy", 100.0 * activity.busy(), "%");
        self.report.add("chain3_c32_p50_ms", loaded.quantile_ms(0.5), "ms");
        self.report.add("chain3_c32_p99_ms", loaded.quantile_ms(0.99), "ms");
        self.report.add("chain3_c32_cpu_us", activity.cpu_us(loaded.count()), "µs");
        self.report.add_beside("chain3_written_kb_c32", kb_each(&activity, &loaded), "KiB", bare.rows_kb);
        self.profile("chain3 at 32", &activity, &loaded);
        Ok(())
    }

    async fn at_256(&mut self, server: &Server, bare: &mut BareChains, diskless: Option<&Diskless>) -> Result<()> {
        let count = self.sizes.chains_at_256;
        let before = self.without_disk(diskless, 256, count).await?;
        let Measured { loaded, activity, written } = self.level(server, bare, 256, count).await?;
        let without_disk = mean(before, self.without_disk(diskless, 256, count).await?);
        self.add_without_disk("chain3_c256_diskless_exec_per_s", without_disk);
        self.report.add("bare_batch256_exec_per_s", written.per_second(), "1/s");
        self.report.add_throughput("chain3_c256_exec_per_s", loaded.per_second(), written.per_second(), without_disk);
        self.report.add("chain3_c256_busy", 100.0 * activity.busy(), "%");
        self.report.add("chain3_c256_p50_ms", loaded.quantile_ms(0.5), "ms");
        self.report.add("chain3_c256_p99_ms", loaded.quantile_ms(0.99), "ms");
        self.report.add("chain3_c256_cpu_us", activity.cpu_us(loaded.count()), "µs");
        self.report.add("steps_per_s", 3.0 * loaded.per_second(), "1/s");
        self.profile("chain3 at 256", &activity, &loaded);
        Ok(())
    }

    /// Puts one load on the server; half of the bare batches go before it and half after, since a disk changes by the
    /// minute.
    async fn level(
        &self,
        server: &Server,
        bare: &mut BareChains,
        connections: usize,
        count: usize,
    ) -> Result<Measured> {
        let half = (count / connections / 2).max(1);
        let BareChains { database, own, .. } = bare;
        // The first batch of a size prepares its statements.
        database.measure(own, 1, connections, Duration::ZERO).await?;
        let before = database.measure(own, half, connections, self.sizes.time_max).await?;
        let (loaded, activity) = self.chains(server, connections, count).await?;
        let after = database.measure(own, half, connections, self.sizes.time_max).await?;
        Ok(Measured { loaded, activity, written: before.and(after) })
    }

    /// The same server with its data in memory, warm.
    async fn diskless(&self) -> Result<Option<Diskless>> {
        if !Path::new(MEMORY).is_dir() {
            return Ok(None);
        }
        let data = tempfile::tempdir_in(MEMORY).context("making a data directory in memory")?;
        let server = self.installed_server(data.path()).await?;
        self.chains(&server, 32, self.sizes.warm_up).await?;
        Ok(Some(Diskless { server, _data: data }))
    }

    /// Half of a load on that server: executions a second.
    async fn without_disk(&self, diskless: Option<&Diskless>, connections: usize, count: usize) -> Result<Option<f64>> {
        let Some(Diskless { server, .. }) = diskless else { return Ok(None) };
        let (loaded, _) = self.chains(server, connections, count / 2).await?;
        Ok(Some(loaded.per_second()))
    }

    fn add_without_disk(&mut self, name: &'static str, per_second: Option<f64>) {
        if let Some(per_second) = per_second {
            self.report.add(name, per_second, "1/s");
        }
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
        let old = self.short(server, "old").await?;
        self.report.add("chain3_c32_young_exec_per_s", young, "1/s");
        self.report.add_beside("chain3_history_ratio", old / young, "", 1.0);
        Ok(())
    }

    /// The short load whose figure at the beginning is compared to that at the end.
    async fn short(&mut self, server: &Server, age: &str) -> Result<f64> {
        let (loaded, activity) = self.chains(server, 32, self.sizes.warm_up).await?;
        self.profile(&format!("chain3 at 32, {age}"), &activity, &loaded);
        Ok(loaded.per_second())
    }

    fn profile(&mut self, name: &str, activity: &Activity, loaded: &Loaded) {
        self.report.hint(format!("{name}: {}", activity.profile(loaded.count())));
    }
}

/// A server whose data lies in memory: a disk that takes no time.
struct Diskless {
    server: Server,
    _data: TempDir,
}

/// The same rows in a database with nothing around it.
struct BareChains {
    database: Bare,
    /// The rows of one chain.
    own: Vec<Table>,
    /// Their size.
    rows_kb: f64,
}

/// One load, and what was measured beside it.
struct Measured {
    loaded: Loaded,
    activity: Activity,
    written: Written,
}

/// Runs one chain and checks what it answers.
async fn run_one(server: &Server) -> Result<String> {
    let body: Value = serde_json::from_str(&workload::message_body())?;
    let done = server.api.post("/api/workflows/chain3/execute?wait=30", &body).await?;
    ensure!(done["status"] == "completed", "the chain ended as {done}");
    ensure!(done["output"]["message"] == workload::MESSAGE, "the chain answered {}", done["output"]);
    Ok(done["id"].as_str().context("finding the execution's id")?.to_owned())
}

fn mean(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    Some(f64::midpoint(before?, after?))
}

/// KiB that an execution brought to the disk.
fn kb_each(activity: &Activity, loaded: &Loaded) -> f64 {
    activity.written_bytes / 1024.0 / float(loaded.count())
}
