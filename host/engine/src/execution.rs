//! The state of one execution, and the five things that can be done with it: start, replay, step, apply, commands.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    event::{Decision, Report},
    failure::Failure,
    graph::Target,
    id::{CallId, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded, Limits},
};

/// News from outside that the engine decides about. News about a call or an attempt that is not open is ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A plugin call ended well.
    CallSucceeded {
        /// Which call.
        call: CallId,
        /// Which attempt of it.
        attempt: u32,
        /// Its answer.
        output: Json,
        /// What it told and cost.
        report: Report,
    },
    /// A plugin call failed.
    CallFailed {
        /// Which call.
        call: CallId,
        /// Which attempt of it.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// What it told and cost.
        report: Report,
    },
    /// A person answered a human step.
    Decided {
        /// Which wait.
        call: CallId,
        /// The answer.
        decision: Decision,
    },
    /// The time that [`Command::SetTimer`] named has come.
    TimeReached,
    /// The execution was loaded from its log after the host stopped: calls that were running are made again.
    Recovered,
    /// [`Command::Continue`] was seen.
    Continue,
    /// A person or a rule stops the execution.
    Cancel {
        /// Who.
        cancelled_by: String,
        /// Why.
        reason: Option<String>,
    },
    /// A running call wants to spend: admitted as a whole or not at all. The same `n` again is admitted already.
    Reserve {
        /// Which call.
        call: CallId,
        /// Which effect of it, from 1.
        n: u32,
        /// How much.
        amounts: Amounts,
    },
    /// An effect that was reserved is over.
    Settle {
        /// Which call.
        call: CallId,
        /// Which effect of it.
        n: u32,
        /// What was used.
        used: Amounts,
    },
    /// A person raised the limits after a pause.
    Resume {
        /// The quantities to raise.
        limits: Limits,
        /// Who.
        decided_by: String,
    },
}

/// An effect that must be in flight.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Call a tool or an agent: [`Execution::plugin_call`] tells with what.
    RunPlugin {
        /// The call.
        call: CallId,
        /// Its attempt, from 0.
        attempt: u32,
    },
    /// Send [`Input::TimeReached`] then; the earliest time that matters.
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
    /// Send [`Input::Continue`]: there is more to decide than one step may.
    Continue,
}

/// A plugin call to make.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginCall {
    /// The call.
    pub call: CallId,
    /// Its attempt, from 0.
    pub attempt: u32,
    /// The step's path.
    pub path: Arc<str>,
    /// What to call.
    pub target: Target,
    /// The step's fixed configuration.
    pub config: Value,
    /// What to work on.
    pub input: Json,
    /// When the result is of no use any more: the tightest deadline around the step.
    pub deadline: Option<Timestamp>,
    /// The tightest fuel limit around the step.
    pub fuel: Option<u64>,
    /// The tightest memory limit around the step.
    pub memory_bytes: Option<u64>,
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Accepted, not begun.
    Pending,
    /// Something runs.
    Running,
    /// Nothing runs, and at least one person is asked.
    AwaitingHuman,
    /// Ended well.
    Completed,
    /// Ended with a failure.
    Failed,
    /// Ended because its time was up.
    Timeout,
    /// Ended by a person or a rule.
    Cancelled,
}

impl Status {
    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::AwaitingHuman => "awaiting_human",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::AwaitingHuman => false,
            Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled => true,
        }
    }
}

/// What lists and the execution's row show; follows from the log alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How it stands.
    pub status: Status,
    /// The step that was reached last.
    pub current_step: Option<Arc<str>>,
    /// What was used.
    pub usage: Amounts,
    /// The earliest time that matters.
    pub wake_at: Option<Timestamp>,
    /// Whether it waits for timers and people only.
    pub idle: bool,
    /// What it made, once completed.
    pub output: Option<Json>,
    /// Why it ended badly, and at which step that began.
    pub failure: Option<Failure>,
    /// The limit at which it is paused.
    pub paused: Option<Exceeded>,
}

/// A log that cannot have been written by this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("corrupt log at event {seq}: {reason}")]
pub struct CorruptLog {
    /// Where.
    pub seq: u64,
    /// What is impossible about it.
    pub reason: String,
}
