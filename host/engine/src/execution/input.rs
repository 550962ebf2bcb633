//! What the engine is told.

use crate::{
    event::{Decision, Report},
    failure::Failure,
    id::{CallId, EffectId, Timestamp},
    json::Json,
    limits::{Amounts, Limits},
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
    /// Others are to be asked. Without roles and users that is every approver.
    Reassign {
        /// Which wait.
        call: CallId,
        /// Whoever has one of these roles.
        roles: Vec<String>,
        /// Whoever has one of these names.
        users: Vec<String>,
        /// Who says so.
        reassigned_by: String,
    },
    /// The time that [`Command::SetTimer`](super::Command::SetTimer) named has come.
    TimeReached,
    /// The execution was loaded from its log after the host stopped: calls that were running are made again.
    Recovered,
    /// [`Command::Continue`](super::Command::Continue) was seen.
    Continue,
    /// A person or a rule stops the execution.
    Cancel {
        /// Who.
        cancelled_by: String,
        /// Why.
        reason: Option<String>,
    },
    /// A running call wants to spend: admitted as a whole or not at all. What is under way, or over, is admitted
    /// already.
    Reserve {
        /// Which call.
        call: CallId,
        /// Which effect of it.
        effect: EffectId,
        /// How much.
        amounts: Amounts,
    },
    /// An effect that was reserved is over.
    Settle {
        /// Which call.
        call: CallId,
        /// Which effect of it.
        effect: EffectId,
        /// What was used.
        used: Amounts,
    },
    /// A running call wants to call tools that a person must allow first.
    Defer {
        /// Which call.
        call: CallId,
        /// One question for each tool.
        asks: Vec<Ask>,
    },
    /// A person raised the limits after a pause.
    Resume {
        /// The quantities to raise.
        limits: Limits,
        /// Who.
        decided_by: String,
    },
}

/// A question whether a tool may be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Which effect of the call.
    pub effect: EffectId,
    /// What the person is shown, with the options [`APPROVE`](super::APPROVE) and those that allow nothing.
    pub request: Json,
    /// When the question lapses.
    pub due: Option<Timestamp>,
}
