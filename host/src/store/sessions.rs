//! Sessions of users, known by the hash of their cookie.

use std::sync::Arc;

use weir_engine::id::Timestamp;

use super::{Store, StoreError, columns::Columns, error::database, queries};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the cookie's value, in hex.
    pub hash: Arc<str>,
    /// Whose it is.
    pub user_id: Arc<str>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// A session to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session.
    pub session: SessionRow,
    /// Hashes of sessions that end with it, so that nobody has too many.
    pub instead_of: Vec<Arc<str>>,
}

impl Store {
    /// Begins a session.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn create_session(&self, new: NewSession) -> Result<(), StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let NewSession { session, instead_of } = new;
                let failed = |e| database("begin a session", e);
                let old = hashes(&instead_of);
                sqlx::query(queries::DELETE_SESSIONS).bind(old).execute(&mut *connection).await.map_err(failed)?;
                let query = sqlx::query(queries::INSERT_SESSION)
                    .bind(&*session.hash)
                    .bind(&*session.user_id)
                    .bind(session.created_at.0)
                    .bind(session.last_used_at.0)
                    .bind(session.expires_at.0);
                query.execute(connection).await.map(drop).map_err(failed)
            })
        })
        .await
    }

    /// Every session.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query(queries::SESSIONS).fetch_all(&self.inner.readers).await;
        let session = |row| {
            let mut columns = Columns::new(row, "a session");
            Ok(SessionRow {
                hash: columns.text()?,
                user_id: columns.text()?,
                created_at: columns.time()?,
                last_used_at: columns.time()?,
                expires_at: columns.time()?,
            })
        };
        rows.map_err(|e| database("read sessions", e))?.iter().map(session).collect()
    }

    /// Ends a session, if it is there.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn delete_session(&self, hash: &str) -> Result<(), StoreError> {
        let hash = hash.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(queries::DELETE_SESSION).bind(hash).execute(connection).await;
                done.map(drop).map_err(|e| database("end a session", e))
            })
        })
        .await
    }

    /// Ends sessions that have run out.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn delete_sessions(&self, ended: &[Arc<str>]) -> Result<(), StoreError> {
        let ended = hashes(ended);
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(queries::DELETE_SESSIONS).bind(ended).execute(connection).await;
                done.map(drop).map_err(|e| database("end sessions", e))
            })
        })
        .await
    }

    /// Notes when sessions were last used, by their hashes.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn note_used_sessions(&self, used: Vec<(Arc<str>, Timestamp)>) -> Result<(), StoreError> {
        self.note_used(queries::USE_SESSIONS, used).await
    }
}

fn hashes(list: &[Arc<str>]) -> String {
    serde_json::Value::from_iter(list.iter().map(|hash| &**hash)).to_string()
}
