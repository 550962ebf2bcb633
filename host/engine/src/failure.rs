//! Failures of steps: data in the log, not errors of our code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::json::Json;

/// Every way a step or an execution can fail. Closed: a new way is a new release, and every `match` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The plugin refused its input.
    InvalidInput,
    /// A power was used that was not granted.
    Denied,
    /// Something the plugin needs cannot be reached at the moment.
    Unavailable,
    /// The plugin did its work, and the work failed.
    Failed,
    /// A failure with a code of the plugin's own, which is in `details.code`.
    PluginFailure,
    /// The call used up its fuel.
    FuelExhausted,
    /// The call, the step or the execution took longer than allowed.
    Timeout,
    /// The call wanted more memory than allowed.
    MemoryLimit,
    /// The call wanted more instances, tables or handles than allowed.
    ResourceLimit,
    /// The call recursed too deep.
    StackOverflow,
    /// The plugin panicked, reached `unreachable` or exited.
    PluginTrap,
    /// The plugin's answer, or what a step put together, is larger than allowed.
    OutputTooLarge,
    /// The plugin's answer is not JSON as we accept it.
    InvalidOutput,
    /// The call used the host's functions more often than allowed.
    HostCallLimit,
    /// The plugin or tool is not installed.
    PluginNotFound,
    /// The plugin is installed and switched off.
    PluginDisabled,
    /// A reference of this step selects nothing.
    ReferenceNotFound,
    /// The value that should be looped over is not an array.
    NotAnArray,
    /// A guardrail would have been passed.
    GuardrailExceeded,
    /// Nobody decided in time, and the step says that this is a failure.
    ApprovalTimeout,
    /// The agent did the same again and again, and got the same answer.
    LoopDetected,
    /// A call that was made again asked for something else than before, so its record does not fit it.
    Nondeterministic,
    /// The host stopped while the call was running.
    Interrupted,
    /// A fault of the host itself; its log tells more.
    Internal,
}

impl FailureCode {
    /// Whether another attempt may end differently. What the same input will always cause is not tried again.
    #[must_use]
    pub fn may_succeed_later(self) -> bool {
        match self {
            Self::Unavailable
            | Self::Failed
            | Self::PluginFailure
            | Self::Timeout
            | Self::PluginTrap
            | Self::Interrupted
            | Self::Internal => true,
            Self::InvalidInput
            | Self::Denied
            | Self::FuelExhausted
            | Self::MemoryLimit
            | Self::ResourceLimit
            | Self::StackOverflow
            | Self::OutputTooLarge
            | Self::InvalidOutput
            | Self::HostCallLimit
            | Self::PluginNotFound
            | Self::PluginDisabled
            | Self::ReferenceNotFound
            | Self::NotAnArray
            | Self::GuardrailExceeded
            | Self::ApprovalTimeout
            | Self::LoopDetected
            | Self::Nondeterministic => false,
        }
    }

    /// The code as it is stored and shown: `fuel_exhausted`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
            Self::PluginFailure => "plugin_failure",
            Self::FuelExhausted => "fuel_exhausted",
            Self::Timeout => "timeout",
            Self::MemoryLimit => "memory_limit",
            Self::ResourceLimit => "resource_limit",
            Self::StackOverflow => "stack_overflow",
            Self::PluginTrap => "plugin_trap",
            Self::OutputTooLarge => "output_too_large",
            Self::InvalidOutput => "invalid_output",
            Self::HostCallLimit => "host_call_limit",
            Self::PluginNotFound => "plugin_not_found",
            Self::PluginDisabled => "plugin_disabled",
            Self::ReferenceNotFound => "reference_not_found",
            Self::NotAnArray => "not_an_array",
            Self::GuardrailExceeded => "guardrail_exceeded",
            Self::ApprovalTimeout => "approval_timeout",
            Self::LoopDetected => "loop_detected",
            Self::Nondeterministic => "nondeterministic",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }
}

/// Why something failed: a stable code, a sentence for people, and what helps to mend it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub code: FailureCode,
    /// A lowercase fragment without period: what was attempted, on what, and what to do.
    pub message: String,
    /// The step where it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<Arc<str>>,
    /// That step's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Arc<str>>,
    /// Facts for programs: the limit and its value, the path that selected nothing, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Json>,
}

impl Failure {
    /// A failure without details.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), step_id: None, path: None, details: None }
    }

    /// The same failure, begun at a step; where it is known already, it stays.
    #[must_use]
    pub fn begun_at(mut self, step: &Arc<str>, path: &Arc<str>) -> Self {
        self.step_id.get_or_insert_with(|| step.clone());
        self.path.get_or_insert_with(|| path.clone());
        self
    }

    /// The same failure with `details`.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(Json::from_value(details));
        self
    }
}
