//! The server under test: a real process with a data directory of its own.

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::client::Api;

/// How long a server may take to listen, to get ready, to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is killed when this value goes.
pub(crate) struct Server {
    child: Child,
    /// Kept open: a server whose standard output is closed may end.
    _stdout: Lines<BufReader<ChildStdout>>,
    /// Its process.
    pub(crate) pid: u32,
    /// How to talk to it.
    pub(crate) api: Api,
    /// From the start of the process until it was ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `program` on the data directory `data`, perhaps with a file of settings, and waits until it is ready; what it
    /// says goes to `log`.
    pub(crate) async fn start(program: &Path, data: &Path, config: Option<&Path>, log: &Path) -> Result<Self> {
        let said = File::options().create(true).append(true).open(log).context("making the server's log")?;
        let began = Instant::now();
        let mut command = Command::new(program);
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let pid = child.id().context("asking for the server's process")?;
        let stdout = child.stdout.take().context("taking the server's output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address =
            listening(&mut lines).await.with_context(|| format!("starting a server, see {}", log.display()))?;
        let token = std::fs::read_to_string(data.join("admin-token")).context("reading the administrator's token")?;
        let api = Api { address, token: token.trim().to_owned() };
        until_ready(&api).await?;
        Ok(Self { child, _stdout: lines, pid, api, ready_after: began.elapsed() })
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        Ok(())
    }

    /// Ends the server at once, as a crash does.
    pub(crate) async fn crash(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().await.context("waiting for the killed server")?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("naming the server's process")?;
        kill_process(pid, signal).context("signalling the server")
    }
}

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<SocketAddr> {
    let first = timeout(PATIENCE, lines.next_line()).await.context("the server does not say where it listens")??;
    let line = first.context("the server ended before it listened")?;
    let address = line.strip_prefix("listening on http://").with_context(|| format!("the server said {line:?}"))?;
    address.trim().trim_end_matches('/').parse().with_context(|| format!("reading the address {address:?}"))
}

async fn until_ready(api: &Api) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if api.ready().await {
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
    bail!("the server is not ready after {} s", PATIENCE.as_secs())
}
