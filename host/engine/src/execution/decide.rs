//! What follows from news: the clever half. It emits events, and each is applied before the next is decided.

use serde_json::json;

use super::{
    Execution, Input,
    children::Plan,
    state::{Cursor, Scope},
};
use crate::{
    event::{AfterFailure, Event, Next, Record, Report, Skipped},
    failure::{Failure, FailureCode},
    graph::{Jump, Kind, OnError},
    id::{CallId, ScopeId, Timestamp},
    json::Json,
    limits::{Amounts, Shared},
};

mod begin;
mod defer;
mod guard;
mod human;
mod time;

/// How many moves one `step` makes; what is left is asked for by `Command::Continue`.
const MOVES_MAX: usize = 512;
/// How many bytes of events one `step` may make before it leaves the rest to `Command::Continue`.
const STEP_BYTES_MAX: usize = 4 << 20;
/// How often a call may be cut short by stops of the host before it fails with `interrupted`.
const INTERRUPTIONS_MAX: u32 = 100;

/// One `step` in progress.
pub(super) struct Decide<'a> {
    pub(super) execution: &'a mut Execution,
    pub(super) now: Timestamp,
    pub(super) records: Vec<Record>,
    /// About how much the records hold.
    bytes: usize,
    /// Limits that are shared with other executions.
    shared: &'a [Shared],
    /// What was spent and promised before.
    spent_before: Amounts,
}

impl<'a> Decide<'a> {
    pub(super) fn new(execution: &'a mut Execution, now: Timestamp, shared: &'a [Shared]) -> Self {
        let spent_before = execution.state.ledger.spent();
        Self { execution, now, records: Vec::with_capacity(8), bytes: 0, shared, spent_before }
    }

    /// Records a fact and applies it.
    pub(super) fn emit(&mut self, event: Event) {
        let record = Record { seq: self.execution.state.seq + 1, at: self.now, event };
        let applied = self.execution.state.apply(&self.execution.graph, &record);
        self.bytes += record.event.bytes();
        assert_eq!(applied, Ok(()), "decided an event that cannot be applied: {:?}", record.event);
        self.records.push(record);
    }

    /// Takes news in; whatever is about something that is not open is ignored.
    pub(super) fn on(&mut self, input: Input) {
        match input {
            Input::CallSucceeded { call, attempt, output, report } if self.is_running(call, attempt) => {
                let output = self.answered(call, output);
                self.complete(call, output, report);
            }
            Input::CallFailed { call, attempt, failure, report } if self.is_running(call, attempt) => {
                self.fail_visit(call, failure, report, true);
            }
            Input::Decided { call, decision } => self.on_decided(call, decision),
            Input::Reassign { call, roles, users, reassigned_by } => {
                self.on_reassign(call, roles, users, reassigned_by);
            }
            Input::Recovered => self.on_recovered(),
            Input::Cancel { cancelled_by, reason } => self.cancel(cancelled_by, reason),
            Input::Reserve { call, effect, amounts } => self.on_reserve(call, effect, amounts),
            Input::Settle { call, effect, used } => self.on_settle(call, effect, used),
            Input::Defer { call, asks } => self.on_defer(call, asks),
            Input::Resume { limits, decided_by } => self.on_resume(&limits, decided_by),
            Input::CallSucceeded { .. } | Input::CallFailed { .. } | Input::TimeReached | Input::Continue => {}
        }
    }

    /// Moves everything on that needs no news.
    pub(super) fn advance(&mut self) {
        for _ in 0..MOVES_MAX {
            let state = &self.execution.state;
            if state.end.is_some() || state.pause.is_some() || self.bytes > STEP_BYTES_MAX {
                return;
            }
            if let Some(call) = state.ready_visits.first().copied() {
                self.advance_children(call);
            } else if let Some(scope) = state.ready_scopes.first().copied() {
                self.advance_scope(scope);
            } else {
                return;
            }
        }
    }

    fn advance_scope(&mut self, id: ScopeId) {
        let Some(scope) = self.execution.state.scopes.get(&id) else { return };
        match &scope.cursor {
            Cursor::At(step) => {
                let step = *step;
                self.start_step(id, step);
            }
            Cursor::Ended if id == ScopeId::ROOT => self.complete_execution(),
            Cursor::Ended => {
                let skipped = self.never_reached(scope);
                self.emit(Event::ScopeCompleted { scope: id, skipped });
            }
            Cursor::Failed(failure) => {
                let failure = failure.clone();
                if id == ScopeId::ROOT {
                    self.emit(Event::ExecutionFailed { failure });
                } else {
                    self.emit(Event::ScopeFailed { scope: id, failure });
                }
            }
            Cursor::In(_) => {}
        }
    }

    fn never_reached(&self, scope: &Scope) -> Vec<Skipped> {
        let graph = &self.execution.graph;
        let steps = graph.blocks[scope.block].steps.iter().filter(|step| !scope.visited.contains_key(step));
        let skipped = steps.map(|step| {
            let id = graph.id(*step);
            Skipped { step: id.clone(), path: format!("{}{id}", scope.prefix).into() }
        });
        skipped.collect()
    }

    fn advance_children(&mut self, call: CallId) {
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        match visit.plan(&self.execution.graph) {
            Plan::Open { from, to } => {
                for index in from..to {
                    self.emit(Event::ScopeOpened { call, index });
                }
            }
            Plan::Wait => {}
            Plan::Fail(failure) => self.fail_visit(call, failure, Report::default(), true),
            Plan::Complete(output) => self.complete(call, output, Report::default()),
        }
    }

