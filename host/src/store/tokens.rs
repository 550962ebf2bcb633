//! API tokens, known by the hash of their secret.

use std::sync::Arc;

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use weir_engine::id::Timestamp;

use super::{
    Store, StoreError,
    columns::{Columns, page},
    error::database,
    folded, now, queries,
};
use crate::identity::Roles;

/// The most tokens that are neither revoked nor deleted.
const TOKENS_MAX: usize = 10_000;

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: Arc<str>,
    /// Its name, unique among those that were not revoked.
    pub name: Arc<str>,
    /// What its holder may do.
    pub roles: Roles,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it is of no use.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// SHA-256 of the secret, in hex.
    pub hash: String,
    /// What its holder may do.
    pub roles: Roles,
    /// Who makes it.
    pub created_by: String,
    /// From when on it is of no use.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Makes a token.
    ///
    /// # Errors
    /// [`StoreError::Taken`], [`StoreError::TooMany`]; the database cannot be written.
    pub async fn create_token(&self, new: NewToken) -> Result<TokenRow, StoreError> {
        self.write(move |connection| Box::pin(create(connection, new))).await
    }

    /// Every token that was not revoked, with the hash of its secret.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn live_tokens(&self) -> Result<Vec<(String, TokenRow)>, StoreError> {
        let rows = sqlx::query(queries::LIVE_TOKENS).fetch_all(&self.inner.readers).await;
        let with_hash = |row| {
            let mut columns = Columns::new(row, "a token");
            Ok((columns.next()?, token(columns)?))
        };
        rows.map_err(|e| database("read tokens", e))?.iter().map(with_hash).collect()
    }

    /// Tokens, revoked ones too, newest first, older than the one with the id `before`, at most `limit` and never more
    /// than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tokens(&self, before: Option<&str>, limit: u32) -> Result<Vec<TokenRow>, StoreError> {
        let query = sqlx::query(queries::TOKENS).bind(before.unwrap_or("~")).bind(page(limit));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list tokens", e))?;
        rows.iter().map(|row| token(Columns::new(row, "a token"))).collect()
    }

    /// Revokes a token for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn revoke_token(&self, id: &str) -> Result<TokenRow, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::REVOKE_TOKEN).bind(now().0).bind(&id);
                let row: Option<SqliteRow> =
                    query.fetch_optional(connection).await.map_err(|e| database("revoke a token", e))?;
                let row = row.ok_or(StoreError::NotFound { noun: "token", name: id })?;
                token(Columns::new(&row, "a token"))
            })
        })
        .await
    }

    /// Notes when tokens were last used.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn note_used_tokens(&self, used: Vec<(Arc<str>, Timestamp)>) -> Result<(), StoreError> {
        self.note_used(queries::USE_TOKENS, used).await
    }

    pub(super) async fn note_used(
        &self,
        statement: &'static str,
        used: Vec<(Arc<str>, Timestamp)>,
    ) -> Result<(), StoreError> {
        let rows: Vec<(&str, i64)> = used.iter().map(|(id, at)| (&**id, at.0)).collect();
        let rows =
            serde_json::Value::from_iter(rows.into_iter().map(|(id, at)| serde_json::json!([id, at]))).to_string();
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(statement).bind(rows).execute(connection).await;
                done.map(drop).map_err(|e| database("note what was used", e))
            })
        })
        .await
    }
}

async fn create(connection: &mut SqliteConnection, new: NewToken) -> Result<TokenRow, StoreError> {
    let name_folded = folded(&new.name);
    room(connection, queries::COUNT_TOKENS, "token", TOKENS_MAX).await?;
    free(connection, queries::TOKEN_BY_NAME, "token", &new.name, &name_folded).await?;
    let row = TokenRow {
        id: uuid::Uuid::now_v7().to_string().into(),
        name: new.name.into(),
        roles: new.roles,
        created_at: now(),
        created_by: new.created_by,
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let query = sqlx::query(queries::INSERT_TOKEN)
        .bind(&*row.id)
        .bind(&*row.name)
        .bind(name_folded)
        .bind(new.hash)
        .bind(written(row.roles))
        .bind(row.created_at.0)
        .bind(&row.created_by)
        .bind(row.expires_at.map(|at| at.0));
    query.execute(connection).await.map_err(|e| database("save a token", e))?;
    Ok(row)
}

/// Refuses one more where there are `limit`.
pub(super) async fn room(
    connection: &mut SqliteConnection,
    count: &'static str,
    noun: &'static str,
    limit: usize,
) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar(count).fetch_one(connection).await.map_err(|e| database("count rows", e))?;
    let is_full = usize::try_from(found).is_ok_and(|found| found >= limit);
    if is_full { Err(StoreError::TooMany { noun, limit }) } else { Ok(()) }
}

/// Refuses a name that is taken.
pub(super) async fn free(
    connection: &mut SqliteConnection,
    lookup: &'static str,
    noun: &'static str,
    name: &str,
    name_folded: &str,
) -> Result<(), StoreError> {
    let query = sqlx::query_scalar::<_, String>(lookup).bind(name_folded);
    let holder = query.fetch_optional(connection).await.map_err(|e| database("look for a name", e))?;
    holder.map_or(Ok(()), |_| Err(StoreError::Taken { noun, name: name.to_owned() }))
}

/// Roles as they are stored.
pub(super) fn written(roles: Roles) -> String {
    serde_json::Value::from_iter(roles.iter().map(crate::identity::Role::as_str)).to_string()
}

fn token(mut columns: Columns<'_>) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: columns.text()?,
        name: columns.text()?,
        roles: columns.json()?,
        created_at: columns.time()?,
        created_by: columns.next()?,
        expires_at: columns.time_or_none()?,
        revoked_at: columns.time_or_none()?,
        last_used_at: columns.time_or_none()?,
    })
}
