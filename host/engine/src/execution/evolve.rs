//! What each event does to the state. Dull on purpose: it decides nothing, reads no clock, and keeps its meaning for
//! ever.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    CorruptLog, Status,
    children::{Children, LoopResults},
    items::Items,
    state::{Asked, Cursor, Deferred, End, Pause, Scope, State, Verdict, Visit, VisitWork},
};
use crate::{
    approvers::Approvers,
    event::{AfterFailure, Decision, Event, Next, Record, StepType, Work},
    failure::Failure,
    graph::{Graph, StepIx},
    id::{CallId, EffectId, ScopeId},
    json::Json,
    limits::{Amounts, Limits},
};

mod scopes;

type Applied = Result<(), String>;

impl State {
    /// Takes one event in.
    pub(super) fn apply(&mut self, graph: &Graph, record: &Record) -> Result<(), CorruptLog> {
        let corrupt = |reason: String| CorruptLog { seq: record.seq, reason };
        if record.seq != self.seq + 1 {
            return Err(corrupt(format!("expected event {}", self.seq + 1)));
        }
        if self.end.is_some() {
            return Err(corrupt("an event after the end".to_owned()));
        }
        self.seq = record.seq;
        self.apply_event(graph, record).map_err(corrupt)
    }

    fn apply_event(&mut self, graph: &Graph, record: &Record) -> Applied {
        match &record.event {
            Event::ExecutionStarted(_) => self.open_root(graph),
            Event::StepStarted { .. } => self.step_started(graph, record),
            Event::RetryScheduled { call, attempt, due, .. } => {
                self.give_up_effects(*call, |_| true)?;
                let visit = self.visit(*call)?;
                visit.effects.clear();
                visit.verdicts.clear();
                (visit.attempt, visit.retry_due) = (*attempt, Some(*due));
                visit.failures += 1;
                visit.start_over();
                self.note_ready(graph, *call);
                Ok(())
            }
            Event::AttemptStarted { call, .. } => {
                self.visit(*call)?.retry_due = None;
                self.note_ready(graph, *call);
                Ok(())
            }
            Event::CallInterrupted { call, attempt } => {
                let visit = self.visit(*call)?;
                visit.attempt = *attempt;
                visit.interruptions += 1;
                self.lose_sight(*call)
            }
            Event::Reserved { call, effect, amounts } => self.reserved(*call, effect, *amounts),
            Event::Settled { call, effect, used } => self.settled(*call, effect, *used),
            Event::Deferred { call, effect, request, due, .. } => {
                self.visit(*call)?.asking += 1;
                let deferred = Deferred { of: *call, effect: effect.clone(), asked: Asked::new(request, *due) };
                self.deferred.insert(CallId(record.seq), deferred);
                self.lose_sight(*call)
            }
            Event::Lapsed { call } => self.judged(*call, Some(Verdict::Lapsed)),
            Event::Withdrawn { call } => self.judged(*call, None),
            Event::Paused { call, holder, exceeded, .. } => {
                for call in holder.iter().chain(call) {
                    self.visit(*call)?;
                }
                // Calls that run on during a pause may meet a limit too: they wait for the end of the first pause.
                let pause = Pause { exceeded: exceeded.clone(), holder: *holder, parked: [].into() };
                self.pause.get_or_insert(pause).parked.extend(*call);
                call.map_or(Ok(()), |call| self.park(call, true))
            }
            Event::Resumed { limits, .. } => self.resumed(limits),
            Event::Voted { call, decision } => self.voted(*call, decision),
            Event::Reassigned { call, approvers, .. } => self.reassigned(*call, approvers),
            Event::Decided { call, decision } if self.deferred.contains_key(call) => {
                self.judged(*call, Some(Verdict::Decided(decision.clone())))
            }
            Event::Decided { .. } => Ok(()),
            Event::ScopeOpened { call, index } => self.scope_opened(graph, *call, *index, ScopeId(record.seq)),
            Event::ScopeCompleted { scope, .. } => self.scope_completed(graph, *scope),
            Event::ScopeFailed { scope, failure } => self.scope_failed(graph, *scope, failure),
            Event::ScopeCancelled { scope } => self.scope_cancelled(graph, *scope),
            Event::StepCompleted { call, output, next, .. } => {
                self.step_over(graph, *call, Some(output.clone()), next, true)
            }
            Event::StepSkipped { call, next } => self.step_over(graph, *call, None, next, false),
            Event::StepFailed { call, failure, then, .. } => self.step_failed(graph, *call, failure, then),
            Event::StepCancelled { call } => self.close(*call).map(|_| ()),
            Event::ExecutionCompleted { output, .. } => self.ended(Status::Completed, Some(output), None),
            Event::ExecutionFailed { failure } => self.ended(Status::Failed, None, Some(failure)),
            Event::ExecutionTimedOut { failure } => self.ended(Status::Timeout, None, Some(failure)),
            Event::ExecutionCancelled { .. } => self.ended(Status::Cancelled, None, None),
        }
    }

