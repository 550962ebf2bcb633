//! A copy of the sources where limiters are switched off. The sources themselves are never touched.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::table::{Mutant, Tests};

/// How long tests may take. Without some limiters they never end.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it is looked whether they have ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it should.
    Well,
    /// With a failure.
    Badly,
    /// It was stopped, as it took too long.
    Late,
}

/// The copy, and where it is built.
pub(crate) struct Workshop {
    source: PathBuf,
    build: PathBuf,
}

/// A file that is not as it should be.
pub(crate) struct Place {
    path: PathBuf,
    text: String,
}

impl Workshop {
    /// Brings the copy up to date.
    ///
    /// # Errors
    /// There is no room, or git does not tell which files belong to the project.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("finding the project")?;
        let workshop = Self { source: root.join("target/mutants/source"), build: root.join("target/mutants/build") };
        for file in files(&root)? {
            copy(&root.join(&file), &workshop.source.join(&file)).with_context(|| format!("copying {file}"))?;
        }
        workshop.link_components(&root)?;
        Ok(workshop)
    }

    /// The components that tests run are those that were built for the project.
    fn link_components(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(&self.build).context("making a directory")?;
        let link = self.build.join("wasm32-wasip2");
        if !link.exists() {
            std::os::unix::fs::symlink(root.join("target/wasm32-wasip2"), link).context("linking the components")?;
        }
        Ok(())
    }

    /// Switches a limiter off.
    ///
    /// # Errors
    /// The place is not there, or not alone: the table is to be brought up to date.
    pub(crate) fn switch_off(&self, mutant: &Mutant) -> Result<Place> {
        let path = self.source.join(mutant.file);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", mutant.file))?;
        let found = text.matches(mutant.from).count();
        ensure!(
            found == 1,
            "{:?} stands {found} times in {}: see tests/mutants/src/table.rs",
            mutant.from,
            mutant.file
        );
        fs::write(&path, text.replace(mutant.from, mutant.to)).context("writing a mutant")?;
        Ok(Place { path, text })
    }

    /// Compiles tests.
    ///
    /// # Errors
    /// There is no cargo.
    pub(crate) fn build(&self, tests: &Tests) -> Result<Ended> {
        wait(self.cargo(tests).arg("--no-run").spawn().context("starting cargo")?, None)
    }

    /// Runs tests.
    ///
    /// # Errors
    /// There is no cargo.
    pub(crate) fn test(&self, tests: &Tests) -> Result<Ended> {
        let mut cargo = self.cargo(tests);
        cargo.arg("--").args(tests.names).stdout(Stdio::null()).stderr(Stdio::null());
        wait(cargo.spawn().context("starting cargo")?, Some(PATIENCE))
    }

    fn cargo(&self, tests: &Tests) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.source).env("CARGO_TARGET_DIR", &self.build);
        cargo.args(["test", "--quiet", "--locked", "-p", tests.package]).args(tests.target);
        cargo
    }
}

impl Place {
    /// Makes it as it was.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn restore(self) -> Result<()> {
        fs::write(self.path, self.text).context("restoring a file")
    }
}

/// The project's files.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("asking git which files there are")?;
    ensure!(output.status.success(), "git does not tell which files there are");
    let names = String::from_utf8(output.stdout).context("reading git's answer")?;
    Ok(names.split('\0').filter(|name| root.join(name).is_file()).map(str::to_owned).collect())
}

/// Copies a file where it is another: what did not change need not be compiled again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, bytes)
}

fn wait(mut child: Child, patience: Option<Duration>) -> Result<Ended> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("waiting for cargo")? {
            return Ok(if status.success() { Ended::Well } else { Ended::Badly });
        }
        if patience.is_some_and(|patience| began.elapsed() > patience) {
            child.kill().context("stopping cargo")?;
            child.wait().context("waiting for cargo")?;
            return Ok(Ended::Late);
        }
        // The standard library waits for a child for ever or not at all; a test without its limit may never end.
        thread::sleep(LOOK_EVERY);
    }
}
