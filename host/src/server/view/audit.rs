//! The audit log as clients see it.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Time;
use crate::store::{AuditRow, Verified};

/// What somebody did, or tried.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditView {
    /// The row's number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// Who: `user:alice`, `token:ci`, `trigger:…`, `admin`, `anonymous`.
    pub actor: String,
    /// What: `workflow.create`, `session.create`, …
    pub act: String,
    /// To what.
    pub object: Option<String>,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// What else matters.
    #[schema(value_type = Option<Object>)]
    pub details: Option<Box<RawValue>>,
    /// The hash that chains the row to the one before.
    pub hash: String,
}

/// What a check of the whole audit log found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VerifiedView {
    /// Whether every row is as it was written.
    pub sound: bool,
    /// Rows that are as they were written.
    pub rows: u64,
    /// The hash of the last of them: kept elsewhere, it shows later that the end was not cut off.
    pub head: String,
    /// The first row that is not as it was written, or that is missing.
    pub broken_at: Option<u64>,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        Self {
            seq: row.seq,
            at: Time(row.at),
            actor: row.actor,
            act: row.act,
            object: row.object,
            outcome: row.outcome,
            details: row.details.and_then(|details| RawValue::from_string(details).ok()),
            hash: row.hash,
        }
    }
}

impl From<Verified> for VerifiedView {
    fn from(found: Verified) -> Self {
        let Verified { rows, head, broken_at } = found;
        Self { sound: broken_at.is_none(), rows, head, broken_at }
    }
}
