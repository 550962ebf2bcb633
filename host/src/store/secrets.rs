//! Sealed secrets. The store keeps them and cannot open them.

use std::sync::Arc;

use sqlx::{SqliteConnection, sqlite::SqliteRow};
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

/// A secret that people gave, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSecretRow {
    /// Its name.
    pub name: Arc<str>,
    /// The id of its value.
    pub secret_id: Arc<str>,
    /// The hosts that it may be sent to, as they were written.
    pub hosts: Vec<String>,
    /// When it was first set.
    pub created_at: Timestamp,
    /// Who set it last.
    pub set_by: String,
    /// When its value was replaced last.
    pub rotated_at: Option<Timestamp>,
}

/// A secret of people's to keep.
#[derive(Debug, Clone)]
pub struct NewUserSecret {
    /// Its name.
    pub name: String,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
    /// Its value, and who sets it.
    pub secret: NewSecret,
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

    /// The secrets of all names.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn all_secrets(&self) -> Result<Vec<SecretRow>, StoreError> {
        let rows = sqlx::query(queries::ALL_SECRETS).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("read secrets", e))?.iter().map(row_of).collect()
    }

    /// The secrets that people gave, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn user_secrets(&self) -> Result<Vec<UserSecretRow>, StoreError> {
        let rows = sqlx::query(queries::USER_SECRETS).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("read secrets", e))?.iter().map(user_row_of).collect()
    }

    /// Keeps a secret of people's, in place of the one of this name if there is one; audited as `secret.set`, or as
    /// `secret.rotate` where there was one.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where there are `limit`; the database cannot be written.
    pub async fn set_user_secret(&self, new: NewUserSecret, limit: usize) -> Result<UserSecretRow, StoreError> {
        self.write(move |connection| Box::pin(set_user_secret(connection, new, limit))).await
    }

    /// Deletes a secret of people's and its value; audited as `secret.delete`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn delete_user_secret(&self, name: &str, actor: String) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                let failed = |e| database("delete a secret", e);
                let query = sqlx::query_scalar::<_, String>(queries::DELETE_USER_SECRET).bind(&name);
                let Some(id) = query.fetch_optional(&mut *connection).await.map_err(failed)? else {
                    return Err(StoreError::NotFound { noun: "secret", name });
                };
                let query = sqlx::query(queries::DELETE_VALUE).bind(&id);
                query.execute(&mut *connection).await.map_err(failed)?;
                audit::record(connection, &[AuditEntry::done(actor, "secret.delete", name)]).await
            })
        })
        .await
    }

    /// Replaces what is sealed of these secrets, all of it or nothing, and writes `entry` with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where one of them is not there as it was read; the database cannot be written.
    pub async fn reseal_secrets(&self, rows: Vec<Resealed>, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                for row in rows {
                    let query = sqlx::query(queries::RESEAL_SECRET).bind(&row.sealed).bind(&*row.id).bind(&row.before);
                    let done = query.execute(&mut *connection).await.map_err(|e| database("seal a secret anew", e))?;
                    if done.rows_affected() != 1 {
                        return Err(StoreError::NotFound { noun: "secret", name: row.id.to_string() });
                    }
                }
                audit::record(connection, &[entry]).await
            })
        })
        .await
    }
}

/// A secret that was sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// Its id.
    pub id: Arc<str>,
    /// The sealed bytes of before.
    pub before: Vec<u8>,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

async fn set_user_secret(
    connection: &mut SqliteConnection,
    new: NewUserSecret,
    limit: usize,
) -> Result<UserSecretRow, StoreError> {
    let failed = |e| database("keep a secret", e);
    let NewUserSecret { name, hosts, secret } = new;
    let query = sqlx::query_scalar::<_, String>(queries::VALUE_OF_USER_SECRET).bind(&name);
    let before = query.fetch_optional(&mut *connection).await.map_err(failed)?;
    let query = sqlx::query(queries::INSERT_SECRET).bind(&secret.id).bind(&secret.name).bind(&secret.sealed);
    let query = query.bind(now().0).bind(&secret.created_by).bind(signed(SECRETS_MAX as u64));
    query.execute(&mut *connection).await.map_err(failed)?;
    let written = serde_json::Value::from(hosts.clone());
    let query = sqlx::query(queries::PUT_USER_SECRET).bind(&name).bind(&secret.id).bind(written.to_string());
    let query = query.bind(now().0).bind(&secret.created_by).bind(signed(limit as u64));
    let Some(row) = query.fetch_optional(&mut *connection).await.map_err(failed)? else {
        return Err(StoreError::TooMany { noun: "secret", limit });
    };
    if let Some(id) = &before {
        sqlx::query(queries::DELETE_VALUE).bind(id).execute(&mut *connection).await.map_err(failed)?;
    }
    let act = if before.is_some() { "secret.rotate" } else { "secret.set" };
    let entry = AuditEntry::done(secret.created_by, act, name).with(serde_json::json!({ "hosts": hosts }));
    audit::record(connection, &[entry]).await?;
    user_row_of(&row)
}

fn user_row_of(row: &SqliteRow) -> Result<UserSecretRow, StoreError> {
    let mut columns = Columns::new(row, "a secret");
    Ok(UserSecretRow {
        name: columns.text()?,
        secret_id: columns.text()?,
        hosts: columns.json()?,
        created_at: columns.time()?,
        set_by: columns.next()?,
        rotated_at: columns.time_or_none()?,
    })
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
