//! The host under test: a real process with a data directory of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
    time::timeout,
};

use crate::{api::Api, program};

/// How long a host may take to listen, to get ready, to stop; compiling a plugin takes many seconds on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A data directory, and what the hosts on it said.
pub struct Data {
    folder: TempDir,
}

impl Data {
    /// An empty one.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir().context("making a directory for the data")? })
    }

    /// One where the bundled plugins are installed. They are compiled once for all tests: that takes seconds.
    ///
    /// # Errors
    /// The plugins were not built, or are refused.
    pub async fn with_bundled() -> Result<Self> {
        let prepared = BUNDLED.get_or_try_init(prepare).await?;
        let data = Self::new()?;
        copy(prepared, &data.path()).context("copying the prepared data")?;
        Ok(data)
    }

    /// The data directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data directory.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives the hosts that start on it from now on a configuration, as YAML or JSON.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        std::fs::write(self.beside("config.yaml"), config).context("writing a configuration")
    }

    /// What all hosts on it said on standard error.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn said(&self) -> Result<String> {
        std::fs::read_to_string(self.beside("stderr")).context("reading what the host said")
    }

    /// Starts a host and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn start(&self) -> Result<Host> {
        Host::start(Command::new(program::weir()?), self).await
    }
}

/// The data directory of a host that installed the bundled plugins and stopped.
static BUNDLED: OnceCell<PathBuf> = OnceCell::const_new();

async fn prepare() -> Result<PathBuf> {
    let folder = program::target()?.join("tmp/e2e-bundled");
    forget_the_dead(&folder);
    let data = Data::new()?;
    let host = data.start().await?;
    for name in program::BUNDLED {
        host.api.install(&program::plugin(name)?).await?;
    }
    ensure!(host.stop().await?.success(), "the host that installed the plugins did not stop well");
    let prepared = folder.join(std::process::id().to_string());
    copy(&data.path(), &prepared).context("keeping the prepared data")?;
    Ok(prepared)
}

/// Removes what test processes left that have ended.
fn forget_the_dead(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| !Path::new("/proc").join(entry.file_name()).exists()) {
        drop(std::fs::remove_dir_all(entry.path()));
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A running host; it is killed when this value goes.
pub struct Host {
    child: Child,
    /// Kept open: a host whose standard output is closed may end.
    _stdout: Lines<BufReader<ChildStdout>>,
    /// How to talk to it.
    pub api: Api,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
}

impl Host {
    /// Starts a host by `command` (the program, or one that starts it) and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn start(mut command: Command, data: &Data) -> Result<Self> {
        let began = Instant::now();
        let said = File::options().create(true).append(true).open(data.beside("stderr")).context("making a log")?;
        command.arg("serve").arg("--data").arg(data.path()).args(["--listen", "127.0.0.1:0"]);
        let config = data.beside("config.yaml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        for name in ["WEIR_MODEL_URL", "WEIR_MODEL_NAME", "WEIR_MODEL_KEY"] {
            command.env_remove(name);
        }
        command.env_remove("WEIR_LOG").env_remove("WEIR_CONFIG").env_remove("WEIR_LISTEN");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said).kill_on_drop(true);
        let mut child = command.spawn().context("starting a host")?;
        let mut stdout = BufReader::new(child.stdout.take().context("taking the host's output")?).lines();
        let url = listening(&mut stdout).await.with_context(|| format!("it said: {:?}", data.said()))?;
        let token = std::fs::read_to_string(data.path().join("admin-token")).context("reading the admin token")?;
        let api = Api::new(&url, token.trim());
        until_ready(&api).await?;
        Ok(Self { child, _stdout: stdout, api, ready_after: began.elapsed() })
    }

    /// Ends it at once, as a crash does.
    ///
    /// # Errors
    /// It had ended before.
    pub async fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        let status = self.child.wait().await.context("waiting for the killed host")?;
        ensure!(status.code().is_none(), "the host had ended by itself: {status}");
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait().await
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn wait(mut self) -> Result<ExitStatus> {
        timeout(PATIENCE, self.child.wait()).await.context("the host does not stop")?.context("waiting for the host")
    }

    /// The process's id.
    ///
    /// # Errors
    /// It has ended.
    pub fn process(&self) -> Result<u32> {
        self.child.id().context("the host has ended by itself")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        send_signal(self.process()?, signal)
    }
}

/// Sends a signal to a process.
///
/// # Errors
/// There is no such process.
pub fn send_signal(process: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(process)?).context("naming a process")?;
    kill_process(pid, signal).context("signalling a process")
}

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    let first = timeout(PATIENCE, lines.next_line()).await.context("the host does not say where it listens")??;
    let line = first.context("the host ended before it listened")?;
    let url = line.strip_prefix("listening on ").with_context(|| format!("the host's first line is {line:?}"))?;
    Ok(url.to_owned())
}

async fn until_ready(api: &Api) -> Result<()> {
    let began = Instant::now();
    let mut turn = tokio::time::interval(Duration::from_millis(2));
    while began.elapsed() < PATIENCE {
        turn.tick().await;
        let answer = api.ask(Method::GET, "/readyz").await?;
        match answer.status {
            200 => return Ok(()),
            503 => {}
            status => bail!("/readyz answered {status}: {}", answer.text),
        }
    }
    bail!("the host is not ready after {} s", PATIENCE.as_secs())
}

/// Runs the program `weir` to its end.
///
/// # Errors
/// It cannot be started, or does not end.
pub async fn weir(arguments: &[&str], environment: &[(&str, &str)], directory: &Path) -> Result<Ran> {
    let mut command = Command::new(program::weir()?);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["WEIR_URL", "WEIR_TOKEN", "WEIR_DATA", "WEIR_LISTEN", "WEIR_CONFIG", "WEIR_LOG", "WEIR_MODEL_URL"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.with_context(|| format!("`weir {}` does not end", arguments.join(" ")))??;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).context("reading its output")?,
        stderr: String::from_utf8(output.stderr).context("reading its errors")?,
    })
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Its output, if it ended with this exit code.
    ///
    /// # Errors
    /// It ended otherwise.
    pub fn exits(&self, code: i32) -> Result<&str> {
        ensure!(self.code == Some(code), "expected exit code {code}: {self:?}");
        Ok(&self.stdout)
    }
}