    fn open_root(&mut self, graph: &Graph) -> Applied {
        if self.seq != 1 {
            return Err("starts what runs already".to_owned());
        }
        let scope = Scope {
            parent: None,
            index: 0,
            block: Graph::ROOT,
            cursor: first(graph, Graph::ROOT),
            outputs: [].into(),
            visited: [].into(),
            last: None,
            prefix: "".into(),
            iteration: None,
        };
        self.scopes.insert(ScopeId::ROOT, scope);
        self.ready_scopes.insert(ScopeId::ROOT);
        Ok(())
    }

    fn step_started(&mut self, graph: &Graph, record: &Record) -> Applied {
        let Event::StepStarted { scope: scope_id, step, kind, visit, path, deadline, work } = &record.event else {
            return Ok(());
        };
        let call = CallId(record.seq);
        let step_ix = find_step(graph, step)?;
        let scope = self.scopes.get_mut(scope_id).ok_or_else(|| no_scope(*scope_id))?;
        if scope.cursor != Cursor::At(step_ix) {
            return Err(format!("starts the step {step:?}, which its scope is not at"));
        }
        scope.cursor = Cursor::In(call);
        scope.visited.insert(step_ix, *visit);
        self.ready_scopes.remove(scope_id);
        self.current_step = Some(step.clone());

        let mut spent = Amounts::STEP;
        if *kind == StepType::Tool && matches!(work, Work::Call { .. }) {
            spent = spent.plus(&Amounts::TOOL_CALL);
        }
        let started = Visit {
            scope: *scope_id,
            step: step_ix,
            path: path.clone(),
            attempt: 0,
            failures: 0,
            interruptions: 0,
            deadline: *deadline,
            limits: graph.steps[step_ix].limits.clone(),
            ledger: crate::limits::Ledger { settled: spent, reserved: Amounts::NONE },
            own: spent,
            effects: [].into(),
            verdicts: [].into(),
            asking: 0,
            retry_due: None,
            work: VisitWork::of(work)?,
        };
        self.visits.insert(call, started);
        self.note_ready(graph, call);
        self.change_ledgers(*scope_id, |ledger| ledger.settled = ledger.settled.plus(&spent));
        Ok(())
    }

    fn reserved(&mut self, call: CallId, effect: &EffectId, amounts: Amounts) -> Applied {
        let visit = self.visit(call)?;
        visit.effects.entry(effect.clone()).or_default().promised = Some(amounts);
        visit.own = visit.own.plus(&amounts);
        visit.ledger.reserve(&amounts);
        let scope = visit.scope;
        self.change_ledgers(scope, |ledger| ledger.reserve(&amounts));
        Ok(())
    }

    fn settled(&mut self, call: CallId, effect: &EffectId, used: Amounts) -> Applied {
        let visit = self.visit(call)?;
        let effect = visit.effects.get_mut(effect).ok_or("settles what was not reserved")?;
        let promised = effect.promised.take().ok_or("settles what was not reserved")?;
        (effect.used, effect.over) = (effect.used.plus(&used), true);
        visit.own = visit.own.minus(&promised).plus(&used);
        visit.ledger.settle(&promised, &used);
        let scope = visit.scope;
        self.change_ledgers(scope, |ledger| ledger.settle(&promised, &used));
        Ok(())
    }

    /// The host does not see any more what the call is doing. Requests to models that were under way may have been
    /// answered and paid for: they are written off as spent, and sent again only with room of their own.
    fn lose_sight(&mut self, call: CallId) -> Applied {
        self.give_up_effects(call, |promised| promised.requests > 0)
    }

