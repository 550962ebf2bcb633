//! Why there is no answer of a model.

use std::{borrow::Cow, fmt};

use serde_json::json;
use weir_engine::failure::{Failure, FailureCode};

use super::Attempt;

/// What stands in the way, and what kind of failure it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Problem {
    code: FailureCode,
    reason: Cow<'static, str>,
}

impl Problem {
    fn new(code: FailureCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The request, or the setting, makes no sense.
    pub(super) fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureCode::InvalidInput, reason)
    }

    /// A key is missing or not accepted, or the guard refuses the way.
    pub(super) fn denied(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureCode::Denied, reason)
    }

    /// It may work later.
    pub(super) fn unavailable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureCode::Unavailable, reason)
    }

    /// The exchange began and came to nothing.
    pub(super) fn failed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureCode::Failed, reason)
    }

    /// It took too long.
    pub(super) fn timeout(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureCode::Timeout, reason)
    }

    /// The answer is too large.
    pub(super) fn too_large(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureCode::OutputTooLarge, reason)
    }

    /// The same problem, with the place where it is.
    pub(super) fn at(self, place: &str) -> Self {
        Self { reason: format!("{place}: {}", self.reason).into(), ..self }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        self.code
    }
}

/// Why there is no answer: the reason, what was tried, and what it may have cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError {
    /// The alias that was asked.
    pub alias: String,
    /// Why there is no answer.
    pub problem: Problem,
    /// What was tried, in its order; empty if nothing was sent.
    pub attempts: Vec<Attempt>,
    /// Whether the provider may have worked, and count tokens that nobody has told us about. If not, nothing was used.
    pub may_have_cost: bool,
}

impl ModelError {
    pub(super) fn new(alias: &str, problem: Problem) -> Self {
        Self { alias: alias.to_owned(), problem, attempts: Vec::new(), may_have_cost: false }
    }

    /// The failure of the step, with what was tried in its details.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(self.problem.code, self.to_string());
        if self.attempts.is_empty() {
            return failure;
        }
        failure.with_details(json!({ "model": self.alias, "attempts": self.attempts }))
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not get an answer of the model {:?}: {}", self.alias, self.problem)?;
        match self.attempts.len() {
            0 | 1 => Ok(()),
            times => write!(f, " (tried {times} times)"),
        }
    }
}

impl std::error::Error for ModelError {}
