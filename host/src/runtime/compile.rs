//! Compiling in a child process: a component of a few bytes can take minutes and gigabytes to compile, so it is done
//! where memory, time and the size of the result have limits, one at a time.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::NamedTempFile;
use tokio::{io::AsyncReadExt as _, process::Command, sync::Semaphore, time::timeout};

use super::{cache, engine, text::neutral};
use crate::hex::sha256_hex;

/// The name of the hidden subcommand.
pub const SUBCOMMAND: &str = "compile-component";
/// The largest file that the child may write.
const FILE_BYTES: u64 = 1 << 30;
/// What is read of the child's complaints.
const COMPLAINT_BYTES: u64 = 8 << 10;
/// Wall time for one component. Processor time is the limit that matters; this one is for a compiler that waits, so it
/// leaves room for a busy machine. A compiler that is itself compiled for debugging takes several times as long.
const WALL: Duration = if cfg!(debug_assertions) { Duration::from_secs(180) } else { Duration::from_secs(60) };
/// The child's exit status where the component cannot be compiled.
const REFUSED: u8 = 2;

/// The exit status of a Rust program that panicked.
const PANICKED: i32 = 101;
/// What a panic says where the machine gave no more: EAGAIN, ENOMEM, the allocator.
const EXHAUSTED: [&str; 3] = ["os error 11", "os error 12", "memory allocation"];

/// What compiling one component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space, in bytes.
    pub memory_bytes: u64,
    /// Processor time of all threads together, in seconds.
    pub cpu_s: u64,
    /// Wall time.
    pub wall: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory_bytes: 2 << 30, cpu_s: 30, wall: WALL }
    }
}

/// Why there is no compiled component.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    /// The child was stopped at a limit.
    #[error(
        "the compiler was stopped: it may use {} s of processor time, {} s in all, and {} MiB",
        .0.cpu_s, .0.wall.as_secs(), .0.memory_bytes >> 20
    )]
    Limit(CompileLimits),
    /// The compiler refused.
    #[error("{0}")]
    Refused(String),
    /// The child could not be run.
    #[error("could not run the compiler")]
    Run(#[from] io::Error),
}

/// Runs the children.
#[derive(Debug)]
pub(super) struct Compiler {
    executable: PathBuf,
    limits: CompileLimits,
    turn: Semaphore,
}

impl Compiler {
    pub(super) fn new(executable: PathBuf, limits: CompileLimits) -> Self {
        Self { executable, limits, turn: Semaphore::new(1) }
    }

    /// Compiles `component` to the file `target`, by way of a file beside it.
    pub(super) async fn compile(&self, component: &[u8], target: &Path) -> Result<(), CompileError> {
        let _turn = self.turn.acquire().await.map_err(io::Error::other)?;
        let directory = target.parent().unwrap_or(Path::new("."));
        let mut input = NamedTempFile::new_in(directory)?;
        input.write_all(component)?;
        let output = NamedTempFile::new_in(directory)?;
        self.run(input.path(), output.path()).await?;
        output.persist(target).map_err(|error| error.error)?;
        Ok(())
    }

    async fn run(&self, input: &Path, output: &Path) -> Result<(), CompileError> {
        let mut command = Command::new(&self.executable);
        command.arg(SUBCOMMAND).arg(input).arg(output).env_clear();
        // The allocator would take a gigabyte of the address space, which is limited, before it needs any of it.
        command.env("MIMALLOC_ARENA_RESERVE", "32MiB");
        command.arg(self.limits.memory_bytes.to_string()).arg(self.limits.cpu_s.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let complaints = child.stderr.take();
        let watched = async {
            let mut text = Vec::new();
            if let Some(complaints) = complaints {
                complaints.take(COMPLAINT_BYTES).read_to_end(&mut text).await?;
            }
            Ok::<_, io::Error>((child.wait().await?, text))
        };
        let (status, text) =
            timeout(self.limits.wall, watched).await.map_err(|_| CompileError::Limit(self.limits))??;
        self.judged(status, &String::from_utf8_lossy(&text))
    }

    fn judged(&self, status: ExitStatus, complaint: &str) -> Result<(), CompileError> {
        let complaint = neutral(complaint.trim_end(), 2048);
        match status.code() {
            Some(0) => Ok(()),
            Some(code) if code == i32::from(REFUSED) => Err(CompileError::Refused(complaint)),
            // No thread could be started, or no memory was left, within the limits.
            Some(PANICKED) if EXHAUSTED.iter().any(|sign| complaint.contains(sign)) => {
                Err(CompileError::Limit(self.limits))
            }
            Some(PANICKED) => Err(CompileError::Refused(complaint)),
            Some(code) => Err(io::Error::other(format!("the compiler ended with {code}: {complaint}")).into()),
            None => Err(CompileError::Limit(self.limits)),
        }
    }
}

/// What `weir compile-component INPUT OUTPUT MEMORY_BYTES CPU_S` does: compiles one component under limits of its own,
/// and ends.
#[must_use]
pub fn child_main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.take(5).collect();
    let [input, output, memory_bytes, cpu_s] = arguments.as_slice() else {
        return complain("this is the host's own compiler: INPUT OUTPUT MEMORY_BYTES CPU_S are needed", 1);
    };
    let number = |text: &OsString| text.to_str()?.parse().ok();
    let (Some(memory_bytes), Some(cpu_s)) = (number(memory_bytes), number(cpu_s)) else {
        return complain("MEMORY_BYTES and CPU_S must be numbers", 1);
    };
    if let Err(error) = limit_this_process(memory_bytes, cpu_s) {
        return complain(&format!("could not limit the compiler: {error}"), 1);
    }
    match compile_file(Path::new(input)) {
        Ok(file) => match fs::write(output, file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("could not write the compiled component: {error}"), 1),
        },
        Err(error) => complain(&format!("{error:#}"), REFUSED),
    }
}

fn compile_file(input: &Path) -> wasmtime::Result<Vec<u8>> {
    let component = fs::read(input)?;
    let code = engine::compiling()?.precompile_component(&component)?;
    Ok(cache::sealed(&code, &sha256_hex(&component)))
}

fn complain(text: &str, status: u8) -> ExitCode {
    drop(writeln!(io::stderr(), "{text}"));
    ExitCode::from(status)
}

fn limit_this_process(memory_bytes: u64, cpu_s: u64) -> io::Result<()> {
    let limits =
        [(Resource::As, memory_bytes), (Resource::Cpu, cpu_s), (Resource::Core, 0), (Resource::Fsize, FILE_BYTES)];
    for (resource, value) in limits {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    }
    Ok(())
}
