//! The state of one execution, and the five things that can be done with it: start, replay, step, apply, commands.

mod children;
mod command;
mod decide;
mod evolve;
mod input;
mod items;
mod question;
mod state;
mod summary;

use std::{borrow::Cow, sync::Arc};

pub use self::{
    command::{Command, PluginCall},
    input::{Ask, Input},
    question::Question,
    state::Verdict,
    summary::{Status, Summary},
};
use self::{
    decide::Decide,
    state::{Asked, State, VisitWork},
};
use crate::{
    approvers::Approvers,
    event::{Event, Record, Started},
    graph::Graph,
    id::{CallId, EffectId, ScopeId, Seq, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded, Ledger, Limits, Room, Shared},
};

/// The option that lets an agent call the tool that it wants to call.
pub const APPROVE: &str = "approve";
/// The option that lets it call the tool with other arguments.
pub const EDIT: &str = "edit";
/// The option that does not let it.
pub const REJECT: &str = "reject";

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
        Self::start_sharing(graph, started, now, &[])
    }

    /// As [`Execution::start`], under limits that are shared with others.
    #[must_use]
    pub fn start_sharing(
        graph: Arc<Graph>,
        started: Started,
        now: Timestamp,
        shared: &[Shared],
    ) -> (Self, Vec<Record>) {
        let started = Arc::new(started);
        let state = State::new(started.clone(), now);
        let mut execution = Self { graph, state };
        let mut decide = Decide::new(&mut execution, now, shared);
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
        self.step_sharing(input, now, &[])
    }

    /// As [`Execution::step`], under limits that are shared with others: nothing begins that would pass one of them. What
    /// is drawn from them is what the ledger of [`Execution::budget`] has more afterwards.
    #[must_use = "the records must be appended to the log"]
    pub fn step_sharing(&mut self, input: Input, now: Timestamp, shared: &[Shared]) -> Vec<Record> {
        let mut decide = Decide::new(self, now, shared);
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
            } else if let VisitWork::Human(asked) = &visit.work {
                commands.push(asked.command(*call, &visit.path));
            }
        }
        for (question, deferred) in &state.deferred {
            commands.extend(state.visits.get(&deferred.of).map(|of| deferred.asked.command(*question, &of.path)));
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
            generation: visit.failures,
            resumes: !(visit.effects.is_empty() && visit.verdicts.is_empty()),
            path: visit.path.clone(),
            target: self.state.started.targets.get(&invocation.name)?.clone(),
            config: invocation.config.clone(),
            tools: invocation.tools.clone(),
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
        let (visit, asked) = match self.state.deferred.get(&call) {
            Some(deferred) => (self.state.visits.get(&deferred.of)?, &deferred.asked),
            None => {
                let visit = self.state.visits.get(&call)?;
                let VisitWork::Human(asked) = &visit.work else { return None };
                (visit, asked)
            }
        };
        let Asked { request, due, reassigned, votes } = asked;
        let approvers = match reassigned {
            Some(approvers) => Cow::Borrowed(approvers),
            None => Cow::Owned(Approvers::of_request(request.value())),
        };
        Some(Question { path: &visit.path, request, due: *due, approvers, votes })
    }

    /// Whether an effect of an open call was admitted: it may begin, is under way, or over.
    #[must_use]
    pub fn is_admitted(&self, call: CallId, effect: &EffectId) -> bool {
        let known = self.state.visits.get(&call).and_then(|visit| visit.effects.get(effect));
        known.is_some_and(|effect| effect.over || effect.promised.is_some())
    }

    /// The effects of an open call that have begun and are not over.
    pub fn under_way(&self, call: CallId) -> impl Iterator<Item = &EffectId> {
        let effects = self.state.visits.get(&call).into_iter().flat_map(|visit| &visit.effects);
        effects.filter(|(_, effect)| effect.promised.is_some()).map(|(at, _)| at)
    }

    /// What people said about a tool that an open call wants to call; `None` while nobody said anything.
    #[must_use]
    pub fn verdict(&self, call: CallId, effect: &EffectId) -> Option<&Verdict> {
        self.state.visits.get(&call)?.verdicts.get(effect)
    }

    /// What is left under the limits of an open call's step, of the steps around it, and of the execution.
    #[must_use]
    pub fn room(&self, call: CallId) -> Room {
        let state = &self.state;
        let Some(visit) = state.visits.get(&call) else { return Room::NONE };
        let holders = state.around(visit.scope).filter_map(|around| state.visits.get(&around)).chain([visit]);
        let rooms = holders.map(|holder| holder.ledger.room(&holder.limits));
        rooms.fold(state.ledger.room(&state.limits), |room, other| room.at_most(&other))
    }

    /// What is left under limits that only the effects of one effect of an open call have: an agent that it called.
    #[must_use]
    pub fn room_within(&self, call: CallId, effect: &EffectId, limits: &Limits) -> Room {
        self.ledger_within(call, effect).map_or(Room::NONE, |ledger| ledger.room(limits))
    }

    /// Whether the agents that a call runs in, outermost first, leave room for `ask` under limits of their own, which are
    /// inside those of the step.
    ///
    /// # Errors
    /// The innermost one that does not, and its limit.
    pub fn admits_within<'l>(
        &self,
        call: CallId,
        within: &'l [(EffectId, Limits)],
        ask: &Amounts,
    ) -> Result<(), (&'l EffectId, Exceeded)> {
        for (effect, limits) in within.iter().rev() {
            let ledger = self.ledger_within(call, effect).unwrap_or_default();
            ledger.admits(limits, ask).map_err(|exceeded| (effect, exceeded))?;
        }
        Ok(())
    }

    /// What the effects of one effect of an open call have spent and were promised.
    fn ledger_within(&self, call: CallId, effect: &EffectId) -> Option<Ledger> {
        let visit = self.state.visits.get(&call)?;
        let inside = visit.effects.range(effect.clone()..).skip_while(|(at, _)| *at == effect);
        let mut ledger = Ledger::default();
        for (_, inner) in inside.take_while(|(at, _)| at.is_within(effect)) {
            ledger.settled = ledger.settled.plus(&inner.used);
            ledger.reserved = ledger.reserved.plus(&inner.promised.unwrap_or_default());
        }
        Some(ledger)
    }

    /// Whether a request to a model may be sent to an open call's model though nobody knows its price.
    #[must_use]
    pub fn allows_unknown_price(&self, call: CallId) -> bool {
        let state = &self.state;
        let Some(visit) = state.visits.get(&call) else { return false };
        let holders = state.around(visit.scope).filter_map(|around| state.visits.get(&around)).chain([visit]);
        holders.map(|holder| &holder.limits).chain([&state.limits]).all(Limits::allow_unknown_price)
    }

    /// The place of the last event.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.state.seq
    }

    /// What it runs.
    #[must_use]
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
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

    /// The latest output of each step of the root block.
    pub fn step_outputs(&self) -> impl Iterator<Item = (&Arc<str>, &Json)> {
        let root = self.state.scopes.get(&ScopeId::ROOT);
        let outputs = root.into_iter().flat_map(|root| root.outputs.iter());
        let own = outputs.filter(|(step, _)| self.graph.steps[**step].block == Graph::ROOT);
        own.map(|(step, output)| (self.graph.id(*step), output))
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
        let asks_step = state.visits.values().any(|visit| matches!(visit.work, VisitWork::Human(_)));
        let asks = state.pause.is_some() || asks_step || !state.deferred.is_empty();
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
        let questions = self.state.deferred.values().filter_map(|deferred| deferred.asked.due);
        visits.chain(questions).chain(self.state.started.deadline).min()
    }
}

impl Asked {
    fn command(&self, call: CallId, path: &Arc<str>) -> Command {
        Command::AskHuman { call, path: path.clone(), request: self.request.clone(), due: self.due }
    }
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
