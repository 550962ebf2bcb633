//! The state of one execution, and the five things that can be done with it: start, replay, step, apply, commands.

mod children;
mod decide;
mod evolve;
mod items;
mod question;
mod state;

pub use self::question::Question;

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use self::{
    decide::Decide,
    state::{State, VisitWork},
};
use crate::{
    approvers::Approvers,
    event::{Decision, Event, Record, Report, Started},
    failure::Failure,
    graph::{Graph, Target},
    id::{CallId, ScopeId, Seq, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded, Ledger, Limits},
};

/// One running execution: its graph, and the state that follows from its log.
#[derive(Debug, Clone)]
pub struct Execution {
    graph: Arc<Graph>,
    state: State,
}

impl PartialEq for Execution {
    /// Two executions are equal when their logs left the same state; what runs is known by its version.
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Execution {
    /// Begins an execution; its log begins with the records that come back.
    #[must_use]
    pub fn start(graph: Arc<Graph>, started: Started, now: Timestamp) -> (Self, Vec<Record>) {
        let started = Arc::new(started);
        let state = State::new(started.clone(), now);
        let mut execution = Self { graph, state };
        let mut decide = Decide::new(&mut execution, now);
        decide.emit(Event::ExecutionStarted(started));
        decide.advance();
        let records = decide.records;
        (execution, records)
    }

    /// Makes the state that a log leads to.
    ///
    /// # Errors
    /// The log cannot have been written by this program.
    pub fn replay(graph: Arc<Graph>, records: impl IntoIterator<Item = Record>) -> Result<Self, CorruptLog> {
        let mut records = records.into_iter();
        let Some(Record { seq, at, event: Event::ExecutionStarted(started) }) = records.next() else {
            return Err(CorruptLog { seq: 1, reason: "a log begins with execution_started".to_owned() });
        };
        let mut execution = Self { graph, state: State::new(started.clone(), at) };
        execution.apply(&Record { seq, at, event: Event::ExecutionStarted(started) })?;
        for record in records {
            execution.apply(&record)?;
        }
        Ok(execution)
    }

    /// Takes news in at the time `now`, and answers the facts that follow; they are applied already and must be
    /// appended to the log. Never fails, and does a bounded amount of work.
    #[must_use = "the records must be appended to the log"]
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Record> {
        let mut decide = Decide::new(self, now);
        decide.check_time();
        if !decide.execution.has_ended() {
            decide.on(input);
            decide.advance();
        }
        decide.records
    }

    /// Takes one record of the log in.
    ///
    /// # Errors
    /// The record cannot follow the ones before it.
    pub fn apply(&mut self, record: &Record) -> Result<(), CorruptLog> {
        self.state.apply(&self.graph, record)
    }

    /// What must be in flight, by the state alone: calls and questions in the order they were asked, the earliest
    /// timer, and whether there is more to decide.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        let state = &self.state;
        if state.end.is_some() {
            return Vec::new();
        }
        let mut commands = Vec::new();
        for (call, visit) in &state.visits {
            if visit.runs_plugin() {
                commands.push(Command::RunPlugin { call: *call, attempt: visit.attempt });
            } else if let VisitWork::Human { request, due, .. } = &visit.work {
                let (path, request) = (visit.path.clone(), request.clone());
                commands.push(Command::AskHuman { call: *call, path, request, due: *due });
            }
        }
        commands.extend(self.wake_at().map(|due| Command::SetTimer { due }));
        if self.has_more_to_decide() {
            commands.push(Command::Continue);
        }
        commands
    }

