//! cronsim, installed below `target` on the first run and asked in one process.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use serde_json::Value;

/// A process that answers line by line.
pub(super) struct Python {
    child: Child,
    answers: PathBuf,
}

impl Python {
    /// Asks everything at once; it works on while the caller does.
    pub(super) fn ask(questions: &[Value]) -> Self {
        let directory = packages();
        let (input, answers) = (directory.join("questions.jsonl"), directory.join("answers.jsonl"));
        let lines: Vec<_> = questions.iter().map(Value::to_string).collect();
        fs::write(&input, lines.join("\n")).unwrap();
        let child = Command::new("python3")
            .arg(sources().join("fires.py"))
            .env("PYTHONPATH", &directory)
            // The zones of the pinned package, not those of this machine.
            .env("PYTHONTZPATH", "")
            .stdin(File::open(&input).unwrap())
            .stdout(File::create(&answers).unwrap())
            .spawn();
        Self { child: child.expect(MISSING), answers }
    }

    /// The lines of the answer.
    pub(super) fn answers(mut self) -> Vec<String> {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "cronsim failed with {status}");
        fs::read_to_string(&self.answers).unwrap().lines().map(str::to_owned).collect()
    }
}

const MISSING: &str = "starting python3: this test compares with a Python package and needs python3 with pip";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cron")
}

/// The directory of the packages: made once for each content of the requirements.
fn packages() -> PathBuf {
    let requirements = sources().join("requirements.txt");
    let content = fs::read_to_string(&requirements).unwrap();
    let executable = std::env::current_exe().unwrap();
    let directory = executable.ancestors().nth(3).unwrap().join("cronsim");
    let marker = directory.join("installed.txt");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == content) {
        return directory;
    }
    if directory.exists() {
        fs::remove_dir_all(&directory).unwrap();
    }
    install(&requirements, &directory);
    fs::write(marker, content).unwrap();
    directory
}

/// Installs with the pip that is there, or else with that of a virtual environment.
fn install(requirements: &Path, directory: &Path) {
    let pip = |python: &Path| {
        let mut command = Command::new(python);
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ]);
        command.arg("--target").arg(directory).arg("--requirement").arg(requirements);
        command.output().expect(MISSING)
    };
    let mut tried = pip(Path::new("python3"));
    if !tried.status.success() {
        let environment = directory.with_extension("venv");
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment).output().expect(MISSING);
        if made.status.success() {
            tried = pip(&environment.join("bin/python"));
        }
    }
    assert!(
        tried.status.success(),
        "installing {} needs pip or venv, and the network: {}",
        requirements.display(),
        told(&tried)
    );
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
