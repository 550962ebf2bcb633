//! Compiled components on disk: one file each, named by the component's digest and the engine's settings, in a
//! directory that nobody else may enter. What is loaded runs as native code, so a file is taken only if its checksum
//! holds, and anything else is compiled again.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::PathBuf,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

use super::engine::compatibility;

const MAGIC: &[u8; 8] = b"WEIRAOT1";
const HEADER_BYTES: usize = MAGIC.len() + 32;
const EXTENSION: &str = "aot";
/// A file that was written less long ago may be one that a compiler is still at work on.
const FRESH: Duration = Duration::from_mins(10);

/// The directory of compiled components.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    /// The ending of every file that this host's engine can load.
    suffix: String,
}

impl Cache {
    /// Opens the cache, makes it private, and removes what no engine of this host will ever load,
    /// unless it is so fresh that a compiler may still be at work on it.
    ///
    /// # Errors
    /// When the directory cannot be made, made private or read.
    pub(super) fn open(directory: PathBuf, engine: &Engine) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let cache = Self { directory, suffix: format!("-{:016x}.{EXTENSION}", compatibility(engine)) };
        cache.remove_stale()?;
        Ok(cache)
    }

    /// Where the compiled form of a component lies.
    pub(super) fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}{}", self.suffix))
    }

    /// Loads the compiled form of a component; `None` where there is none that can be trusted.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let file = fs::read(self.path(digest)).ok()?;
        let code = checked(&file, digest)?;
        match deserialize(engine, code) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(plugin.digest = digest, error = ?error, "could not load a compiled plugin: compiling it again");
                None
            }
        }
    }

    /// Removes the compiled form of a component.
    pub(super) fn remove(&self, digest: &str) {
        drop(fs::remove_file(self.path(digest)));
    }

    fn remove_stale(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let current = entry.file_name().to_string_lossy().ends_with(&self.suffix);
            if !current && entry.file_type()?.is_file() && !is_fresh(&entry) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Whether a file was written just now, or is gone already.
fn is_fresh(entry: &fs::DirEntry) -> bool {
    let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|modified| modified.elapsed());
    !age.is_ok_and(|age| age.is_ok_and(|age| age >= FRESH))
}

/// `code` as it is written to a file: it belongs to the component with this digest and to no other.
pub(super) fn sealed(code: &[u8], digest: &str) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER_BYTES + code.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&sum(code, digest));
    file.extend_from_slice(code);
    file
}

/// The code in `file`, if its checksum holds.
fn checked<'a>(file: &'a [u8], digest: &str) -> Option<&'a [u8]> {
    let (header, code) = file.split_at_checked(HEADER_BYTES)?;
    (header.strip_prefix(MAGIC)? == sum(code, digest)).then_some(code)
}

fn sum(code: &[u8], digest: &str) -> [u8; 32] {
    Sha256::new().chain_update(digest).chain_update(code).finalize().into()
}

#[expect(unsafe_code, reason = "compiled code can be had in no other way")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was written by our own compiling child into a directory that only this user may enter, under a
    // name that holds the engine's settings, and its checksum holds; uploads never get here.
    unsafe { Component::deserialize(engine, code) }
}
