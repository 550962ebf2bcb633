//! Links with which somebody can decide one question once. What the link holds is a token; here is only its hash.

use std::sync::Arc;

use weir_engine::id::{CallId, Timestamp};

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    columns::{Columns, signed},
    error::database,
    now, queries,
};

/// The most links to one question.
pub const LINKS_MAX: u32 = 200;
/// How long links are kept after they expired, so that their holders are told what became of the question.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;

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
        let Some(row) = row else { return Ok(None) };
        let mut columns = Columns::new(&row, "a link");
        let stored: &[u8] = columns.next()?;
        let hash = LinkHash::try_from(stored).map_err(|_| columns.corrupt("the hash has another length"))?;
        Ok(Some(LinkRow {
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
        }))
    }
}
