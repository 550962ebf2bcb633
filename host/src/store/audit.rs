//! The audit log: append-only, each row chained to the one before by its hash.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteRow};
use weir_engine::id::Timestamp;

use super::{
    Store, StoreError,
    columns::{Columns, page, signed},
    error::database,
    now, queries,
};
use crate::hex::hex;

/// How many rows are checked at a time.
const VERIFY_ROWS: u32 = 200;
/// What the first row is chained to.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, in the same transaction.
    Done,
    /// Whoever asked may not do it.
    Refused,
    /// It was tried and did not work.
    Failed,
}

impl Outcome {
    /// The outcome as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Something that somebody did, or tried.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Who: `user:alice`, `token:ci`, `admin`, `anonymous`.
    pub actor: String,
    /// What, as `noun.verb`: `workflow.create`.
    pub act: &'static str,
    /// To what: an id or a name.
    pub object: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What else matters: an object, without secrets.
    pub details: Option<serde_json::Value>,
}

impl AuditEntry {
    /// An act that was done.
    #[must_use]
    pub fn done(actor: impl Into<String>, act: &'static str, object: impl Into<String>) -> Self {
        Self { actor: actor.into(), act, object: Some(object.into()), outcome: Outcome::Done, details: None }
    }

    /// The same with details.
    #[must_use]
    pub fn with(self, details: serde_json::Value) -> Self {
        Self { details: Some(details), ..self }
    }
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub act: String,
    /// To what.
    pub object: Option<String>,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// A JSON object.
    pub details: Option<String>,
    /// The hash that chains it to the row before.
    pub hash: String,
}

/// Which rows to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those of this actor.
    pub actor: Option<String>,
    /// Those of this act.
    pub act: Option<String>,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Rows that are as they were written.
    pub rows: u64,
    /// The hash of the last of them: written down elsewhere, it shows later that the end was not cut off.
    pub head: String,
    /// The first row that is not as it was written, or that is missing.
    pub broken_at: Option<u64>,
}

/// A row that is about to be written, in the order of the bulk statement.
type NewRow<'e> = (u64, Timestamp, &'e str, &'static str, Option<&'e str>, &'static str, Option<String>, String);

/// The end of the chain.
#[derive(Debug, Clone)]
struct Head {
    seq: u64,
    hash: String,
}

impl Store {
    /// Writes down an act that changed nothing else: one that was refused or failed.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |connection| Box::pin(async move { record(connection, &[entry]).await })).await
    }

    /// Rows that `filter` lets pass, newest first, older than `before`, at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit_rows(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let before = signed(before.unwrap_or(u64::MAX));
        let readers = &self.inner.readers;
        let rows = match (&filter.actor, &filter.act) {
            (None, None) => sqlx::query(queries::AUDIT).bind(before).bind(page(limit)).fetch_all(readers).await,
            (Some(actor), None) => {
                sqlx::query(queries::AUDIT_BY_ACTOR).bind(before).bind(page(limit)).bind(actor).fetch_all(readers).await
            }
            (None, Some(act)) => {
                sqlx::query(queries::AUDIT_BY_ACT).bind(before).bind(page(limit)).bind(act).fetch_all(readers).await
            }
            (Some(actor), Some(act)) => {
                let query = sqlx::query(queries::AUDIT_BY_ACTOR_AND_ACT).bind(before).bind(page(limit));
                query.bind(actor).bind(act).fetch_all(readers).await
            }
        };
        rows.map_err(|e| database("list the audit log", e))?.iter().map(row_of).collect()
    }

    /// Reads the whole audit log and checks every link of its chain.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn verify_audit(&self) -> Result<Verified, StoreError> {
        let mut head = Head { seq: 0, hash: GENESIS.to_owned() };
        loop {
            let rows = rows_after(&self.inner.readers, head.seq).await?;
            if rows.is_empty() {
                return Ok(Verified { rows: head.seq, head: head.hash, broken_at: None });
            }
            for row in rows {
                let hash = link(&head.hash, &row);
                if row.seq != head.seq + 1 || row.hash != hash {
                    return Ok(Verified { rows: head.seq, head: head.hash, broken_at: Some(head.seq + 1) });
                }
                head = Head { seq: row.seq, hash };
            }
        }
    }
}

/// Writes entries on the writer's connection, in the transaction of whoever asks.
pub(super) async fn record(connection: &mut SqliteConnection, entries: &[AuditEntry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let failed = |e| database("write the audit log", e);
    let rows = rows(connection, entries).await.map_err(failed)?;
    sqlx::query(queries::INSERT_AUDIT).bind(rows).execute(connection).await.map_err(failed)?;
    Ok(())
}

/// The rows of new entries as a JSON array for the bulk statement, chained to the end of the log.
pub(super) async fn rows(connection: &mut SqliteConnection, entries: &[AuditEntry]) -> Result<String, sqlx::Error> {
    let at = now();
    let mut head = head(connection).await?;
    let mut rows: Vec<NewRow<'_>> = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut row = AuditRow {
            seq: head.seq + 1,
            at,
            actor: entry.actor.clone(),
            act: entry.act.to_owned(),
            object: entry.object.clone(),
            outcome: entry.outcome.as_str().to_owned(),
            details: entry.details.as_ref().map(ToString::to_string),
            hash: String::new(),
        };
        row.hash = link(&head.hash, &row);
        head = Head { seq: row.seq, hash: row.hash.clone() };
        let (actor, object) = (entry.actor.as_str(), entry.object.as_deref());
        rows.push((row.seq, at, actor, entry.act, object, entry.outcome.as_str(), row.details, row.hash));
    }
    serde_json::to_string(&rows).map_err(|e| sqlx::Error::Encode(e.into()))
}

async fn head(connection: &mut SqliteConnection) -> Result<Head, sqlx::Error> {
    let head: Option<(i64, String)> = sqlx::query_as(queries::AUDIT_HEAD).fetch_optional(connection).await?;
    let (seq, hash) = head.unwrap_or_else(|| (0, GENESIS.to_owned()));
    Ok(Head { seq: seq.unsigned_abs(), hash })
}

async fn rows_after(readers: &SqlitePool, seq: u64) -> Result<Vec<AuditRow>, StoreError> {
    let query = sqlx::query(queries::AUDIT_AFTER).bind(signed(seq)).bind(VERIFY_ROWS);
    let rows = query.fetch_all(readers).await.map_err(|e| database("read the audit log", e))?;
    rows.iter().map(row_of).collect()
}

/// The hash of a row: of the hash before, and of the row's columns as a JSON array, so that none can run into another.
fn link(before: &str, row: &AuditRow) -> String {
    let content = serde_json::json!([row.seq, row.at.0, row.actor, row.act, row.object, row.outcome, row.details]);
    hex(&Sha256::new().chain_update(before).chain_update(content.to_string()).finalize())
}

fn row_of(row: &SqliteRow) -> Result<AuditRow, StoreError> {
    let mut columns = Columns::new(row, "the audit log");
    Ok(AuditRow {
        seq: columns.number()?,
        at: columns.time()?,
        actor: columns.next()?,
        act: columns.next()?,
        object: columns.next()?,
        outcome: columns.next()?,
        details: columns.next()?,
        hash: columns.next()?,
    })
}
