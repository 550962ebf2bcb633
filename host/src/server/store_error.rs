//! Errors of the store as problems: what the client can mend is named, the rest is internal.

use super::error::{ApiError, Code};
use crate::store::StoreError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NameTaken { .. } => Code::NameTaken,
            StoreError::VersionTaken { .. } => Code::PluginVersionTaken,
            StoreError::InUse { .. } => Code::PluginInUse,
            StoreError::NotFound { noun, .. } => not_found(noun),
            StoreError::TooLarge { .. } => Code::BodyTooLarge,
            StoreError::Full => Code::StorageFull,
            StoreError::Busy | StoreError::Closed => Code::Unavailable,
            StoreError::File { .. }
            | StoreError::AlreadyOpen { .. }
            | StoreError::SqliteTooOld { .. }
            | StoreError::Migrate(_)
            | StoreError::Conflict { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Database { .. } => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

fn not_found(noun: &str) -> Code {
    match noun {
        "workflow" => Code::WorkflowNotFound,
        "plugin" => Code::PluginNotFound,
        "approval" => Code::ApprovalNotFound,
        _ => Code::ExecutionNotFound,
    }
}