    /// What a call's answer is to later steps: an agent's plain text becomes an object, as the answers of agents that
    /// tell more are.
    fn answered(&self, call: CallId, output: Json) -> Json {
        let visit = self.execution.state.visits.get(&call);
        let is_agent = visit.is_some_and(|visit| matches!(self.execution.graph.steps[visit.step].kind, Kind::Agent(_)));
        if is_agent && output.text().starts_with('"') {
            return json!({ "result": output, "content": output }).into();
        }
        output
    }

    /// A step is done.
    fn complete(&mut self, call: CallId, output: Json, report: Report) {
        let Some(next) = self.execution.next_after(call) else { return };
        let report = self.report(call, report);
        self.emit(Event::StepCompleted { call, output, next, report });
    }

    /// A step failed: it is tried again, or that is what follows.
    fn fail_visit(&mut self, call: CallId, failure: Failure, report: Report, may_retry: bool) {
        let graph = self.execution.graph.clone();
        self.withdraw_questions(call);
        if self.execution.state.visits.get(&call).is_some_and(|visit| visit.work.has_children()) {
            self.cancel_inside(call);
        }
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        let step = &graph.steps[visit.step];
        let failure = failure.begun_at(&step.id, &visit.path);
        let retry = step
            .retry
            .as_ref()
            .filter(|r| may_retry && failure.code.may_succeed_later() && visit.failures + 1 < r.max_attempts);
        if let Some(retry) = retry {
            let (attempt, due) = (visit.attempt + 1, retry.due(visit.failures + 1, self.now));
            self.emit(Event::RetryScheduled { call, attempt, due, failure, report });
            return;
        }
        let then = match step.on_error {
            OnError::Fail => AfterFailure::Fail,
            OnError::Continue => AfterFailure::Continue(self.execution.next(step.next)),
            OnError::Goto(jump) => AfterFailure::Continue(self.execution.next(jump)),
        };
        let report = self.report(call, report);
        self.emit(Event::StepFailed { call, failure, then, report });
    }

    /// Gives up all that runs inside a parallel or loop step.
    fn cancel_inside(&mut self, call: CallId) {
        let state = &self.execution.state;
        let inside = |scope: &ScopeId| state.around(*scope).any(|around| around == call);
        let scopes: Vec<ScopeId> = state.scopes.keys().rev().copied().filter(inside).collect();
        self.cancel_scopes(&scopes);
    }

    /// Gives scopes up, innermost first: a scope's id is greater than those around it.
    fn cancel_scopes(&mut self, scopes: &[ScopeId]) {
        for scope in scopes {
            if let Some(Cursor::In(call)) = self.execution.state.scopes.get(scope).map(|s| s.cursor.clone()) {
                self.withdraw_questions(call);
                self.emit(Event::StepCancelled { call });
            }
            if *scope != ScopeId::ROOT {
                self.emit(Event::ScopeCancelled { scope: *scope });
            }
        }
    }

    /// Gives up all that runs.
    fn cancel_all(&mut self) {
        let scopes: Vec<ScopeId> = self.execution.state.scopes.keys().rev().copied().collect();
        self.cancel_scopes(&scopes);
    }

    fn complete_execution(&mut self) {
        let graph = self.execution.graph.clone();
        let Some(root) = self.execution.state.scopes.get(&ScopeId::ROOT) else { return };
        let output = match &graph.output {
            Some(template) => self.resolve(ScopeId::ROOT, template).map(Json::from),
            None => Ok(root.last.clone().unwrap_or_else(Json::null)),
        };
        let skipped = self.never_reached(root);
        match output {
            Ok(output) => self.emit(Event::ExecutionCompleted { output, skipped }),
            Err(failure) => self.emit(Event::ExecutionFailed { failure }),
        }
    }

    fn cancel(&mut self, cancelled_by: String, reason: Option<String>) {
        self.cancel_all();
        self.emit(Event::ExecutionCancelled { cancelled_by, reason });
    }

    fn on_recovered(&mut self) {
        let visits = self.execution.state.visits.iter();
        let running = visits
            .filter(|(_, visit)| visit.runs_plugin())
            .map(|(call, visit)| (*call, visit.attempt + 1, visit.interruptions >= INTERRUPTIONS_MAX));
        for (call, attempt, too_often) in running.collect::<Vec<_>>() {
            if too_often {
                let message = format!("the host stopped {INTERRUPTIONS_MAX} times while this call was running");
                let failure = Failure::new(FailureCode::Interrupted, message);
                self.fail_visit(call, failure, Report::default(), false);
            } else {
                self.emit(Event::CallInterrupted { call, attempt });
            }
        }
    }

    fn is_running(&self, call: CallId, attempt: u32) -> bool {
        let visit = self.execution.state.visits.get(&call);
        visit.is_some_and(|visit| visit.runs_plugin() && visit.attempt == attempt)
    }

    /// The report of a step that ends, with what it used itself.
    fn report(&self, call: CallId, report: Report) -> Report {
        let usage = self.execution.state.visits.get(&call).map_or(Amounts::NONE, |visit| visit.own);
        Report { usage, ..report }
    }
}

impl Execution {
    fn next(&self, jump: Jump) -> Next {
        match jump {
            Jump::To(step) => Next::Step(self.graph.id(step).clone()),
            Jump::End => Next::End,
        }
    }

    fn next_after(&self, call: CallId) -> Option<Next> {
        let visit = self.state.visits.get(&call)?;
        Some(self.next(self.graph.steps[visit.step].next))
    }
}
