//! What events are made of.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    graph::Target,
    id::Timestamp,
    json::Json,
    limits::{Amounts, Limits},
};

/// What an execution is pinned to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The execution's own id, for `$.workflow.execution_id`.
    pub execution_id: Arc<str>,
    /// The workflow's id.
    pub workflow_id: Arc<str>,
    /// Its name at the start.
    pub workflow_name: Arc<str>,
    /// The version that runs.
    pub workflow_version: u32,
    /// What started it: an object with at least `type`.
    pub trigger: Json,
    /// What it was given.
    pub input: Json,
    /// The limits in force: the workflow's, tightened by the caller and the host.
    pub limits: Limits,
    /// When its time is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What each name that a step calls resolved to.
    pub targets: Arc<BTreeMap<String, Arc<Target>>>,
}

/// The six types of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepType {
    /// Calls a tool.
    Tool,
    /// Calls an agent.
    Agent,
    /// Chooses where to go.
    Condition,
    /// Asks a person.
    Human,
    /// Runs branches beside each other.
    Parallel,
    /// Runs a block once for each item.
    Loop,
}

impl StepType {
    /// The type as authors write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Agent => "agent",
            Self::Condition => "condition",
            Self::Human => "human",
            Self::Parallel => "parallel",
            Self::Loop => "loop",
        }
    }
}

/// What kind of work a step began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A tool or an agent is called.
    Call {
        /// What it is given.
        input: Json,
    },
    /// A condition was evaluated; the result is its output.
    Condition {
        /// Comparisons that made no sense: the result was false.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// A person is asked.
    Human {
        /// What the person is shown: notification, options, form; references are resolved.
        request: Json,
        /// When the question lapses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// Branches run beside each other.
    Parallel,
    /// A block runs once for each item.
    Loop {
        /// The items that run.
        items: Json,
        /// How many there are.
        count: u32,
        /// How many more there were than `max_iterations` allows.
        #[serde(default)]
        omitted: u64,
    },
    /// Nothing could begin: the next event says why (a reference that selects nothing, …).
    Nothing,
}

impl Work {
    /// The document that this work began with.
    pub(super) fn document(&self) -> Option<&Json> {
        match self {
            Self::Call { input } => Some(input),
            Self::Human { request, .. } => Some(request),
            Self::Loop { items, .. } => Some(items),
            Self::Condition { .. } | Self::Parallel | Self::Nothing => None,
        }
    }
}

/// A step of a scope that was never reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The step's id.
    pub step: Arc<str>,
    /// The path it would have had.
    pub path: Arc<str>,
}

/// Where a scope goes after a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// To this step of the same block.
    Step(Arc<str>),
    /// Out of the block.
    End,
}

/// What follows a step's failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterFailure {
    /// The scope fails with it.
    Fail,
    /// The scope goes on; the step's output is `{"error": …}`.
    Continue(Next),
}

/// A person's answer to a human step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The option that was chosen; `None` where the step offers none.
    pub option_id: Option<String>,
    /// Words to go with it.
    pub comment: Option<String>,
    /// The form's data.
    pub data: Option<Json>,
    /// Who decided.
    pub decided_by: String,
    /// When, as RFC 3339: made by the host, for the step's output.
    pub decided_at: String,
    /// SHA-256 of the text that was shown, in hex: what the answer is an answer to. Set by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
}

/// What a call told and cost, beside its result.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What the step itself used, nested steps not included; set by the engine when the step ends.
    #[serde(skip_serializing_if = "Amounts::is_none")]
    pub usage: Amounts,
    /// Fuel used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Log lines of the plugin, in order, capped by the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogLine>,
    /// What should be looked at though the step went on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report {
    pub(super) fn bytes(&self) -> usize {
        self.logs.iter().map(|line| line.message.len() + line.level.len()).sum()
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The text, without control characters.
    pub message: String,
}
