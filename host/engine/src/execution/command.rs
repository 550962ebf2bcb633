//! What the engine wants to be in flight.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    definition::AgentTool,
    graph::Target,
    id::{CallId, Timestamp},
    json::Json,
};

/// An effect that must be in flight.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Call a tool or an agent: [`Execution::plugin_call`](super::Execution::plugin_call) tells with what.
    RunPlugin {
        /// The call.
        call: CallId,
        /// Its attempt, from 0.
        attempt: u32,
    },
    /// Send [`Input::TimeReached`](super::Input::TimeReached) then; the earliest time that matters.
    SetTimer {
        /// When.
        due: Timestamp,
    },
    /// Ask a person.
    AskHuman {
        /// The wait.
        call: CallId,
        /// The step's path.
        path: Arc<str>,
        /// What to show.
        request: Json,
        /// When the question lapses.
        due: Option<Timestamp>,
    },
    /// Send [`Input::Continue`](super::Input::Continue): there is more to decide than one step may.
    Continue,
}

/// A plugin call to make.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginCall {
    /// The call.
    pub call: CallId,
    /// Its attempt, from 0.
    pub attempt: u32,
    /// How many attempts have failed: those that only a stop of the host cut short go on from what they did.
    pub generation: u32,
    /// Whether it was running before, and did something that its record knows.
    pub resumes: bool,
    /// The step's path.
    pub path: Arc<str>,
    /// What to call.
    pub target: Arc<Target>,
    /// The step's fixed configuration.
    pub config: Value,
    /// What an agent may call, beside what its plugin asks for and was granted.
    pub tools: Arc<[AgentTool]>,
    /// What to work on.
    pub input: Json,
    /// The step's own time limit.
    pub timeout_ms: Option<u64>,
    /// When the result is of no use any more: the tightest deadline around the step.
    pub deadline: Option<Timestamp>,
    /// The tightest fuel limit around the step.
    pub fuel: Option<u64>,
    /// The tightest memory limit around the step.
    pub memory_bytes: Option<u64>,
}
