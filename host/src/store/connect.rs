//! Connections: one that writes, a few that read.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{StoreError, error::database, queries};

/// Older ones lose data when a checkpoint and a write that starts the log anew meet.
const SQLITE_NEEDED: (&str, [u32; 3]) = ("3.51.3", [3, 51, 3]);
/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(64)
        .disable_statement_logging()
}

/// The connection that writes, after the schema was brought up to date.
pub(super) async fn writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A larger log: pages that are written again and again are copied to the file once, not each time.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        // Kibibytes. The pages that are written lie at the right edges of the trees, so more would not help.
        .pragma("cache_size", "-8192");
    let mut connection = options.connect().await.map_err(|e| database("open the database", e))?;
    check_version(&mut connection).await?;
    check_synchronous(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await.map_err(|e| StoreError::Migrate(e.into()))?;
    Ok(connection)
}

/// The connections that read. A writer never waits for them, nor they for it.
pub(super) fn readers(path: &Path, count: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(count.clamp(1, 4))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go away, and asking would be a second round trip for each query.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options(path).read_only(true))
}

async fn check_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let query = sqlx::query_scalar(queries::SQLITE_VERSION);
    let found: String = query.fetch_one(connection).await.map_err(|e| database("ask SQLite for its version", e))?;
    if is_safe(&found) { Ok(()) } else { Err(StoreError::SqliteTooOld { found, needed: SQLITE_NEEDED.0 }) }
}

fn is_safe(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    parts.as_slice() >= SQLITE_NEEDED.1.as_slice()
}

/// An answer means that the data is on disk only if SQLite syncs at every commit.
async fn check_synchronous(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let query = sqlx::query_scalar(queries::SYNCHRONOUS);
    let found: i64 = query.fetch_one(connection).await.map_err(|e| database("ask SQLite whether it syncs", e))?;
    if found == 2 {
        return Ok(());
    }
    let reason = format!("synchronous is {found} instead of 2 (full)");
    Err(StoreError::Corrupt { what: "the database's settings".to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, safe) in
            [("3.51.3", true), ("3.51.10", true), ("3.52.0", true), ("4.0", true), ("3.51.2", false), ("3.9.9", false)]
        {
            assert_eq!(is_safe(version), safe, "{version}");
        }
        assert!(!is_safe(""));
        assert!(!is_safe("new"));
    }
}
