//! The same rows as the server's, written by nothing but SQLite: the statements of a batch go to the database in one
//! piece, with the parameters made before the clock starts.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use sqlx::{
    Arguments, AssertSqlSafe, Connection, SqliteConnection,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    numbers,
    rows::{Cell, Sample, Table},
};

/// SQLite takes no more parameters than this in one statement.
const PARAMETERS_MAX: usize = 32_766;

/// A database of its own with the server's schema and settings.
pub(crate) struct Bare {
    database: SqliteConnection,
    /// How many executions' ids were given out.
    made: usize,
}

/// What came of writing batches.
pub(crate) struct Written {
    /// How long each batch took to be durable.
    batches: Vec<Duration>,
    /// Executions in a batch.
    size: usize,
}

impl Written {
    /// Executions a second.
    pub(crate) fn per_second(&self) -> f64 {
        let total: Duration = self.batches.iter().sum();
        numbers::float(self.batches.len() * self.size) / total.as_secs_f64()
    }

    /// The median time of a batch.
    pub(crate) fn p50(mut self) -> Duration {
        numbers::median(&mut self.batches)
    }

    /// Takes the batches of another measurement in.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.batches.extend(other.batches);
        self
    }
}

/// How a batch meets rows that are there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// All rows are new.
    New,
    /// Rows with the key of another take its place.
    Update,
}

impl Bare {
    /// Makes the database in `folder`.
    pub(crate) async fn create(folder: &Path, sample: &Sample) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("bare.db"))
            .create_if_missing(true)
            .pragma("page_size", sample.page_bytes.to_string())
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let mut database = SqliteConnection::connect_with(&options).await.context("making a bare database")?;
        for statement in &sample.schema {
            sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut database).await?;
        }
        let mut bare = Self { database, made: 0 };
        let shared: Vec<_> = sample.shared().cloned().collect();
        bare.write(&shared, 0..1, Meeting::New).await?;
        Ok(bare)
    }

    /// Writes the rows of new executions for at most `time_max`: `batches` batches of `size` executions.
    pub(crate) async fn measure(
        &mut self,
        tables: &[Table],
        batches: usize,
        size: usize,
        time_max: Duration,
    ) -> Result<Written> {
        let first = self.made;
        self.made += batches * size;
        self.measure_from(tables, first, batches, size, Meeting::New, time_max).await
    }

    /// Writes rows of the executions from number `first` on.
    pub(crate) async fn measure_from(
        &mut self,
        tables: &[Table],
        first: usize,
        batches: usize,
        size: usize,
        meeting: Meeting,
        time_max: Duration,
    ) -> Result<Written> {
        let mut written = Written { batches: Vec::with_capacity(batches), size };
        let mut total = Duration::ZERO;
        for batch in 0..batches {
            let from = first + batch * size;
            let took = self.write(tables, from..from + size, meeting).await?;
            total += took;
            written.batches.push(took);
            if total > time_max {
                break;
            }
        }
        Ok(written)
    }

    /// Writes one batch, and answers how long the database took.
    async fn write(
        &mut self,
        tables: &[Table],
        executions: std::ops::Range<usize>,
        meeting: Meeting,
    ) -> Result<Duration> {
        let (text, arguments) = batch(tables, executions, meeting)?;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments);
        let start = Instant::now();
        query.execute(&mut self.database).await.context("writing bare rows")?;
        Ok(start.elapsed())
    }
}

/// The statements and parameters of one transaction.
fn batch(tables: &[Table], executions: std::ops::Range<usize>, meeting: Meeting) -> Result<(String, SqliteArguments)> {
    let mut text = String::from("BEGIN IMMEDIATE; ");
    let mut arguments = SqliteArguments::default();
    for table in tables {
        let rows: Vec<_> = executions.clone().flat_map(|n| table.rows.iter().map(move |row| (n, row))).collect();
        for part in rows.chunks(PARAMETERS_MAX / table.columns.len()) {
            insert(&mut text, table, part.len(), meeting)?;
            for (n, row) in part {
                bind(&mut arguments, table, row, *n)?;
            }
        }
    }
    text.push_str("COMMIT");
    Ok((text, arguments))
}

fn insert(text: &mut String, table: &Table, rows: usize, meeting: Meeting) -> Result<()> {
    let marks = vec!["?"; table.columns.len()].join(",");
    write!(text, "INSERT INTO {} ({}) VALUES ", table.name, table.columns.join(","))?;
    text.push_str(&vec![format!("({marks})"); rows].join(","));
    if meeting == Meeting::Update {
        let key: Vec<_> = table.key.iter().map(|&i| table.columns[i].as_str()).collect();
        let others = (0..table.columns.len()).filter(|i| !table.key.contains(i)).map(|i| &table.columns[i]);
        let sets: Vec<_> = others.map(|column| format!("{column} = excluded.{column}")).collect();
        write!(text, " ON CONFLICT ({}) DO UPDATE SET {}", key.join(","), sets.join(","))?;
    }
    text.push_str("; ");
    Ok(())
}

