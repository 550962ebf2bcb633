//! What runs: a definition after compilation. Names are resolved, targets are indices, templates are parsed.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    approvers::Approvers,
    condition::Condition,
    definition::AgentTool,
    limits::Limits,
    reference::{Reference, Template},
};

/// Index of a step in [`Graph::steps`].
pub type StepIx = usize;
/// Index of a block in [`Graph::blocks`].
pub type BlockIx = usize;

/// The most steps a workflow may have, nested ones included.
pub const STEPS_MAX: usize = 500;
/// How many parallel steps and loops may stand around a step.
pub const DEPTH_MAX: usize = 32;
/// The most branches of one parallel step, and the most iterations of one loop at a time.
pub const FAN_OUT_MAX: usize = 64;
/// The most scopes that nested parallel steps and loops may open beside each other: their windows multiplied.
pub const OPEN_SCOPES_MAX: usize = 4_096;
/// `max_iterations` where the author says nothing.
pub const ITERATIONS_DEFAULT: u32 = 10_000;
/// The most iterations an author may allow.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// `max_steps` where the author says nothing.
pub const MAX_STEPS_DEFAULT: u64 = 10_000;

/// A compiled definition. Block 0 is the workflow's own list of steps.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The workflow's name.
    pub name: Arc<str>,
    /// Every step, nested ones too, in the order they were written.
    pub steps: Vec<Step>,
    /// Every list of steps.
    pub blocks: Vec<Block>,
    /// Steps by id.
    pub by_id: BTreeMap<Arc<str>, StepIx>,
    /// The workflow's guardrails; `max_steps` is always set.
    pub limits: Limits,
    /// What the execution's output is made from.
    pub output: Option<Template>,
    /// The schema that `input_data` must satisfy.
    pub input_schema: Option<Value>,
    /// What each written tool or agent name resolved to.
    pub targets: BTreeMap<String, Target>,
}

/// A list of steps with one cursor.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its steps, in order; never empty but for an empty branch.
    pub steps: Vec<StepIx>,
}

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The author's id.
    pub id: Arc<str>,
    /// The block it stands in.
    pub block: BlockIx,
    /// What it does.
    pub kind: Kind,
    /// Where its scope goes after it.
    pub next: Jump,
    /// How often and when to try again.
    pub retry: Option<Retry>,
    /// What a failure for good leads to.
    pub on_error: OnError,
    /// Its own guardrails.
    pub limits: Limits,
}

/// Where to go within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// To this step.
    To(StepIx),
    /// Out of the block.
    End,
}

/// What a failure for good leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The scope fails.
    Fail,
    /// The scope goes on after the step.
    Continue,
    /// The scope goes on elsewhere.
    Goto(Jump),
}

/// How often and when to try again. Attempts are due after `initial_interval_ms × backoff^(n-1)`, at most
/// `max_interval_ms`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// All attempts, the first one included: 1 to 100.
    pub max_attempts: u32,
    /// Wait before the second attempt.
    pub initial_interval_ms: u64,
    /// Factor from wait to wait, 1 to 100.
    pub backoff: f64,
    /// Longest wait.
    pub max_interval_ms: u64,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Calls a tool.
    Tool(Invocation),
    /// Calls an agent.
    Agent(Invocation),
    /// Chooses where to go.
    Condition {
        /// What is asked.
        condition: Condition,
        /// Where to go if it holds.
        then: Jump,
        /// Where to go if not.
        otherwise: Jump,
    },
    /// Asks a person.
    Human(Box<Human>),
    /// Runs branches beside each other.
    Parallel {
        /// One block a branch.
        branches: Vec<BlockIx>,
        /// How many run at a time, from 1.
        max_concurrency: u32,
        /// Whether the first failure ends all; else the step fails when all have ended.
        fail_fast: bool,
    },
    /// Runs a block once for each item.
    Loop {
        /// Where the items are.
        items: Reference,
        /// The name of the item in the body's scope.
        item_variable: Arc<str>,
        /// The most items that run.
        max_iterations: u32,
        /// How many run at a time, from 1.
        max_concurrency: u32,
        /// The body.
        body: BlockIx,
        /// Whether a failed iteration fails the step; else its result is `{"error": …}`.
        fail: bool,
    },
}

impl Kind {
    /// The call that a tool or agent step makes.
    pub(crate) fn invocation(&self) -> Option<&Invocation> {
        match self {
            Self::Tool(invocation) | Self::Agent(invocation) => Some(invocation),
            Self::Condition { .. } | Self::Human(_) | Self::Parallel { .. } | Self::Loop { .. } => None,
        }
    }
}

/// A call of a tool or an agent.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The name as written; [`Graph::targets`] says what it is.
    pub name: String,
    /// What the plugin is given.
    pub input: Template,
    /// The step's fixed configuration for the plugin (an agent's `agent_config`), as it was written.
    pub config: Value,
    /// What an agent may call, beside what its plugin asks for and was granted.
    pub tools: Arc<[AgentTool]>,
    /// What the agent's settings let it use; the step's limits hold it.
    pub limits: Limits,
}

/// What a person is asked.
#[derive(Debug, Clone)]
pub struct Human {
    /// The question.
    pub notification: Template,
    /// Where notices go (`ui`, `email`, …).
    pub channels: Vec<String>,
    /// When the question lapses, in milliseconds from the start of the wait.
    pub timeout_ms: Option<u64>,
    /// What then.
    pub on_timeout: OnTimeout,
    /// What may be chosen; empty: any answer goes on.
    pub options: Vec<HumanOption>,
    /// JSON Schema that the answer's data must satisfy.
    pub form_schema: Option<Value>,
    /// Who may decide, and how many it takes.
    pub approvers: Approvers,
}

/// What a human step does when nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// The step completes with `{"timed_out": true}`.
    Continue,
    /// The step fails.
    Fail,
    /// The step is marked skipped, and its scope goes on.
    Skip,
}

/// One thing to choose.
#[derive(Debug, Clone)]
pub struct HumanOption {
    /// Its id.
    pub id: String,
    /// Its words.
    pub label: String,
    /// Where the scope goes if it is chosen; `None`: the step's own next.
    pub next: Option<Jump>,
}

/// What a tool or agent name resolved to: exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version, for people.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// The tool's or agent's own name.
    pub name: String,
    /// Whether it is an agent.
    #[serde(default)]
    pub agent: bool,
    /// The time, fuel and memory that one call wants where nobody says otherwise; guardrails can only lower it.
    #[serde(default, skip_serializing_if = "Wants::is_nothing")]
    pub wants: Wants,
    /// The tools that an agent may call, by the name it uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, Target>,
}

/// What one call of a plugin wants to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wants {
    /// Wall time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Fuel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl Wants {
    /// Whether the host's defaults will do.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Graph {
    /// The block that runs first.
    pub const ROOT: BlockIx = 0;

    /// The id of a step.
    #[must_use]
    pub fn id(&self, step: StepIx) -> &Arc<str> {
        &self.steps[step].id
    }
}
