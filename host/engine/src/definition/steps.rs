//! Steps as authors write them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::diagnostic::Place;
use crate::{
    approvers::Approvers,
    event::StepType,
    graph::{OnTimeout, Retry},
    limits::Limits,
};

/// A step as its author means it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDefinition {
    /// Its id; empty where there is none that can be used.
    pub id: Arc<str>,
    /// Its name for people.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it does; `None` where that cannot be read.
    pub kind: Option<StepKind>,
    /// Where its scope goes after it.
    pub next: Destination,
    /// How often and when to try again.
    pub retry: Option<Retry>,
    /// What a failure for good leads to.
    pub on_error: OnErrorDefinition,
    /// Its own guardrails.
    pub guardrails: Limits,
    pub(crate) place: Place,
}

impl StepDefinition {
    /// Where it stands in the definition: a JSON pointer.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.place.pointer
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Calls a tool.
    Tool {
        /// Its name as written.
        tool: String,
        /// Its arguments: a template.
        arguments: Value,
        /// Where the arguments are: a member's name.
        arguments_field: &'static str,
    },
    /// Calls an agent.
    Agent {
        /// Its name as written.
        agent: String,
        /// What it is asked: a template, usually a text.
        prompt: Value,
        /// Where the prompt is: a member's name.
        prompt_field: &'static str,
        /// Settings for the agent, taken as they are.
        config: Map<String, Value>,
    },
    /// Chooses where to go.
    Condition {
        /// What is asked, as written.
        condition: Value,
        /// Where to go if it holds.
        then: Destination,
        /// Where to go if not.
        otherwise: Destination,
    },
    /// Asks a person.
    Human {
        /// The question: a template.
        notification: Value,
        /// Where notices go.
        channels: Vec<String>,
        /// When the question lapses, in milliseconds.
        timeout_ms: Option<u64>,
        /// What then.
        on_timeout: OnTimeout,
        /// What may be chosen.
        options: Vec<HumanOptionDefinition>,
        /// JSON Schema of the answer's data.
        form_schema: Option<Value>,
        /// Who may decide.
        approvers: Approvers,
    },
    /// Runs branches beside each other.
    Parallel {
        /// Each a list of steps.
        branches: Vec<Vec<StepDefinition>>,
        /// How many run at a time.
        max_concurrency: Option<u32>,
        /// Whether the first failure ends all.
        fail_fast: bool,
    },
    /// Runs steps once for each item.
    Loop {
        /// Where the items are, as written.
        items: String,
        /// What the item is called.
        item_variable: Arc<str>,
        /// The most items that run.
        max_iterations: u32,
        /// How many run at a time.
        max_concurrency: u32,
        /// The steps.
        steps: Vec<StepDefinition>,
        /// Whether a failed iteration fails the step.
        fail: bool,
    },
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct HumanOptionDefinition {
    /// Its id.
    pub id: String,
    /// Its words.
    pub label: String,
    /// Where the scope goes if it is chosen.
    pub next: Destination,
    pub(crate) place: Place,
}

/// Where a scope goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destination {
    /// Nothing is said: to what comes next.
    #[default]
    Following,
    /// Out of the block: `"$end"` or `null`.
    End,
    /// To the step with this id.
    Step(String),
}

/// What a failure for good leads to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnErrorDefinition {
    /// The scope fails.
    #[default]
    Fail,
    /// The scope goes on after the step.
    Continue,
    /// The scope goes on elsewhere.
    Goto(Destination),
}

impl StepKind {
    /// The type as authors name it.
    #[must_use]
    pub fn step_type(&self) -> StepType {
        match self {
            Self::Tool { .. } => StepType::Tool,
            Self::Agent { .. } => StepType::Agent,
            Self::Condition { .. } => StepType::Condition,
            Self::Human { .. } => StepType::Human,
            Self::Parallel { .. } => StepType::Parallel,
            Self::Loop { .. } => StepType::Loop,
        }
    }
}