fn bind(arguments: &mut SqliteArguments, table: &Table, row: &[Cell], n: usize) -> Result<()> {
    for (i, cell) in row.iter().enumerate() {
        let result = match cell {
            Cell::Text(_) if table.execution == Some(i) => arguments.add(id(n)),
            Cell::Blob(_) if table.execution == Some(i) => arguments.add(id(n).as_bytes()[..16].to_vec()),
            Cell::Null => arguments.add(None::<i64>),
            Cell::Integer(value) => arguments.add(*value),
            Cell::Real(value) => arguments.add(*value),
            Cell::Text(value) => arguments.add(value.clone()),
            Cell::Blob(value) => arguments.add(value.clone()),
        };
        result.map_err(anyhow::Error::from_boxed).context("binding a value")?;
    }
    Ok(())
}

/// An id as long as a UUID, in the order of time, like the server's.
fn id(n: usize) -> String {
    format!("{:08x}-{:04x}-7000-8000-{:012x}", n >> 16, n & 0xffff, n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: [&str; 4] = [
        "CREATE TABLE workflows (id TEXT PRIMARY KEY NOT NULL, name TEXT) STRICT",
        "CREATE TABLE executions (id TEXT PRIMARY KEY NOT NULL, workflow_id TEXT REFERENCES workflows, status TEXT, \
         big INTEGER, small REAL) STRICT, WITHOUT ROWID",
        "CREATE TABLE events (execution_id TEXT NOT NULL, seq INTEGER NOT NULL, data BLOB, PRIMARY KEY (execution_id, seq)) \
         STRICT, WITHOUT ROWID",
        "CREATE INDEX by_status ON executions (status)",
    ];

    async fn server_database(folder: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(folder.join("server.db")).create_if_missing(true);
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut database).await.unwrap();
        }
        let rows = "INSERT INTO workflows VALUES ('w', 'n'); INSERT INTO executions VALUES ('e', 'w', 'running', 7, 0.5); \
                    INSERT INTO events VALUES ('e', 1, x'0102')";
        sqlx::raw_sql(rows).execute(&mut database).await.unwrap();
        database
    }

    #[tokio::test]
    async fn rows_are_read_back_and_written_again_under_new_ids() {
        let folder = tempfile::tempdir().unwrap();
        let _server = server_database(folder.path()).await;
        let sample = Sample::read(folder.path(), "e").await.unwrap();
        assert_eq!(sample.bytes(), "e".len() + 1 + 7 + 8 + 8 + "e".len() + 8 + 2);

        let bare_folder = tempfile::tempdir().unwrap();
        let mut bare = Bare::create(bare_folder.path(), &sample).await.unwrap();
        let own: Vec<_> = sample.own().cloned().collect();
        let written = bare.measure(&own, 3, 40, Duration::from_secs(60)).await.unwrap();
        assert_eq!(written.batches.len(), 3);
        let (count, distinct): (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT execution_id) FROM events")
            .fetch_one(&mut bare.database)
            .await
            .unwrap();
        assert_eq!((count, distinct), (120, 120));
    }

    #[tokio::test]
    async fn what_changed_is_written_over_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = server_database(folder.path()).await;
        let before = Sample::read(folder.path(), "e").await.unwrap();
        let change = "UPDATE executions SET status = 'completed'; INSERT INTO events VALUES ('e', 2, x'03')";
        sqlx::raw_sql(change).execute(&mut server).await.unwrap();
        let changed = Sample::read(folder.path(), "e").await.unwrap().changed_since(&before);
        assert_eq!(changed.iter().map(|table| table.rows.len()).sum::<usize>(), 2);

        let bare_folder = tempfile::tempdir().unwrap();
        let mut bare = Bare::create(bare_folder.path(), &before).await.unwrap();
        let own: Vec<_> = before.own().cloned().collect();
        bare.measure(&own, 1, 10, Duration::from_secs(60)).await.unwrap();
        bare.measure_from(&changed, 0, 2, 5, Meeting::Update, Duration::from_secs(60)).await.unwrap();
        let counts =
            "SELECT (SELECT count(*) FROM executions WHERE status = 'completed'), (SELECT count(*) FROM events)";
        let counts: (i64, i64) = sqlx::query_as(counts).fetch_one(&mut bare.database).await.unwrap();
        assert_eq!(counts, (10, 20));
    }
}