    /// Writes off as spent what was promised to effects that are under way and that `which` names.
    fn give_up_effects(&mut self, call: CallId, which: impl Fn(&Amounts) -> bool) -> Applied {
        let visit = self.visit(call)?;
        let mut spent = Amounts::NONE;
        for effect in visit.effects.values_mut() {
            if let Some(promised) = effect.promised.take_if(|promised| which(promised)) {
                effect.used = effect.used.plus(&promised);
                spent = spent.plus(&promised);
            }
        }
        visit.ledger.settle(&spent, &spent);
        let scope = visit.scope;
        self.change_ledgers(scope, |ledger| ledger.settle(&spent, &spent));
        Ok(())
    }

    /// A question whether a tool may be called is open no longer.
    fn judged(&mut self, question: CallId, verdict: Option<Verdict>) -> Applied {
        let Deferred { of, effect, .. } = self.deferred.remove(&question).ok_or_else(|| no_question(question))?;
        let visit = self.visit(of)?;
        visit.asking = visit.asking.saturating_sub(1);
        if let Some(verdict) = verdict {
            visit.verdicts.insert(effect, verdict);
        }
        Ok(())
    }

    fn asked(&mut self, call: CallId) -> Result<&mut Asked, String> {
        if let Some(deferred) = self.deferred.get_mut(&call) {
            return Ok(&mut deferred.asked);
        }
        let visit = self.visits.get_mut(&call).ok_or_else(|| no_call(call))?;
        let VisitWork::Human(asked) = &mut visit.work else { return Err(no_question(call)) };
        Ok(asked)
    }

    fn voted(&mut self, call: CallId, decision: &Decision) -> Applied {
        self.asked(call)?.votes.push(decision.clone());
        Ok(())
    }

    fn reassigned(&mut self, call: CallId, approvers: &Approvers) -> Applied {
        self.asked(call)?.reassigned = Some(approvers.clone());
        Ok(())
    }

    fn park(&mut self, call: CallId, on: bool) -> Applied {
        if let VisitWork::Call { parked, .. } = &mut self.visit(call)?.work {
            *parked = on;
        }
        self.lose_sight(call)
    }

    fn resumed(&mut self, limits: &Limits) -> Applied {
        let pause = self.pause.as_ref().ok_or("resumes what was not paused")?;
        match pause.holder {
            None => self.limits = limits.clone(),
            Some(holder) => self.visit(holder)?.limits = limits.clone(),
        }
        self.end_pause()
    }

    /// Lets everything go on. What still meets a limit pauses again.
    fn end_pause(&mut self) -> Applied {
        let pause = self.pause.take();
        pause.into_iter().flat_map(|pause| pause.parked).try_for_each(|call| self.park(call, false))
    }

    /// Keeps the list of parallel and loop steps that can be moved on.
    fn note_ready(&mut self, graph: &Graph, call: CallId) {
        if self.visits.get(&call).is_some_and(|visit| visit.is_ready(graph)) {
            self.ready_visits.insert(call);
        } else {
            self.ready_visits.remove(&call);
        }
    }

    /// A step ended and its scope goes on.
    fn step_over(&mut self, graph: &Graph, call: CallId, output: Option<Json>, next: &Next, done: bool) -> Applied {
        let visit = self.close(call)?;
        let scope = self.scopes.get_mut(&visit.scope).ok_or_else(|| no_scope(visit.scope))?;
        scope.cursor = match next {
            Next::Step(id) => Cursor::At(find_step(graph, id)?),
            Next::End => Cursor::Ended,
        };
        if done {
            scope.last.clone_from(&output);
        }
        match output {
            Some(output) => _ = scope.outputs.insert(visit.step, output),
            None => _ = scope.outputs.remove(&visit.step),
        }
        if let (true, VisitWork::Parallel(children)) = (done, visit.work) {
            scope.outputs.extend(children.results);
        }
        self.ready_scopes.insert(visit.scope);
        Ok(())
    }

