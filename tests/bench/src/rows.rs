//! The rows that an execution leaves in the server's database, read back generically, so that the bare measurement
//! writes the very same rows whatever the schema is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use sqlx::{
    AssertSqlSafe, Connection, Row, SqliteConnection, TypeInfo, ValueRef,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

/// One value of SQLite.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    fn bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

/// Rows of one table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    /// All columns that can be written.
    pub(crate) columns: Vec<String>,
    /// Those that identify a row, by their place in `columns`.
    pub(crate) key: Vec<usize>,
    /// The column that names the execution; none in tables that all executions share.
    pub(crate) execution: Option<usize>,
    /// The rows.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What a database holds for one execution.
pub(crate) struct Sample {
    /// The statements that make the tables and indexes.
    pub(crate) schema: Vec<String>,
    /// The page size of the file.
    pub(crate) page_bytes: i64,
    /// Shared rows (workflows, plugins, …), then the execution's own.
    pub(crate) tables: Vec<Table>,
}

impl Sample {
    /// Reads the rows of `execution_id` from the one database in the data directory `data`.
    pub(crate) async fn read(data: &Path, execution_id: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(database_in(data)?).read_only(true);
        let mut database = SqliteConnection::connect_with(&options).await.context("opening the server's database")?;
        let page_bytes = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut database).await?;
        let all = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '!_sqlx%' ESCAPE '!' \
                   AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND type = ? ORDER BY rowid";
        let named: Vec<(String, String)> = sqlx::query_as(all).bind("table").fetch_all(&mut database).await?;
        let mut tables = Vec::new();
        for (name, _) in &named {
            tables.push(read_table(&mut database, name, execution_id).await?);
        }
        let mut schema: Vec<_> = named.into_iter().map(|(_, sql)| sql).collect();
        for kind in ["index", "trigger", "view"] {
            let more: Vec<(String, String)> = sqlx::query_as(all).bind(kind).fetch_all(&mut database).await?;
            schema.extend(more.into_iter().map(|(_, sql)| sql));
        }
        let sample = Self { schema, page_bytes, tables };
        ensure!(sample.own().next().is_some(), "the database has no row of execution {execution_id}");
        Ok(sample)
    }

    /// The tables that hold rows of the execution itself.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| table.execution.is_some() && !table.rows.is_empty())
    }

    /// The tables that all executions share.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| table.execution.is_none() && !table.rows.is_empty())
    }

    /// Bytes of the execution's own values.
    pub(crate) fn bytes(&self) -> usize {
        self.own().flat_map(|table| &table.rows).flatten().map(Cell::bytes).sum()
    }

    /// Only those rows that are new or different since `before`: what was written in between.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<Table> {
        let old = |name: &str| before.tables.iter().find(|table| table.name == name).map_or(&[][..], |t| &t.rows);
        let changed = self.own().map(|table| Table {
            rows: table.rows.iter().filter(|row| !old(&table.name).contains(row)).cloned().collect(),
            ..table.clone()
        });
        changed.filter(|table| !table.rows.is_empty()).collect()
    }
}

async fn read_table(database: &mut SqliteConnection, name: &str, execution_id: &str) -> Result<Table> {
    // Hidden and generated columns (`hidden` > 0) cannot be written.
    let about = "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid";
    let about: Vec<(String, i64)> = sqlx::query_as(about).bind(name).fetch_all(&mut *database).await?;
    let key = (0..about.len()).filter(|&i| about[i].1 > 0).collect();
    let columns: Vec<String> = about.into_iter().map(|(column, _)| column).collect();
    let wanted = if name == "executions" { "id" } else { "execution_id" };
    let execution = columns.iter().position(|column| column == wanted);
    let list = columns.join(", ");
    let text = match execution {
        Some(_) => format!("SELECT {list} FROM {name} WHERE {wanted} = ?"),
        None => format!("SELECT {list} FROM {name} WHERE ? IS NOT NULL LIMIT 1000"),
    };
    let rows = sqlx::query(AssertSqlSafe(text)).bind(execution_id).fetch_all(database).await;
    let rows = rows.with_context(|| format!("reading table {name}"))?;
    Ok(Table { name: name.to_owned(), columns, key, execution, rows: rows.iter().map(cells).collect::<Result<_>>()? })
}

fn cells(row: &SqliteRow) -> Result<Vec<Cell>> {
    (0..row.len()).map(|i| cell(row, i)).collect()
}

fn cell(row: &SqliteRow, i: usize) -> Result<Cell> {
    let raw = row.try_get_raw(i)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Cell::Integer(row.try_get_unchecked(i)?),
        "REAL" => Cell::Real(row.try_get_unchecked(i)?),
        "TEXT" => Cell::Text(row.try_get_unchecked(i)?),
        _ => Cell::Blob(row.try_get_unchecked(i)?),
    })
}

/// The one SQLite file in a directory, known by its first bytes.
pub(crate) fn database_in(data: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data).with_context(|| format!("listing {}", data.display()))? {
        let path = entry?.path();
        let is_database = path.is_file() && starts_as_database(&path);
        found.extend(is_database.then_some(path));
    }
    ensure!(found.len() == 1, "{} holds {} databases, not one", data.display(), found.len());
    found.pop().context("finding the server's database")
}

fn starts_as_database(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 15];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"SQLite format 3"
}
