//! A clock that a test sets while hosts run: a few lines of C before the C library shift what they believe the time to be.

use std::{fs::File, os::unix::fs::FileExt as _, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use crate::{Data, Host, program};

const SHIM: &str = include_str!("clock.c");
/// Names the file with the shift.
const VARIABLE: &str = "WEIR_TEST_CLOCK";

/// The clock of the hosts that are started by it. It goes as the real one does, until it is set.
pub struct Clock {
    shim: PathBuf,
    path: PathBuf,
    file: File,
}

impl Clock {
    /// A clock that shows the real time, for hosts on `data`.
    ///
    /// # Errors
    /// There is no C compiler.
    pub fn new(data: &Data) -> Result<Self> {
        let (source, shim, path) = (data.beside("clock.c"), data.beside("clock.so"), data.beside("clock"));
        std::fs::write(&source, SHIM).context("writing the shim")?;
        let cc = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).output();
        let cc = cc.context("starting the C compiler")?;
        ensure!(cc.status.success(), "the shim does not compile: {}", String::from_utf8_lossy(&cc.stderr));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        let clock = Self { shim, path, file };
        clock.write(SignedDuration::ZERO)?;
        Ok(clock)
    }

    /// Starts a host that goes by this clock, and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn start(&self, data: &Data) -> Result<Host> {
        let mut command = tokio::process::Command::new(program::weir()?);
        command.envs(self.environment());
        Host::start(command, data).await
    }

    /// What a program must have in its environment to go by this clock.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.shim.display().to_string()), (VARIABLE, self.path.display().to_string())]
    }

    /// The time that it shows.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn now(&self) -> Result<Timestamp> {
        let mut shift = [0; 8];
        self.file.read_exact_at(&mut shift, 0).context("reading the clock")?;
        Ok(Timestamp::now() + SignedDuration::from_nanos(i64::from_ne_bytes(shift)))
    }

    /// Sets it to an instant, also under hosts that run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set(&self, to: Timestamp) -> Result<()> {
        self.write(to.duration_since(Timestamp::now()))
    }

    /// Sets it forward, or back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn turn(&self, by: SignedDuration) -> Result<()> {
        self.set(self.now()? + by)
    }

    /// Shows the real time again.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_right(&self) -> Result<()> {
        self.write(SignedDuration::ZERO)
    }

    fn write(&self, shift: SignedDuration) -> Result<()> {
        let nanoseconds = i64::try_from(shift.as_nanos()).context("shifting the clock by centuries")?;
        // Eight bytes within one page: hosts that have it mapped see all of them or none.
        self.file.write_all_at(&nanoseconds.to_ne_bytes(), 0).context("setting the clock")
    }
}
