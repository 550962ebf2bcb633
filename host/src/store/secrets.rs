//! Sealed secrets. The store keeps them and cannot open them.

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use weir_engine::id::Timestamp;

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    columns::{Columns, signed},
    error::database,
    now,
    queries::webhooks as queries,
};

/// The most values that one name has at a time.
pub const SECRETS_MAX: usize = 4;

/// A sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its id.
    pub id: Arc<str>,
    /// What it is for.
    pub name: Arc<str>,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// A secret to keep.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// Who made it.
    pub created_by: String,
}

impl Store {
    /// The secrets of a name, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secrets(&self, name: &str) -> Result<Vec<SecretRow>, StoreError> {
        let rows = sqlx::query(queries::SECRETS).bind(name).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("read secrets", e))?.iter().map(row_of).collect()
    }

    /// Adds a value to a name, and writes `entries` with it.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where the name has [`SECRETS_MAX`]; the database cannot be written.
    pub async fn add_secret(&self, new: NewSecret, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let failed = |e| database("keep a secret", e);
                let query = sqlx::query(queries::INSERT_SECRET).bind(&new.id).bind(&new.name).bind(&new.sealed);
                let query = query.bind(now().0).bind(&new.created_by).bind(signed(SECRETS_MAX as u64));
                if query.execute(&mut *connection).await.map_err(failed)?.rows_affected() == 0 {
                    return Err(StoreError::TooMany { noun: "secret", limit: SECRETS_MAX });
                }
                audit::record(connection, &entries).await
            })
        })
        .await
    }

    /// Deletes a value of a name, and writes `entry` with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn delete_secret(&self, name: &str, id: &str, entry: AuditEntry) -> Result<(), StoreError> {
        let (name, id) = (name.to_owned(), id.to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::DELETE_SECRET).bind(&name).bind(&id);
                let done = query.execute(&mut *connection).await.map_err(|e| database("delete a secret", e))?;
                if done.rows_affected() == 0 {
                    return Err(StoreError::NotFound { noun: "secret", name: id });
                }
                audit::record(connection, &[entry]).await
            })
        })
        .await
    }
}

fn row_of(row: &SqliteRow) -> Result<SecretRow, StoreError> {
    let mut columns = Columns::new(row, "a secret");
    Ok(SecretRow {
        id: columns.text()?,
        name: columns.text()?,
        sealed: columns.next()?,
        created_at: columns.time()?,
        created_by: columns.next()?,
    })
}
