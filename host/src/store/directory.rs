//! The data directory: made private, and locked for one host.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::StoreError;

/// What the names of files begin with that are not whole yet.
pub(super) const TEMPORARY_PREFIX: &str = ".new-";

/// The paths in a data directory.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: PathBuf,
}

/// Keeps the data directory for this host as long as it lives. The operating system frees it when the process ends,
/// however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Directory {
    /// The directory, made with mode 0700 where it is missing. One that exists keeps its mode: it may be shared.
    pub(super) fn prepare(root: &Path) -> Result<Self, StoreError> {
        let directory = Self { root: root.to_owned() };
        for path in [root, &directory.plugins()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(|e| file_error("make directory", path, e))?;
        }
        // SQLite gives its other files the mode of this one.
        let path = directory.database();
        private().open(&path).map_err(|e| file_error("open", &path, e))?;
        Ok(directory)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.root.join("weir.db")
    }

    pub(super) fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Takes the directory for this process, or says who has it.
    pub(super) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.root.join("lock");
        let mut file = private().open(&path).map_err(|e| file_error("open", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::AlreadyOpen { path: self.root.clone(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(file_error("lock", &path, e)),
        }
        let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(|e| file_error("write", &path, e))?;
        Ok(Lock { _file: file })
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(16).read_to_string(&mut text);
    let pid = text.trim();
    let sound = read.is_ok() && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    if sound { pid.to_owned() } else { "unknown".to_owned() }
}

/// Writes a file so that after a crash it is whole or not there: beside its place, synced, then moved.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = folder.join(format!("{TEMPORARY_PREFIX}{}", uuid::Uuid::now_v7()));
    let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).and_then(|()| {
        // The new name is on disk when the folder is.
        File::open(folder)?.sync_all()
    });
    written.map_err(|e| {
        drop(fs::remove_file(&temporary));
        if e.kind() == std::io::ErrorKind::StorageFull { StoreError::Full } else { file_error("write", path, e) }
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn file_error(attempt: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { attempt, path: path.to_owned(), source: Arc::new(source) }
}
