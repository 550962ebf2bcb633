//! Tokens, users and sessions as clients see them: never with a secret or its hash, but for a token once.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::{
    accounts::MadeToken,
    identity::{Kind, Principal, Role, Roles},
    store::{TokenRow, UserRow},
};

/// A token without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its holder may do.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: String,
    /// From when on it is of no use; null for never.
    pub expires_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// When it was last used.
    pub last_used_at: Option<Time>,
}

/// A token that was made.
#[derive(Clone, Serialize, ToSchema)]
pub struct MadeTokenView {
    /// The token.
    #[serde(flatten)]
    pub row: TokenView,
    /// What its holder sends as `Authorization: Bearer …`. It is shown this once.
    pub token: String,
}

/// A user.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserView {
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// Whether they may not come in.
    pub disabled: bool,
    /// When they were added.
    pub created_at: Time,
    /// Who added them.
    pub created_by: String,
}

/// Whoever asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionView {
    /// `admin_token`, `token` or `user`.
    pub kind: &'static str,
    /// Their name.
    pub name: String,
    /// As whom the audit log knows them.
    pub actor: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// When the session ends at the latest, where it is one.
    pub expires_at: Option<Time>,
}

fn list(roles: Roles) -> Vec<Role> {
    roles.iter().collect()
}

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id.as_ref().to_owned(),
            name: row.name.as_ref().to_owned(),
            roles: list(row.roles),
            created_at: Time(row.created_at),
            created_by: row.created_by,
            expires_at: row.expires_at.map(Time),
            revoked_at: row.revoked_at.map(Time),
            last_used_at: row.last_used_at.map(Time),
        }
    }
}

impl From<MadeToken> for MadeTokenView {
    fn from(made: MadeToken) -> Self {
        Self { row: made.row.into(), token: made.secret }
    }
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.as_ref().to_owned(),
            name: row.name.as_ref().to_owned(),
            roles: list(row.roles),
            disabled: row.disabled,
            created_at: Time(row.created_at),
            created_by: row.created_by,
        }
    }
}

impl SessionView {
    /// Whoever asks, in a session that ends then.
    #[must_use]
    pub fn new(who: &Principal, expires_at: Option<Time>) -> Self {
        let kind = match who.kind {
            Kind::AdminToken => "admin_token",
            Kind::Token(_) => "token",
            Kind::User(_) => "user",
            Kind::Link => "link",
            Kind::Trigger(_) => "trigger",
        };
        Self { kind, name: who.name.as_ref().to_owned(), actor: who.actor(), roles: list(who.roles), expires_at }
    }
}
