//! The facts of an execution's log. Whatever was once released is understood for ever.
//!
//! Steps are named by the id that the author gave, so a log outlives changes of the compiler. Decisions (which branch,
//! when to try again, how many items) are facts too: replaying decides nothing.

mod facts;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::facts::{AfterFailure, Decision, LogLine, Next, Report, Skipped, Started, StepType, Work};
use crate::{
    approvers::Approvers,
    failure::Failure,
    id::{CallId, EffectId, ScopeId, Seq, Timestamp},
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
        /// Which effect of it.
        effect: EffectId,
        /// What was promised.
        amounts: Amounts,
    },
    /// An effect is over: what was promised becomes what was used.
    Settled {
        /// The visit that asked.
        call: CallId,
        /// Which effect of it.
        effect: EffectId,
        /// What was used.
        used: Amounts,
    },
    /// A running call wants to call a tool that a person must allow first; the call is made again when nobody is asked
    /// any more. The sequence number is the [`CallId`] of the question.
    Deferred {
        /// The visit that asked.
        call: CallId,
        /// Which effect of it.
        effect: EffectId,
        /// The visit's step.
        step: Arc<str>,
        /// Its path.
        path: Arc<str>,
        /// What the person is shown: the tool and its exact arguments among others.
        request: Json,
        /// When the question lapses, which allows nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// Nobody answered in time whether a tool may be called: it may not.
    Lapsed {
        /// The question.
        call: CallId,
    },
    /// The step ended while a person was asked whether it may call a tool.
    Withdrawn {
        /// The question.
        call: CallId,
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
            Self::Deferred { request, .. } => request.text().len(),
            Self::Decided { decision, .. } | Self::Voted { decision, .. } => {
                decision.data.as_ref().map_or(0, |data| data.text().len())
            }
            Self::AttemptStarted { .. }
            | Self::CallInterrupted { .. }
            | Self::Reserved { .. }
            | Self::Settled { .. }
            | Self::Lapsed { .. }
            | Self::Withdrawn { .. }
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