    fn step_failed(&mut self, graph: &Graph, call: CallId, failure: &Failure, then: &AfterFailure) -> Applied {
        match then {
            AfterFailure::Continue(next) => {
                self.step_over(graph, call, Some(Json::from_value(error_output(failure))), next, false)
            }
            AfterFailure::Fail => {
                let visit = self.close(call)?;
                let scope = self.scopes.get_mut(&visit.scope).ok_or_else(|| no_scope(visit.scope))?;
                scope.cursor = Cursor::Failed(failure.clone());
                self.ready_scopes.insert(visit.scope);
                Ok(())
            }
        }
    }

    /// Takes a visit away. What it was promised and did not settle is written off as spent. A pause that was about it
    /// is over.
    fn close(&mut self, call: CallId) -> Result<Visit, String> {
        if self.pause.as_ref().is_some_and(|pause| pause.holder == Some(call) || pause.parked.contains(&call)) {
            self.end_pause()?;
        }
        let visit = self.visits.remove(&call).ok_or_else(|| no_call(call))?;
        if visit.work.has_open_children() {
            return Err(format!("ends the call {call} around open scopes"));
        }
        if visit.asking > 0 {
            return Err(format!("ends the call {call} while it asks"));
        }
        self.ready_visits.remove(&call);
        let promised = visit.effects.values().filter_map(|effect| effect.promised.as_ref());
        let open = promised.fold(Amounts::NONE, |sum, promised| sum.plus(promised));
        if !open.is_none() {
            self.change_ledgers(visit.scope, |ledger| ledger.settle(&open, &open));
        }
        Ok(visit)
    }

    fn ended(&mut self, status: Status, output: Option<&Json>, failure: Option<&Failure>) -> Applied {
        self.end = Some(End { status, output: output.cloned(), failure: failure.cloned() });
        self.pause = None;
        self.ready_scopes.clear();
        self.ready_visits.clear();
        Ok(())
    }

    fn visit(&mut self, call: CallId) -> Result<&mut Visit, String> {
        self.visits.get_mut(&call).ok_or_else(|| no_call(call))
    }
}

impl Visit {
    /// Forgets what a failed attempt of a parallel or loop step left.
    fn start_over(&mut self) {
        match &mut self.work {
            VisitWork::Parallel(children) => *children = Children::default(),
            VisitWork::Loop { children, .. } => *children = Children::default(),
            VisitWork::Call { .. } | VisitWork::Condition | VisitWork::Human(_) | VisitWork::Nothing => {}
        }
    }
}

impl VisitWork {
    fn of(work: &Work) -> Result<Self, String> {
        Ok(match work {
            Work::Call { input } => Self::Call { input: input.clone(), parked: false },
            Work::Condition { .. } => Self::Condition,
            Work::Human { request, due } => Self::Human(Asked::new(request, *due)),
            Work::Parallel => Self::Parallel(Children::default()),
            Work::Loop { items, count, .. } => {
                Self::Loop { items: Items::of(items, *count)?, children: Children::<LoopResults>::default() }
            }
            Work::Nothing => Self::Nothing,
        })
    }

    pub(super) fn has_children(&self) -> bool {
        matches!(self, Self::Parallel(_) | Self::Loop { .. })
    }

    fn has_open_children(&self) -> bool {
        match self {
            Self::Parallel(children) => !children.open.is_empty(),
            Self::Loop { children, .. } => !children.open.is_empty(),
            Self::Call { .. } | Self::Condition | Self::Human(_) | Self::Nothing => false,
        }
    }
}

/// `{"error": …}`, what a step leaves that failed and was passed over.
fn error_output(failure: &Failure) -> Value {
    json!({ "error": failure })
}

fn first(graph: &Graph, block: usize) -> Cursor {
    graph.blocks[block].steps.first().map_or(Cursor::Ended, |step| Cursor::At(*step))
}

fn find_step(graph: &Graph, id: &Arc<str>) -> Result<StepIx, String> {
    graph.by_id.get(id).copied().ok_or_else(|| format!("names the step {id:?}, which the workflow does not have"))
}

fn no_scope(id: ScopeId) -> String {
    format!("names the scope {id}, which is not open")
}

fn no_question(call: CallId) -> String {
    format!("is about the call {call}, which asks nobody")
}

fn no_call(id: CallId) -> String {
    format!("names the call {id}, which is not open")
}