    /// What an open call is made with; `None` if it is not open.
    #[must_use]
    pub fn plugin_call(&self, call: CallId) -> Option<PluginCall> {
        let visit = self.state.visits.get(&call).filter(|visit| visit.runs_plugin())?;
        let VisitWork::Call { input, .. } = &visit.work else { return None };
        let invocation = self.graph.steps[visit.step].kind.invocation()?;
        let holders = self.state.around(visit.scope).filter_map(|call| self.state.visits.get(&call)).chain([visit]);
        let limits = holders.fold(self.state.limits.clone(), |limits, holder| limits.tightened_by(&holder.limits));
        let deadlines = self.state.around(visit.scope).filter_map(|call| self.state.visits.get(&call)?.deadline);
        Some(PluginCall {
            call,
            attempt: visit.attempt,
            path: visit.path.clone(),
            target: self.state.started.targets.get(&invocation.name)?.clone(),
            config: invocation.config.clone(),
            input: input.clone(),
            timeout_ms: visit.limits.timeout_ms,
            deadline: deadlines.chain(visit.deadline).chain(self.state.started.deadline).min(),
            fuel: limits.fuel,
            memory_bytes: limits.memory_bytes,
        })
    }

    /// What an open question asks, and how far it has come; `None` if it is not open.
    #[must_use]
    pub fn question(&self, call: CallId) -> Option<Question<'_>> {
        let visit = self.state.visits.get(&call)?;
        let VisitWork::Human { request, due, reassigned, votes } = &visit.work else { return None };
        let approvers = match reassigned {
            Some(approvers) => Cow::Borrowed(approvers),
            None => Cow::Owned(Approvers::of_request(request.value())),
        };
        Some(Question { path: &visit.path, request, due: *due, approvers, votes })
    }

    /// Whether the effect `n` of an open call was admitted.
    #[must_use]
    pub fn is_admitted(&self, call: CallId, n: u32) -> bool {
        self.state.visits.get(&call).is_some_and(|visit| visit.promises.contains_key(&n))
    }

    /// The place of the last event.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.state.seq
    }

    /// What it is pinned to.
    #[must_use]
    pub fn started(&self) -> &Started {
        &self.state.started
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.end.is_some()
    }

    /// The latest output of each step of the root block, and of the branches that it joined.
    pub fn step_outputs(&self) -> impl Iterator<Item = (&Arc<str>, &Json)> {
        let root = self.state.scopes.get(&ScopeId::ROOT);
        root.into_iter().flat_map(|root| root.outputs.iter()).map(|(step, output)| (self.graph.id(*step), output))
    }

    /// The limits in force, and what is settled and reserved under them.
    #[must_use]
    pub fn budget(&self) -> (&Limits, Ledger) {
        (&self.state.limits, self.state.ledger)
    }

    /// How it stands.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let state = &self.state;
        let end = state.end.as_ref();
        Summary {
            status: self.status(),
            current_step: state.current_step.clone(),
            usage: state.ledger.settled.plus(&state.ledger.reserved),
            wake_at: self.wake_at(),
            idle: !self.is_busy(),
            output: end.and_then(|end| end.output.clone()),
            failure: end.and_then(|end| end.failure.clone()),
            paused: state.pause.as_ref().map(|pause| pause.exceeded.clone()),
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = &self.state;
        if let Some(end) = &state.end {
            return end.status;
        }
        let asks = state.pause.is_some() || state.visits.values().any(|v| matches!(v.work, VisitWork::Human { .. }));
        let waits_for_retry = state.visits.values().any(|visit| visit.retry_due.is_some());
        if asks && !self.is_busy() && !waits_for_retry { Status::AwaitingHuman } else { Status::Running }
    }

    /// Whether something runs or can be decided: more than waiting for timers and people.
    fn is_busy(&self) -> bool {
        self.has_more_to_decide() || self.state.visits.values().any(state::Visit::runs_plugin)
    }

    fn has_more_to_decide(&self) -> bool {
        let state = &self.state;
        let ready = !state.ready_scopes.is_empty() || !state.ready_visits.is_empty();
        ready && state.pause.is_none() && state.end.is_none()
    }

    fn wake_at(&self) -> Option<Timestamp> {
        if self.has_ended() {
            return None;
        }
        let visits = self.state.visits.values().filter_map(state::Visit::next_due);
        visits.chain(self.state.started.deadline).min()
    }
}

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
    pub target: Arc<Target>,
    /// The step's fixed configuration.
    pub config: Value,
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
