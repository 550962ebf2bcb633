//! Links to questions as clients see them: never with their tokens.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::id::Timestamp;

use super::Time;
use crate::store::LinkRow;

/// A link with which somebody can decide a question once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LinkSummary {
    /// Its id.
    pub id: String,
    /// Whom it is for.
    pub name: String,
    /// The only option that it may choose.
    pub option_id: Option<String>,
    /// `open`, `used`, `revoked` or `expired`. An open link to a question that is closed is of no use either.
    pub status: &'static str,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub created_at: Time,
    /// When it expires.
    pub expires_at: Time,
    /// When somebody decided with it.
    pub used_at: Option<Time>,
    /// When it was taken back.
    pub revoked_at: Option<Time>,
}

impl LinkSummary {
    /// The link as it is at this time.
    pub(crate) fn new(link: &LinkRow, now: Timestamp) -> Self {
        let status = match link {
            LinkRow { used_at: Some(_), .. } => "used",
            LinkRow { revoked_at: Some(_), .. } => "revoked",
            LinkRow { expires_at, .. } if *expires_at <= now => "expired",
            LinkRow { .. } => "open",
        };
        Self {
            id: link.id(),
            name: link.name.to_string(),
            option_id: link.option_id.as_deref().map(str::to_owned),
            status,
            made_by: link.made_by.to_string(),
            created_at: Time(link.created_at),
            expires_at: Time(link.expires_at),
            used_at: link.used_at.map(Time),
            revoked_at: link.revoked_at.map(Time),
        }
    }
}
