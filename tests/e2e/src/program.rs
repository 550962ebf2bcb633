//! Where the things lie that were built before: the program and the components.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The bundled plugins, by the names of their files.
pub const BUNDLED: [&str; 7] = ["agent", "data", "http", "research", "text", "triage", "web"];

/// The directory that holds `debug` and `wasm32-wasip2`, found from this test's own executable.
///
/// # Errors
/// The executable lies somewhere unexpected.
pub fn target() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("finding this test's executable")?;
    let target = executable.ancestors().nth(3).context("finding the target directory above this test")?;
    Ok(target.to_owned())
}

/// The program `weir` of the same profile as this test.
///
/// # Errors
/// It was not built.
pub fn weir() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("finding this test's executable")?;
    let profile = executable.ancestors().nth(2).context("finding the directory of this test's profile")?;
    let program = profile.join("weir");
    ensure!(program.exists(), "{} is missing: run `cargo build -p weir-host` first", program.display());
    Ok(program)
}

/// The directory of the bundled plugins.
///
/// # Errors
/// They were not built.
pub fn plugins() -> Result<PathBuf> {
    let directory = target()?.join("wasm32-wasip2/plugin");
    for name in BUNDLED {
        let file = directory.join(format!("{name}.wasm"));
        ensure!(file.exists(), "{} is missing: run `make plugins` first", file.display());
    }
    Ok(directory)
}

/// The file of a bundled plugin.
///
/// # Errors
/// It was not built.
pub fn plugin(name: &str) -> Result<PathBuf> {
    Ok(plugins()?.join(format!("{name}.wasm")))
}

/// The file of a guest program.
///
/// # Errors
/// It was not built.
pub fn guest(name: &str) -> Result<PathBuf> {
    let file = target()?.join(format!("wasm32-wasip2/plugin/examples/{name}.wasm"));
    ensure!(file.exists(), "{} is missing: run `make guests` first", file.display());
    Ok(file)
}

/// The directory of the example workflows.
#[must_use]
pub fn workflows() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows")
}
