//! Plugins that misbehave in a host that others work in: it survives, says what happened, gives back what they took, and
//! the others do not notice.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_e2e::{Api, Data, program};

use crate::sample;

/// Executions that do ordinary work beside each misbehaving call.
const NEIGHBOURS: usize = 10;
/// Resident memory that may be left behind, in KiB. Of it the pool keeps up to a mebibyte for each slot.
const LEFT_KIB_MAX: u64 = 48 << 10;
/// Resident memory at the peak, in KiB: what one call may have, and what its answer may bring.
const PEAK_KIB_MAX: u64 = 160 << 10;

/// A guest program, what it is given, and the failure it must end with.
const CALLS: [(&str, &str, &str); 14] = [
    ("h1_spin", "null", "fuel_exhausted"),
    ("h2_memory_fill", "null", "fuel_exhausted"),
    ("h3_memory_bomb", "null", "memory_limit"),
    ("h5_recursion", "null", "stack_overflow"),
    ("h6_giant_output", "\"just_over\"", "output_too_large"),
    ("h6_giant_output", "\"deep\"", "invalid_output"),
    ("h6_giant_output", "\"keys\"", "output_too_large"),
    ("h7_log_flood", "1000000", "host_call_limit"),
    ("h8_host_call_flood", "null", "host_call_limit"),
    ("h11_trap", "\"panic\"", "plugin_trap"),
    ("h11_trap", "\"exit\"", "plugin_trap"),
    ("h12_odd_output", "\"nan\"", "invalid_output"),
    ("h13_handles", "null", "resource_limit"),
    ("h14_entropy", "\"flood\"", "resource_limit"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_plugins_hurt_neither_the_host_nor_their_neighbours() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    for name in CALLS.map(|(name, ..)| name).into_iter().collect::<std::collections::BTreeSet<_>>() {
        host.api.install(&program::guest(name)?).await?;
    }
    host.api.post("/api/workflows", &sample::chain()).await?;
    neighbours(&host.api).await?;
    let before = memory_kib(host.process()?, "VmRSS")?;

    for (name, input, code) in CALLS {
        let input: Value = serde_json::from_str(input)?;
        let path = format!("/api/plugins/{name}/tools/run/try");
        let request = json!({ "input": input });
        let (tried, others) = tokio::join!(host.api.post(&path, &request), neighbours(&host.api));
        others.with_context(|| format!("working beside {name}"))?;
        let tried = tried.with_context(|| format!("trying {name}"))?;
        ensure!(tried["error"]["code"] == code, "{name} with {input} ended with {tried}, not {code}");
    }

    let (after, peak) = (memory_kib(host.process()?, "VmRSS")?, memory_kib(host.process()?, "VmHWM")?);
    eprintln!("resident before {before} KiB, after {after} KiB, at the peak {peak} KiB");
    ensure!(after <= before + LEFT_KIB_MAX, "{} KiB were not given back", after - before);
    ensure!(peak <= before + PEAK_KIB_MAX, "the peak was {} KiB above", peak - before);
    ensure!(host.stop().await?.success(), "the host did not stop in order");
    Ok(())
}

/// Ordinary work that must succeed.
async fn neighbours(api: &Api) -> Result<()> {
    let mut all = JoinSet::new();
    for n in 0..NEIGHBOURS {
        let api = api.clone();
        all.spawn(async move {
            let body = json!({ "input_data": { "n": n } });
            let answer = api.post("/api/workflows/chain/execute?wait=60", &body).await?;
            ensure!(answer["status"] == "completed", "an ordinary execution ended with {answer}");
            Ok(())
        });
    }
    while let Some(ended) = all.join_next().await {
        ended??;
    }
    Ok(())
}

/// A figure of a process in KiB, as the kernel tells it.
fn memory_kib(process: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("reading the memory of the host")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).context("no such figure")?;
    line.trim().trim_end_matches(" kB").parse().context("reading a figure in kB")
}
