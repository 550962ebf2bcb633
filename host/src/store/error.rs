//! Everything that can go wrong in the store.

use std::{path::PathBuf, sync::Arc};

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The data directory or a file in it cannot be used.
    #[error("could not {attempt} {path}: check that it is on a writable disk and belongs to this user")]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Another host has the data directory open.
    #[error("data directory {path} is in use by another host (process {pid}): stop it, or choose another directory")]
    AlreadyOpen {
        /// The directory.
        path: PathBuf,
        /// The other host's process id, or `unknown`.
        pid: String,
    },
    /// The SQLite that is linked has a known fault that damages databases.
    #[error("SQLite {found} can damage its file: {needed} or newer is needed")]
    SqliteTooOld {
        /// Its version.
        found: String,
        /// The oldest version that is safe.
        needed: &'static str,
    },
    /// The schema could not be brought up to date.
    #[error("could not migrate the database: it may be from a newer release")]
    Migrate(#[source] Arc<sqlx::migrate::MigrateError>),
    /// Other events are stored under these numbers: load the execution again.
    #[error("could not append to execution {execution_id}: its log has moved on, load it again")]
    Conflict {
        /// The execution.
        execution_id: Arc<str>,
    },
    /// A live workflow has this name.
    #[error("could not save the workflow: the name {name:?} is taken by workflow {workflow_id}, choose another")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        workflow_id: String,
    },
    /// A user or token has this name.
    #[error("could not save {noun} {name:?}: the name is taken, choose another")]
    Taken {
        /// What was to be saved: `user`, `token`.
        noun: &'static str,
        /// The name.
        name: String,
    },
    /// There are as many as there may be.
    #[error("could not save one more {noun}: there are {limit}, which is the most; delete some first")]
    TooMany {
        /// What was to be saved: `user`, `token`.
        noun: &'static str,
        /// The most of them.
        limit: usize,
    },
    /// Another workflow has a webhook with this path.
    #[error("could not save the workflow: the webhook path {path:?} belongs to workflow {workflow:?}, choose another")]
    PathTaken {
        /// The path.
        path: String,
        /// The name of the workflow that has it.
        workflow: String,
    },
    /// The workflow was saved since the version that the caller had read.
    #[error("could not save the workflow: its newest version is {newest}, not {expected}; read it and merge")]
    VersionConflict {
        /// The newest version.
        newest: u32,
        /// The version that was expected to be.
        expected: u32,
    },
    /// This version of the plugin is installed with other bytes.
    #[error("could not install plugin {name} {version}: this version exists with other content, raise the version")]
    VersionTaken {
        /// The plugin.
        name: String,
        /// The version.
        version: String,
    },
    /// Unfinished executions are pinned to the plugin.
    #[error("could not delete plugin {name} {version}: {executions} unfinished executions use it, wait or cancel them")]
    InUse {
        /// The plugin.
        name: String,
        /// The version.
        version: String,
        /// How many executions; counted up to a bound.
        executions: usize,
    },
    /// Nothing has this name.
    #[error("could not find {noun} {name:?}")]
    NotFound {
        /// What was looked for: `workflow`, `plugin`, …
        noun: &'static str,
        /// Its id or name.
        name: String,
    },
    /// The disk is full; reading goes on, and writing does when there is room again.
    #[error("could not write: the disk is full, make room and try again")]
    Full,
    /// Another process holds the database's lock.
    #[error("could not write: the database is locked by another process, try again")]
    Busy,
    /// What was asked to be stored is larger than allowed.
    #[error("could not store {what}: it is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// What is stored cannot be read by this program.
    #[error("could not read {what}: {reason}")]
    Corrupt {
        /// What: `execution …`.
        what: String,
        /// What is wrong about it.
        reason: String,
    },
    /// The store was closed.
    #[error("could not use the store: it is closed")]
    Closed,
    /// SQLite refused.
    #[error("could not {attempt}")]
    Database {
        /// What was attempted.
        attempt: &'static str,
        /// SQLite's reason.
        #[source]
        source: Arc<sqlx::Error>,
    },
}

/// What an error of SQLite means to callers.
pub(super) fn database(attempt: &'static str, source: sqlx::Error) -> StoreError {
    StoreError::from_cause(Cause::of(&source), attempt, Arc::new(source))
}

impl StoreError {
    /// The error of a kind.
    pub(super) fn from_cause(cause: Cause, attempt: &'static str, source: Arc<sqlx::Error>) -> Self {
        match cause {
            Cause::Full => Self::Full,
            Cause::Busy => Self::Busy,
            Cause::Closed => Self::Closed,
            Cause::Constraint | Cause::Disk | Cause::Other => Self::Database { attempt, source },
        }
    }
}

/// The kinds of errors that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No room.
    Full,
    /// Another process has the lock, or all connections are in use.
    Busy,
    /// A constraint was violated.
    Constraint,
    /// The disk failed: what was thought to be written may not be.
    Disk,
    /// The pool was closed.
    Closed,
    /// Anything else.
    Other,
}

/// SQLite's extended code for a shared-memory file that cannot grow, which is how a full disk shows there.
const IOERR_SHMSIZE: u32 = 4874;

impl Cause {
    /// The kind of an error.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error::{PoolClosed, PoolTimedOut, WorkerCrashed};
        if matches!(error, PoolClosed | WorkerCrashed) {
            return Self::Closed;
        }
        if matches!(error, PoolTimedOut) {
            return Self::Busy;
        }
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.and_then(|code| code.parse().ok()).map_or(Self::Other, Self::of_code)
    }

    /// The kind of an extended result code; its lower byte is the primary one.
    fn of_code(code: u32) -> Self {
        match (code, code & 0xff) {
            (IOERR_SHMSIZE, _) | (_, 13) => Self::Full,
            (_, 5 | 6) => Self::Busy,
            (_, 19) => Self::Constraint,
            (_, 10) => Self::Disk,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn codes_are_told_apart() {
        let cases = [
            (13, Cause::Full),
            (4874, Cause::Full),
            (5, Cause::Busy),
            (517, Cause::Busy),
            (1299, Cause::Constraint),
            (2067, Cause::Constraint),
            (1034, Cause::Disk),
            (11, Cause::Other),
        ];
        for (code, cause) in cases {
            assert_eq!(Cause::of_code(code), cause, "{code}");
        }
    }
}
