//! People who sign in with a name and a password.

use std::sync::Arc;

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use weir_engine::id::Timestamp;

use super::{
    Store, StoreError,
    columns::Columns,
    error::database,
    folded, now, queries,
    tokens::{free, room, written},
};
use crate::identity::Roles;

/// The most users.
const USERS_MAX: usize = 10_000;

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Their id.
    pub id: Arc<str>,
    /// Their name, unique.
    pub name: Arc<str>,
    /// The hash of their password.
    pub password: String,
    /// What they may do.
    pub roles: Roles,
    /// Whether they may not come in.
    pub disabled: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// Who added them.
    pub created_by: String,
}

/// Without the hash of the password: what is printed ends up in logs.
impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, name, roles, disabled, .. } = self;
        f.debug_struct("UserRow")
            .field("id", id)
            .field("name", name)
            .field("roles", roles)
            .field("disabled", disabled)
            .finish_non_exhaustive()
    }
}

/// A user to add.
#[derive(Clone)]
pub struct NewUser {
    /// Their name.
    pub name: String,
    /// The hash of their password.
    pub password: String,
    /// What they may do.
    pub roles: Roles,
    /// Who adds them.
    pub created_by: String,
}

/// What to change about a user.
#[derive(Clone, Default)]
pub struct UserChange {
    /// Their roles.
    pub roles: Option<Roles>,
    /// Whether they may not come in; ends their sessions where it says so.
    pub disabled: Option<bool>,
    /// The hash of a new password; ends their sessions.
    pub password: Option<String>,
    /// The hash of the one session that does not end.
    pub keeps: Option<String>,
}

impl Store {
    /// Adds a user.
    ///
    /// # Errors
    /// [`StoreError::Taken`], [`StoreError::TooMany`]; the database cannot be written.
    pub async fn create_user(&self, new: NewUser) -> Result<UserRow, StoreError> {
        self.write(move |connection| Box::pin(create(connection, new))).await
    }

    /// Every user, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let rows = sqlx::query(queries::USERS).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("read users", e))?.iter().map(user).collect()
    }

    /// Changes a user, and ends their sessions where they may not come in any more or have a new password.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn change_user(&self, id: &str, change: UserChange) -> Result<UserRow, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| Box::pin(change_user(connection, id, change))).await
    }

    /// Deletes a user and ends their sessions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn delete_user(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                end_sessions(connection, &id, None).await?;
                let done = sqlx::query(queries::DELETE_USER).bind(&id).execute(connection).await;
                let deleted = done.map_err(|e| database("delete a user", e))?.rows_affected() > 0;
                if deleted { Ok(()) } else { Err(not_found(id)) }
            })
        })
        .await
    }
}

async fn create(connection: &mut SqliteConnection, new: NewUser) -> Result<UserRow, StoreError> {
    let name_folded = folded(&new.name);
    room(connection, queries::COUNT_USERS, "user", USERS_MAX).await?;
    free(connection, queries::USER_BY_NAME, "user", &new.name, &name_folded).await?;
    let row = UserRow {
        id: uuid::Uuid::now_v7().to_string().into(),
        name: new.name.into(),
        password: new.password,
        roles: new.roles,
        disabled: false,
        created_at: now(),
        created_by: new.created_by,
    };
    let query = sqlx::query(queries::INSERT_USER)
        .bind(&*row.id)
        .bind(&*row.name)
        .bind(name_folded)
        .bind(&row.password)
        .bind(written(row.roles))
        .bind(row.created_at.0)
        .bind(&row.created_by);
    query.execute(connection).await.map_err(|e| database("save a user", e))?;
    Ok(row)
}

async fn change_user(connection: &mut SqliteConnection, id: String, change: UserChange) -> Result<UserRow, StoreError> {
    if change.password.is_some() || change.disabled == Some(true) {
        end_sessions(connection, &id, change.keeps).await?;
    }
    let query = sqlx::query(queries::UPDATE_USER)
        .bind(change.roles.map(written))
        .bind(change.disabled)
        .bind(change.password)
        .bind(&id);
    let row = query.fetch_optional(connection).await.map_err(|e| database("change a user", e))?;
    user(&row.ok_or_else(|| not_found(id))?)
}

/// Ends a user's sessions but the one with the hash `keeps`.
async fn end_sessions(
    connection: &mut SqliteConnection,
    user_id: &str,
    keeps: Option<String>,
) -> Result<(), StoreError> {
    let done = sqlx::query(queries::DELETE_SESSIONS_OF_USER).bind(user_id).bind(keeps).execute(connection).await;
    done.map(drop).map_err(|e| database("end sessions", e))
}

fn not_found(name: String) -> StoreError {
    StoreError::NotFound { noun: "user", name }
}

fn user(row: &SqliteRow) -> Result<UserRow, StoreError> {
    let mut columns = Columns::new(row, "a user");
    Ok(UserRow {
        id: columns.text()?,
        name: columns.text()?,
        password: columns.next()?,
        roles: columns.json()?,
        disabled: columns.next()?,
        created_at: columns.time()?,
        created_by: columns.next()?,
    })
}
