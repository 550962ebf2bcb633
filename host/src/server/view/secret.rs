//! Secrets as clients see them: never with a value.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::store::UserSecretRow;

/// A secret for plugins and models, without its value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserSecretView {
    /// Its name.
    pub name: String,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
    /// When it was first set.
    pub created_at: Time,
    /// Who set it last.
    pub set_by: String,
    /// When its value was replaced last.
    pub rotated_at: Option<Time>,
}

impl From<UserSecretRow> for UserSecretView {
    fn from(row: UserSecretRow) -> Self {
        Self {
            name: row.name.to_string(),
            hosts: row.hosts,
            created_at: Time(row.created_at),
            set_by: row.set_by,
            rotated_at: row.rotated_at.map(Time),
        }
    }
}
