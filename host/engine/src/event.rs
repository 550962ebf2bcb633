//! The facts of an execution's log. Whatever was once released is understood for ever.
//!
//! Steps are named by the id that the author gave, so a log outlives changes of the compiler. Decisions (which branch,
//! when to try again, how many items) are facts too: replaying decides nothing.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    approvers::Approvers,
    failure::Failure,
    graph::Target,
    id::{CallId, ScopeId, Seq, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded, Limits},
};

/// An event with its place and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place in the log.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Always the first: everything the execution is pinned to.
    ExecutionStarted(Arc<Started>),
    /// A step was reached. Its sequence number is the [`CallId`] of this visit.
    StepStarted {
        /// The scope whose cursor reached it.
        scope: ScopeId,
        /// The step's id.
        step: Arc<str>,
        /// The step's type.
        kind: StepType,
        /// From 1: how often this scope has been here.
        visit: u32,
        /// The visit's place for people: `scrape_loop[3].scrape_url`, `refine#2`.
        path: Arc<str>,
        /// When the step's own time is up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// What kind of work began.
        work: Work,
    },
    /// An attempt failed, and another follows at `due` with the number `attempt`.
    RetryScheduled {
        /// The visit.
        call: CallId,
        /// The number of the attempt to come, from 1 (the first try is 0).
        attempt: u32,
        /// When it starts.
        due: Timestamp,
        /// Why the last one failed.
        failure: Failure,
        /// What the failed attempt told and cost.
        #[serde(default, skip_serializing_if = "Report::is_empty")]
        report: Report,
    },
    /// The attempt that was scheduled begins.
    AttemptStarted {
        /// The visit.
        call: CallId,
        /// Its number.
        attempt: u32,
    },
    /// The host stopped while the call was running; it is made again under the number `attempt`.
    CallInterrupted {
        /// The visit.
        call: CallId,
        /// The number of the attempt that takes over.
        attempt: u32,
    },
    /// Room under all limits was promised to an effect of a running call, before it began.
    Reserved {
        /// The visit that asked.
        call: CallId,
        /// Which effect of this call, from 1.
        n: u32,
        /// What was promised.
        amounts: Amounts,
    },
    /// An effect is over: what was promised becomes what was used.
    Settled {
        /// The visit that asked.
        call: CallId,
        /// Which effect of this call.
        n: u32,
        /// What was used.
        used: Amounts,
    },
    /// A limit of the execution stood in the way, and `on_exceeded` says to ask a person.
    Paused {
        /// The step that wanted more.
        step: Arc<str>,
        /// Its path.
        path: Arc<str>,
        /// The running call that wanted more; it is made again after the pause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        /// The visit whose own limit it is; `None`: the execution's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<CallId>,
        /// The limit.
        exceeded: Exceeded,
    },
    /// A person raised the limits; the execution goes on.
    Resumed {
        /// The limits from here on, of whoever held the one that stood in the way.
        limits: Limits,
        /// Who.
        decided_by: String,
    },
    /// A person answered a question that takes more than one; it is not decided yet.
    Voted {
        /// The visit that waits.
        call: CallId,
        /// The answer.
        decision: Decision,
    },
    /// Others are asked from here on.
    Reassigned {
        /// The visit that waits.
        call: CallId,
        /// Who may decide now.
        approvers: Approvers,
        /// Who said so.
        reassigned_by: String,
    },
    /// A person answered a human step, and that decides it.
    Decided {
        /// The visit that waited.
        call: CallId,
        /// The answer.
        decision: Decision,
    },
    /// A running copy of a block opened: a branch or an iteration. Its sequence number is the [`ScopeId`].
    ScopeOpened {
        /// The visit of the parallel or loop step.
        call: CallId,
        /// Which branch or iteration, from 0.
        index: u32,
    },
    /// A scope came to its end.
    ScopeCompleted {
        /// The scope.
        scope: ScopeId,
        /// The steps of its block that were never reached.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skipped: Vec<Skipped>,
    },
    /// A scope failed with a step in it.
    ScopeFailed {
        /// The scope.
        scope: ScopeId,
        /// Why.
        failure: Failure,
    },
    /// A scope was given up because its parent ended without it.
    ScopeCancelled {
        /// The scope.
        scope: ScopeId,
    },
    /// A step is done.
    StepCompleted {
        /// The visit.
        call: CallId,
        /// Its output.
        output: Json,
        /// Where its scope goes next.
        next: Next,
        /// What the call told and cost.
        #[serde(default, skip_serializing_if = "Report::is_empty")]
        report: Report,
    },
    /// A human step that nobody answered was passed over, as its `on_timeout` says.
    StepSkipped {
        /// The visit.
        call: CallId,
        /// Where its scope goes next.
        next: Next,
    },
    /// A step failed for good.
    StepFailed {
        /// The visit.
        call: CallId,
        /// Why.
        failure: Failure,
        /// What follows, by the step's `on_error`.
        then: AfterFailure,
        /// What the call told and cost.
        #[serde(default, skip_serializing_if = "Report::is_empty")]
        report: Report,
    },
    /// A step was given up: the execution was cancelled, ran out of time, or a sibling failed.
    StepCancelled {
        /// The visit.
        call: CallId,
    },
    /// The end: every step of the root block is done.
    ExecutionCompleted {
        /// The execution's output.
        output: Json,
        /// The steps of the root block that were never reached.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skipped: Vec<Skipped>,
    },
    /// The end: a failure that nothing caught.
    ExecutionFailed {
        /// Why, and at which step it began.
        failure: Failure,
    },
    /// The end: the execution's own time was up.
    ExecutionTimedOut {
        /// Why, in words, with the limit.
        failure: Failure,
    },
    /// The end: a person or a rule stopped it.
    ExecutionCancelled {
        /// Who.
        cancelled_by: String,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Event {
    /// About how many bytes this event takes in memory and in the log: its documents, and a little for the rest.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const REST: usize = 128;
        let documents = match self {
            Self::ExecutionStarted(started) => started.input.text().len() + started.trigger.text().len(),
            Self::StepStarted { work, .. } => work.document().map_or(0, |document| document.text().len()),
            Self::StepCompleted { output, report, .. } => output.text().len() + report.bytes(),
            Self::RetryScheduled { report, .. } | Self::StepFailed { report, .. } => report.bytes(),
            Self::ExecutionCompleted { output, .. } => output.text().len(),
            Self::Decided { decision, .. } | Self::Voted { decision, .. } => {
                decision.data.as_ref().map_or(0, |data| data.text().len())
            }
            Self::AttemptStarted { .. }
            | Self::CallInterrupted { .. }
            | Self::Reserved { .. }
            | Self::Settled { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Reassigned { .. }
            | Self::ScopeOpened { .. }
            | Self::ScopeCompleted { .. }
            | Self::ScopeFailed { .. }
            | Self::ScopeCancelled { .. }
            | Self::StepSkipped { .. }
            | Self::StepCancelled { .. }
            | Self::ExecutionFailed { .. }
            | Self::ExecutionTimedOut { .. }
            | Self::ExecutionCancelled { .. } => 0,
        };
        documents + REST
    }
}

impl Work {
    /// The document that this work began with.
    fn document(&self) -> Option<&Json> {
        match self {
            Self::Call { input } => Some(input),
            Self::Human { request, .. } => Some(request),
            Self::Loop { items, .. } => Some(items),
            Self::Condition { .. } | Self::Parallel | Self::Nothing => None,
        }
    }
}

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
    fn bytes(&self) -> usize {
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
