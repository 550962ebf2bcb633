//! Plugins that misbehave in a host that others work in: it survives, says what happened, gives back what they took, and
//! the others do not notice. It measures, so it is a program of its own: no other test runs beside it.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};
use weir_e2e::{Api, Data, program};

#[expect(dead_code, reason = "the other tests use the rest")]
mod sample;

/// Executions that do ordinary work at once beside each misbehaving call.
const NEIGHBOURS: usize = 10;
/// How often they do it beside each misbehaving call; so often they do it alone, too.
const ROUNDS: usize = 10;
/// What neighbours may take longer in any case. A call holds a core for up to 10 ms before it makes room; a chain of
/// three calls, its requests and the test's own client each wait for one of the two cores several times.
const LATER_MAX: Duration = Duration::from_millis(50);
/// Resident memory that may be left behind, in KiB. Of it the pool keeps up to a mebibyte for each slot.
const LEFT_KIB_MAX: u64 = 32 << 10;
/// Resident memory at the peak, in KiB: the 64 MiB that one call may have, 16 for its answer, 16 for the neighbours.
const PEAK_KIB_MAX: u64 = 96 << 10;

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
    neighbours(&host.api, ROUNDS).await?;
    let before = memory_kib(host.process()?, "VmRSS")?;

    // By turns, so that what else this machine does is in both figures.
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for (name, input, code) in CALLS {
        alone.extend(neighbours(&host.api, ROUNDS).await?);
        let (done, is_done) = watch::channel(false);
        let ordinary = async {
            let took = neighbours(&host.api, ROUNDS).await;
            done.send_replace(true);
            took
        };
        let (tried, took) = tokio::join!(misbehave(&host.api, name, input, code, &is_done), ordinary);
        tried?;
        beside.extend(took.with_context(|| format!("working beside {name}"))?);
    }
    let (alone, beside) = (p99(&mut alone), p99(&mut beside));

    let (after, peak) = (memory_kib(host.process()?, "VmRSS")?, memory_kib(host.process()?, "VmHWM")?);
    eprintln!("resident before {before} KiB, after {after} KiB, at the peak {peak} KiB");
    eprintln!("p99 of ordinary executions: {alone:?} alone, {beside:?} beside");
    ensure!(after <= before + LEFT_KIB_MAX, "{} KiB were not given back", after - before);
    ensure!(peak <= before + PEAK_KIB_MAX, "the peak was {} KiB above", peak - before);
    let most = (2 * alone).max(alone + LATER_MAX);
    ensure!(beside <= most, "neighbours took {beside:?}, alone {alone:?}; {most:?} would do");
    ensure!(host.stop().await?.success(), "the host did not stop in order");
    Ok(())
}

/// Makes a call that must end with `code`, again and again until it is done, once at least.
async fn misbehave(api: &Api, name: &str, input: &str, code: &str, is_done: &watch::Receiver<bool>) -> Result<()> {
    let request = json!({ "input": serde_json::from_str::<Value>(input)? });
    loop {
        let tried = api.post(&format!("/api/plugins/{name}/tools/run/try"), &request).await;
        let tried = tried.with_context(|| format!("trying {name}"))?;
        ensure!(tried["error"]["code"] == code, "{name} with {input} ended with {tried}, not {code}");
        if *is_done.borrow() {
            return Ok(());
        }
    }
}

/// Ordinary work that must succeed, in so many rounds; how long each execution took its client.
async fn neighbours(api: &Api, rounds: usize) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..rounds {
        let mut all = JoinSet::new();
        for n in 0..NEIGHBOURS {
            let api = api.clone();
            all.spawn(async move {
                let body = json!({ "input_data": { "n": n } });
                let began = Instant::now();
                let answer = api.post("/api/workflows/chain/execute?wait=60", &body).await?;
                ensure!(answer["status"] == "completed", "an ordinary execution ended with {answer}");
                Ok(began.elapsed())
            });
        }
        while let Some(ended) = all.join_next().await {
            took.push(ended??);
        }
    }
    Ok(took)
}

/// What 99 of 100 do not exceed.
fn p99(took: &mut [Duration]) -> Duration {
    took.sort();
    took[took.len() * 99 / 100]
}

/// A figure of a process in KiB, as the kernel tells it.
fn memory_kib(process: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("reading the memory of the host")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).context("no such figure")?;
    line.trim().trim_end_matches(" kB").parse().context("reading a figure in kB")
}
