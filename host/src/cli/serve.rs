//! `weir serve`: a host until it is told to stop.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Globals, Outcome, out::Out};
use crate::{Host, Running, config::Config};

/// Start a host.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address to listen on; port 0 picks a free one. Default: 127.0.0.1:8787.
    #[arg(long, env = "WEIR_LISTEN", value_name = "ADDR:PORT", hide_env_values = true)]
    listen: Option<SocketAddr>,
    /// A file (YAML or JSON) with these settings; the environment and flags are stronger.
    #[arg(long, env = "WEIR_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    /// What to log on standard error: info, debug, weir_host=debug,info, … Default: info.
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", hide_env_values = true)]
    log: Option<String>,
    /// Log as JSON, for machines.
    #[arg(long)]
    log_json: bool,
    /// Print the settings in force, and end.
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    pub(super) async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        let config = self.effective(globals)?;
        if self.print_config {
            out.text(&serde_json::to_string_pretty(&config)?);
            return Ok(Outcome::Done);
        }
        log_to_stderr(&config.log, config.log_json)?;
        let mut stop = StopSignal::listen()?;
        let mut running = start(config.clone(), out).await?;
        tokio::select! {
            ready = running.ready() => {
                ready.context("could not take up the executions of before")?;
                tracing::info!("ready");
                stop.received().await;
            }
            () = stop.received() => {}
        }
        tracing::info!("stopping");
        running.stop().await;
        Ok(Outcome::Done)
    }

    /// File, then environment and flags.
    fn effective(&self, globals: &Globals) -> anyhow::Result<Config> {
        let mut config = self.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        if let Some(data) = &globals.data {
            config.data.clone_from(data);
        }
        config.listen = self.listen.unwrap_or(config.listen);
        if let Some(log) = &self.log {
            config.log.clone_from(log);
        }
        config.log_json |= self.log_json;
        config.add_model_of_environment(|name| std::env::var(name).ok())?;
        Ok(config)
    }
}

/// Starts a host and says where it listens: the first line on standard output.
pub(super) async fn start(config: Config, out: Out) -> anyhow::Result<Running> {
    let data = config.data.clone();
    let running = Host::start(config).await?;
    out.text(&format!("listening on {}", running.url()));
    if running.token().is_new {
        let file = data.join(crate::server::auth::TOKEN_FILE);
        out.note(&format!("admin token (made now, kept in {}): {}", file.display(), running.token().token));
    }
    Ok(running)
}

/// Logs to standard error.
pub(super) fn log_to_stderr(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("could not understand the log filter {filter:?}"))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let set = if json { log.json().try_init() } else { log.with_target(false).try_init() };
    set.map_err(|e| anyhow::anyhow!("could not set up the log: {e}"))
}

/// Ctrl-C and SIGTERM. From the moment that it listens neither ends the process, so it does before anything is begun that
/// has to be ended in order.
pub(super) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        Ok(Self { terminate, interrupt })
    }

    /// Resolves when the process is told to stop.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
