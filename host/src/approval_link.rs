//! Links for one decision: the token that they hold, and whose right they use.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use weir_engine::id::Timestamp;

use crate::store::{ApprovalRow, AuditEntry, LinkHash, LinkRow, Store, StoreError, now};

/// How long a link is good where its question never lapses, in milliseconds.
const GOOD_MS: u64 = 7 * 24 * 3_600_000;
const PREFIX: &str = "wl_";

/// Whose right a link uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A user: what they may do is looked up when they decide.
    User(Arc<str>),
    /// Whoever reads a channel that the operator set up.
    Channel(Arc<str>),
    /// Somebody whom an administrator let in.
    Guest(Arc<str>),
}

impl Owner {
    /// The owner as it is stored.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::User(name) => format!("user:{name}"),
            Self::Channel(name) => format!("channel:{name}"),
            Self::Guest(name) => format!("guest:{name}"),
        }
    }

    /// The owner that was stored.
    #[must_use]
    pub fn read(written: &str) -> Option<Self> {
        let (kind, name) = written.split_once(':')?;
        match kind {
            "user" => Some(Self::User(name.into())),
            "channel" => Some(Self::Channel(name.into())),
            "guest" => Some(Self::Guest(name.into())),
            _ => None,
        }
    }

    /// The name under which the owner decides.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::User(name) | Self::Channel(name) | Self::Guest(name) => name,
        }
    }
}

/// What a link is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose right it uses.
    pub owner: Owner,
    /// The only option that it may choose.
    pub option_id: Option<Arc<str>>,
    /// Who makes it.
    pub made_by: String,
    /// When it is to expire, at the latest with its question.
    pub expires_at: Option<Timestamp>,
}

/// A link that was made. Nobody can read its token again.
#[derive(Debug, Clone)]
pub struct Made {
    /// The token.
    pub token: String,
    /// The id under which it is listed and taken back.
    pub id: String,
    /// When it is of no use any more.
    pub expires_at: Timestamp,
}

/// Makes a link for a question and keeps its hash; `None` where the question has too many.
///
/// # Errors
/// The store cannot be written.
pub async fn make(
    store: &Store,
    row: &ApprovalRow,
    wanted: Wanted,
    audit: AuditEntry,
) -> Result<Option<Made>, StoreError> {
    let token = new_token();
    let created_at = now();
    let latest = row.due.unwrap_or_else(|| created_at.plus_ms(GOOD_MS));
    let expires_at = wanted.expires_at.map_or(latest, |at| at.min(latest));
    let link = LinkRow {
        hash: hash(&token),
        execution_id: Arc::clone(&row.execution_id),
        call: row.call,
        request_digest: Arc::clone(&row.request_digest),
        option_id: wanted.option_id,
        name: Arc::clone(wanted.owner.name()),
        owner: wanted.owner.written().into(),
        made_by: wanted.made_by.into(),
        created_at,
        expires_at,
        used_at: None,
        revoked_at: None,
    };
    let id = link.id();
    Ok(store.make_link(link, audit).await?.then_some(Made { token, id, expires_at }))
}

/// The hash under which a token is kept; of anything, so that looking for it takes the same time.
#[must_use]
pub fn hash(token: &str) -> LinkHash {
    Sha256::digest(token.as_bytes()).into()
}

/// The path of a link.
#[must_use]
pub fn path(token: &str) -> String {
    format!("/approve/{token}")
}

/// 256 random bits.
fn new_token() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().fold(PREFIX.to_owned(), |mut token, byte| {
        token.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
        token
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn p2_tokens_are_long_and_never_the_same() {
        let tokens: BTreeSet<String> = (0..1_000).map(|_| new_token()).collect();
        assert_eq!(tokens.len(), 1_000);
        assert!(tokens.iter().all(|token| token.len() == PREFIX.len() + 64));
        assert_ne!(hash("a"), hash("b"));
    }

    #[test]
    fn owners_are_read_as_they_were_written() {
        for owner in [Owner::User("ann".into()), Owner::Channel("chat".into()), Owner::Guest("a:b@c".into())] {
            assert_eq!(Owner::read(&owner.written()), Some(owner));
        }
        assert_eq!(Owner::read("token:ci"), None);
    }
}
