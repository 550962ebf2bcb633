//! `weir serve`: a host until it is told to stop.

use std::{io, net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{Globals, Outcome, out::Out};
use crate::{Host, Running, config::Config, secrets::Masker, spans::OtelConfig};

/// The environment variable with headers for the collector.
const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

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
    /// The OpenTelemetry collector that is told what executions do: http://localhost:4318. Further headers for it:
    /// OTEL_EXPORTER_OTLP_HEADERS.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    otlp_endpoint: Option<String>,
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
        log_to_stderr(&config.log, config.log_json, &config.masker)?;
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
        let headers = std::env::var(OTLP_HEADERS).ok();
        config.otel = OtelConfig::overridden(config.otel, self.otlp_endpoint.as_deref(), headers.as_deref());
        config.add_model_of_environment(|name| std::env::var(name).ok())?;
        Ok(config)
    }
}

/// Starts a host and says where it listens: the first line on standard output.
pub(super) async fn start(config: Config, out: Out) -> anyhow::Result<Running> {
    let data = config.data.clone();
    // What a dump of the memory would hold must not lie around. Where it cannot be switched off, nothing else changes.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
    let running = Host::start(config).await?;
    out.text(&format!("listening on {}", running.url()));
    if running.token().is_new {
        let file = data.join(crate::server::auth::TOKEN_FILE);
        out.note(&format!("admin token (made now, kept in {}): {}", file.display(), running.token().token));
    }
    Ok(running)
}

/// Logs to standard error, panics too, with secrets masked.
pub(super) fn log_to_stderr(filter: &str, json: bool, masker: &Masker) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("could not understand the log filter {filter:?}"))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(MaskedStderr(masker.clone())).with_ansi(colours);
    let set = if json { log.json().try_init() } else { log.with_target(false).try_init() };
    set.map_err(|e| anyhow::anyhow!("could not set up the log: {e}"))?;
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(())
}

/// Standard error, with secrets masked. The log writes a line at a time.
struct MaskedStderr(Masker);

impl<'a> MakeWriter<'a> for MaskedStderr {
    type Writer = MaskedLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedLine(&self.0)
    }
}

struct MaskedLine<'a>(&'a Masker);

impl io::Write for MaskedLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(&self.0.mask_bytes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
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
