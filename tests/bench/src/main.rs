//! Measures a real host over HTTP, and beside each figure what the machine itself can do. It prints a table and writes
//! `bench.json`; it judges nothing: a goal that is missed is a mark in the table, not an error.

mod client;
mod goals;
mod limits;
mod load;
mod numbers;
mod phases;
mod process;
mod report;
mod rows;
mod server;
mod workload;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use phases::{Bench, Sizes};
use report::{Report, progress};

/// The allocator of the program that is measured: some parts of it run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a real host over HTTP beside the physical limits of the machine.
#[derive(Parser)]
#[command(name = "weir-bench")]
struct Options {
    /// Only sees whether everything works: a few seconds, figures that mean nothing, in bench-quick.json.
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// Fills the history with a million stored steps before it is measured again.
    #[arg(long)]
    long: bool,
    /// Measures only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// The directory of what was built; data directories and results go there too.
    #[arg(long, default_value = "target", env = "CARGO_TARGET_DIR")]
    target: PathBuf,
    /// The server's program instead of the release build.
    #[arg(long)]
    server: Option<PathBuf>,
}

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Chains of three tool steps at several concurrencies.
    Chains,
    /// Loops over many items.
    Loops,
    /// Start and approvals with many waiting executions.
    Waiting,
    /// Signed webhooks beside direct starts.
    Webhooks,
    /// Schedules: many that are idle, and many that are due at once.
    Schedules,
    /// One plugin call.
    Calls,
    /// What a plugin may do, asked before an effect.
    Grants,
    /// Requests to models through the gateway.
    Models,
    /// An agent of fifty turns, left alone, and killed half-way.
    Agents,
    /// The HTTP library alone.
    Hello,
}

const PARTS: [Part; 10] = [
    Part::Chains,
    Part::Loops,
    Part::Waiting,
    Part::Webhooks,
    Part::Schedules,
    Part::Calls,
    Part::Grants,
    Part::Hello,
    Part::Models,
    Part::Agents,
];

fn main() -> Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(limits::hello::SUBCOMMAND) {
        limits::hello::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::env::args().nth(1).as_deref() == Some(limits::model::SUBCOMMAND) {
        limits::model::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse();
    // One thread: the load must not take more of the two cores than it needs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(measure(&options))
}

async fn measure(options: &Options) -> Result<ExitCode> {
    let folder = options.target.join("bench-data");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut bench = Bench {
        server: options.server.clone().unwrap_or_else(|| options.target.join("release/weir")),
        component: options.target.join("wasm32-wasip2/plugin/echo.wasm"),
        agent: options.target.join("wasm32-wasip2/plugin/agent.wasm"),
        folder,
        log: fresh_log(&options.target)?,
        sizes: Sizes::of(options),
        report: Report::default(),
    };
    tell_load();
    for part in PARTS.into_iter().filter(|part| options.only.is_empty() || options.only.contains(part)) {
        let (name, result) = run(&mut bench, part).await;
        if let Err(error) = result {
            bench.report.failed(name, &error);
        }
    }
    tell_load();
    bench.report.save(&options.target.join(if options.quick { "bench-quick.json" } else { "bench.json" }))?;
    write!(std::io::stdout(), "{}", bench.report.table()?).context("printing the table")?;
    Ok(if bench.report.whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An empty file for what the servers say.
fn fresh_log(target: &Path) -> Result<PathBuf> {
    let path = target.join("bench-server.log");
    fs::write(&path, "").with_context(|| format!("making {}", path.display()))?;
    Ok(path)
}

async fn run(bench: &mut Bench, part: Part) -> (&'static str, Result<()>) {
    match part {
        Part::Chains => ("chains", bench.measure_chains().await),
        Part::Loops => ("loops", bench.measure_loops().await),
        Part::Waiting => ("waiting", bench.measure_waiting().await),
        Part::Webhooks => ("webhooks", bench.measure_webhooks().await),
        Part::Schedules => ("schedules", bench.measure_schedules().await),
        Part::Calls => ("calls", bench.measure_calls().await),
        Part::Grants => ("grants", bench.measure_grants().await),
        Part::Models => ("models", bench.measure_models().await),
        Part::Agents => ("agents", bench.measure_agents().await),
        Part::Hello => ("hello", bench.measure_hello().await),
    }
}

impl Sizes {
    fn of(options: &Options) -> Self {
        let full = Self {
            chains_at_1: 2000,
            chains_at_32: 30_000,
            chains_at_256: 40_000,
            warm_up: 5000,
            history_steps: if options.long { 1_000_000 } else { 100_000 },
            items: 100_000,
            short_loops: 20,
            waiting: 10_000,
            calls: 20_000,
            syncs: 300,
            time_max: Duration::from_secs(30),
        };
        if options.quick { full.divided(50) } else { full }
    }

    fn divided(self, by: usize) -> Self {
        Self {
            chains_at_1: self.chains_at_1 / by,
            chains_at_32: self.chains_at_32 / by,
            chains_at_256: self.chains_at_256 / by,
            warm_up: self.warm_up / by,
            history_steps: self.history_steps / by,
            items: self.items / by,
            short_loops: 2,
            waiting: self.waiting / by,
            calls: self.calls / by,
            syncs: self.syncs / by,
            time_max: self.time_max,
        }
    }
}

/// Says how busy the machine is: a figure taken beside other work is not one to compare.
fn tell_load() {
    let load = fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    progress(&format!("load of the machine (1, 5, 15 minutes): {}", load.trim()));
}
