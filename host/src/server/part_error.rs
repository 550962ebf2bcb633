//! Errors of the host's parts as problems: what the client can mend is named, the rest is internal.

use super::{
    error::{ApiError, Code, FieldProblem},
    schemas,
};
use crate::{
    accounts::AccountError,
    driver::{CompileError, SignalError, StartError},
    runtime::UploadError,
    store::StoreError,
    trigger::FireError,
};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NameTaken { .. } | StoreError::Taken { .. } => Code::NameTaken,
            StoreError::TooMany { .. } => Code::TooMany,
            StoreError::VersionConflict { .. } => Code::VersionConflict,
            StoreError::PathTaken { .. } => Code::PathTaken,
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
        "trigger" => Code::TriggerNotFound,
        "approval" => Code::ApprovalNotFound,
        "link" => Code::LinkNotFound,
        "token" => Code::TokenNotFound,
        "user" => Code::UserNotFound,
        "secret" => Code::SecretNotFound,
        "budget" => Code::BudgetNotFound,
        "delivery" => Code::DeliveryNotFound,
        _ => Code::ExecutionNotFound,
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let code = match error {
            AccountError::Name | AccountError::NoRoles | AccountError::Password | AccountError::Expired => {
                Code::InvalidFields
            }
            AccountError::SignIn => Code::SignInFailed,
            AccountError::WrongPassword => Code::WrongPassword,
            AccountError::Throttled(wait) => {
                return Self::new(Code::TooManyAttempts, error.to_string()).retry_after(wait);
            }
            AccountError::Busy => Code::Unavailable,
            AccountError::Store(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Overloaded(_) | StartError::Stopping | StartError::Lost => {
                Self::new(Code::Unavailable, error.to_string())
            }
            StartError::Taken => Self::new(Code::AlreadyStarted, error.to_string()),
            StartError::TreeFull { .. } => Self::new(Code::TooMany, error.to_string()),
            StartError::Tree(_) => Self::internal(anyhow::Error::new(error)),
            StartError::Compile(error) => error.into(),
            StartError::Store(error) => error.into(),
        }
    }
}

impl From<FireError> for ApiError {
    fn from(error: FireError) -> Self {
        let detail = error.to_string();
        match error {
            FireError::Taken { execution_id } => Self::new(Code::AlreadyStarted, detail)
                .with_details(serde_json::json!({ "execution_id": execution_id })),
            FireError::Inactive { .. } => Self::new(Code::WorkflowInactive, detail),
            FireError::InvalidInput { problems, .. } => Self::new(Code::InvalidInput, detail)
                .with_errors(schemas::in_body(problems, "/input_data", "schema_violation")),
            FireError::Start(error) => error.into(),
        }
    }
}

impl From<SignalError> for ApiError {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::NotFound(_) => Self::new(Code::ExecutionNotFound, error.to_string()),
            SignalError::Ended(status) => Self::new(Code::ExecutionEnded, error.to_string())
                .with_details(serde_json::json!({ "status": status.as_str() })),
            SignalError::Stopping | SignalError::Resting { .. } => Self::new(Code::Unavailable, error.to_string()),
            SignalError::Load { .. } => Self::internal(error),
            SignalError::Store(error) => error.into(),
        }
    }
}

impl From<CompileError> for ApiError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Invalid { ref diagnostics, .. } => {
                let problems = diagnostics.iter().cloned().map(FieldProblem::from).collect();
                Self::new(Code::InvalidWorkflow, error.to_string()).with_errors(problems)
            }
            CompileError::NotFound { .. } => Self::new(Code::WorkflowNotFound, error.to_string()),
            CompileError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let code = match &error {
            UploadError::TooLarge(_) => Code::BodyTooLarge,
            UploadError::Busy => Code::Unavailable,
            UploadError::Internal(_) => return Self::internal(error),
            UploadError::NotWasm(_)
            | UploadError::CoreModule
            | UploadError::Precompiled
            | UploadError::Malformed(_)
            | UploadError::TooComplex(_)
            | UploadError::Interface(_)
            | UploadError::CompileLimit(_)
            | UploadError::Compile(_)
            | UploadError::Describe(_)
            | UploadError::Descriptor(_) => Code::InvalidPlugin,
        };
        let problems = error.problems().into_iter().map(|problem| FieldProblem::new("", error.code(), problem));
        Self::new(code, error.to_string()).with_errors(problems.collect())
    }
}
