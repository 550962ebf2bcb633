//! Links with which somebody can decide one question once. What the link holds is a token; here is only its hash.

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use weir_engine::id::{CallId, Timestamp};

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    columns::{Columns, signed},
    error::database,
    now, queries,
};
use crate::hex::hex;

/// The most links to one question.
pub const LINKS_MAX: u32 = 200;
/// How long links are kept after they expired, so that their holders are told what became of the question.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// So many bytes of a link's hash are its id.
const ID_BYTES: usize = 16;

/// SHA-256 of a link's token.
pub type LinkHash = [u8; 32];

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// SHA-256 of its token.
    pub hash: LinkHash,
    /// The execution that asks.
    pub execution_id: Arc<str>,
    /// The question.
    pub call: CallId,
    /// SHA-256 of what is asked, in hex.
    pub request_digest: Arc<str>,
    /// The only option that it may choose.
    pub option_id: Option<Arc<str>>,
    /// The person who has it.
    pub name: Arc<str>,
    /// In whose right it decides: an actor, `channel:NAME`, or `guest:NAME` for somebody whom an administrator let in.
    pub owner: Arc<str>,
    /// Who made it.
    pub made_by: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is of no use any more.
    pub expires_at: Timestamp,
    /// When somebody decided with it.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl LinkRow {
    /// The name under which a link is listed and taken back: the first half of its hash in hex, which says nothing about
    /// its token.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.hash[..ID_BYTES])
    }
}

impl Store {
    /// Keeps a new link; `false` where the question has [`LINKS_MAX`] already.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn make_link(&self, link: LinkRow, audit: AuditEntry) -> Result<bool, StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let before = now().0.saturating_sub(i64::try_from(KEPT_MS * 1_000).unwrap_or(i64::MAX));
                let forget = sqlx::query(queries::FORGET_LINKS).bind(before);
                forget.execute(&mut *connection).await.map_err(|e| database("forget links", e))?;
                let query = sqlx::query(queries::INSERT_LINK)
                    .bind(link.hash.as_slice())
                    .bind(link.execution_id.as_ref())
                    .bind(signed(link.call.0))
                    .bind(link.request_digest.as_ref())
                    .bind(link.option_id.as_deref())
                    .bind(link.name.as_ref())
                    .bind(link.owner.as_ref())
                    .bind(link.made_by.as_ref())
                    .bind(link.created_at.0)
                    .bind(link.expires_at.0)
                    .bind(LINKS_MAX);
                let done = query.execute(&mut *connection).await.map_err(|e| database("make a link", e))?;
                if done.rows_affected() > 0 {
                    audit::record(connection, &[audit]).await?;
                }
                Ok(done.rows_affected() > 0)
            })
        })
        .await
    }

    /// The link with this hash.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn link(&self, hash: &LinkHash) -> Result<Option<LinkRow>, StoreError> {
        let query = sqlx::query(queries::LINK).bind(hash.as_slice());
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read a link", e))?;
        row.as_ref().map(link).transpose()
    }

    /// Every link to a question that is kept, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn links(&self, execution_id: &str, call: CallId) -> Result<Vec<LinkRow>, StoreError> {
        let query = sqlx::query(queries::LINKS).bind(execution_id).bind(signed(call.0));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("read links", e))?;
        let mut links = rows.iter().map(link).collect::<Result<Vec<LinkRow>, StoreError>>()?;
        links.sort_by_key(|link| (link.created_at, link.hash));
        Ok(links)
    }

    /// Takes a link back: nobody decides with it any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is none, or it was taken back before; the database cannot be written.
    pub async fn revoke_link(&self, hash: LinkHash) -> Result<(), StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::REVOKE_LINK).bind(now().0).bind(hash.as_slice());
                let done = query.execute(connection).await.map_err(|e| database("revoke a link", e))?;
                let missing = || StoreError::NotFound { noun: "link", name: hex(&hash[..ID_BYTES]) };
                if done.rows_affected() > 0 { Ok(()) } else { Err(missing()) }
            })
        })
        .await
    }
}

fn link(row: &SqliteRow) -> Result<LinkRow, StoreError> {
    let mut columns = Columns::new(row, "a link");
    let stored: &[u8] = columns.next()?;
    let hash = LinkHash::try_from(stored).map_err(|_| columns.corrupt("the hash has another length"))?;
    Ok(LinkRow {
        hash,
        execution_id: columns.text()?,
        call: columns.call()?,
        request_digest: columns.text()?,
        option_id: columns.text_or_none()?,
        name: columns.text()?,
        owner: columns.text()?,
        made_by: columns.text()?,
        created_at: columns.time()?,
        expires_at: columns.time()?,
        used_at: columns.time_or_none()?,
        revoked_at: columns.time_or_none()?,
    })
}
