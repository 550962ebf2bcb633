//! What is wrong, or odd, about a definition: data for people and programs.

use serde::{Deserialize, Serialize};

/// The most diagnostics that are kept of one definition.
pub const DIAGNOSTICS_MAX: usize = 1_000;

/// Whether a definition can run with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It can run, and may not do what was meant.
    Warning,
}

/// What kind of problem. Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiagnosticCode {
    /// A value of the wrong JSON type.
    InvalidType,
    /// A value that its field does not take.
    InvalidValue,
    /// A field that must be there is not.
    MissingField,
    /// A field that means nothing here; it is kept and ignored.
    UnknownField,
    /// A field is given under two of its names; one is ignored.
    DuplicateField,
    /// More of something than allowed.
    TooMany,
    /// Steps or conditions nested deeper than allowed.
    TooDeep,
    /// A list that must hold something is empty.
    Empty,
    /// A step id that is not written as ids are.
    InvalidId,
    /// Two steps with one id.
    DuplicateId,
    /// A name that means something else already.
    ReservedName,
    /// None of the six step types.
    UnknownStepType,
    /// None of the five trigger types.
    UnknownTriggerType,
    /// A guardrail that is no amount.
    InvalidGuardrail,
    /// A condition that is put together wrongly.
    InvalidCondition,
    /// No such operator.
    UnknownOperator,
    /// A text that starts as a reference and is none.
    InvalidReference,
    /// A reference without its `$.`; it is read as if it had one.
    ImpliedReference,
    /// A jump to a step that does not exist.
    UnknownStep,
    /// A jump to a step of another block.
    StepInOtherBlock,
    /// A step that nothing leads to.
    UnreachableStep,
    /// A reference to a name that nothing has.
    UnknownReference,
    /// A reference to a step that cannot have run before, or that cannot be seen from here.
    ReferenceNeverAvailable,
    /// A reference to a step that may have been passed over.
    ReferenceMaybeUnavailable,
    /// No plugin offers the tool.
    UnknownTool,
    /// No plugin offers the agent.
    UnknownAgent,
    /// Several plugins offer it.
    AmbiguousName,
    /// An agent where a tool is called, or a tool where an agent is.
    WrongKind,
    /// Arguments that the plugin's schema refuses.
    InvalidArguments,
    /// A text that holds a secret's value.
    SecretValue,
}

/// One problem, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether a definition can run with it.
    pub severity: Severity,
    /// JSON pointer into the definition.
    pub field: String,
    /// A lowercase fragment: what is wrong, and what to do.
    pub message: String,
    /// The step, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
    /// What kind of problem.
    pub code: DiagnosticCode,
}

impl Diagnostic {
    /// Whether a definition cannot run with it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Collects problems, up to [`DIAGNOSTICS_MAX`].
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: usize,
    omitted: usize,
}

impl Diagnostics {
    /// Reports what a definition cannot run with.
    pub fn error(&mut self, at: &Place, code: DiagnosticCode, message: impl Into<String>) {
        self.errors += 1;
        self.push(Severity::Error, at, code, message.into());
    }

    /// Reports what should be looked at.
    pub fn warning(&mut self, at: &Place, code: DiagnosticCode, message: impl Into<String>) {
        self.push(Severity::Warning, at, code, message.into());
    }

    fn push(&mut self, severity: Severity, at: &Place, code: DiagnosticCode, message: String) {
        if self.list.len() >= DIAGNOSTICS_MAX {
            self.omitted += 1;
            return;
        }
        let (field, step_id) = (at.pointer.clone(), at.step_id.clone());
        self.list.push(Diagnostic { severity, field, message, step_id, code });
    }

    /// Whether an error was reported.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Errors first, each kind in the order of discovery.
    #[must_use]
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.severity);
        if self.omitted > 0 {
            let severity = if self.errors > 0 { Severity::Error } else { Severity::Warning };
            let message = format!("{} more problems are not listed", self.omitted);
            let code = DiagnosticCode::TooMany;
            self.list.push(Diagnostic { severity, field: String::new(), message, step_id: None, code });
        }
        self.list
    }
}

/// A place in a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// JSON pointer into the definition.
    pub pointer: String,
    /// The step that the place is in.
    pub step_id: Option<String>,
}

impl Place {
    /// The place one step down: a member or an item.
    #[must_use]
    pub fn at(&self, token: impl std::fmt::Display) -> Self {
        let token = token.to_string().replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{token}", self.pointer), step_id: self.step_id.clone() }
    }

    /// The place that `pointer` leads to from here.
    #[must_use]
    pub fn below(&self, pointer: &str) -> Self {
        Self { pointer: format!("{}{pointer}", self.pointer), step_id: self.step_id.clone() }
    }
}
