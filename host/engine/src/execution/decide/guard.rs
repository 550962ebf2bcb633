//! Guardrails at work: nothing begins that would pass a limit of the execution or of any step around.

use std::sync::Arc;

use serde_json::json;

use super::Decide;
use crate::{
    event::{Event, Report, StepType},
    failure::{Failure, FailureCode},
    graph::Step,
    id::{CallId, EffectId, ScopeId},
    limits::{Amounts, Exceeded, Ledger, Limits, OnExceeded, Whose},
};

/// A limit that stands in the way, and whose it is: a visit's, the execution's, or one that it shares with others.
struct Obstacle {
    exceeded: Exceeded,
    holder: Option<CallId>,
    shared_by: Option<Arc<Whose>>,
    pause: bool,
}

impl Step {
    /// The step's own limit that lets it not even begin.
    pub(super) fn limits_refuse_call(&self) -> Option<Exceeded> {
        let mut ask = Amounts::STEP;
        if self.kind.step_type() == StepType::Tool {
            ask = ask.plus(&Amounts::TOOL_CALL);
        }
        Ledger::default().admits(&self.limits, &ask).err()
    }
}

impl Decide<'_> {
    /// Whether everything around a step lets it begin; if not, what follows is decided here.
    pub(super) fn admit_step(&mut self, scope: ScopeId, step: &Step, path: &Arc<str>) -> bool {
        let mut ask = Amounts::STEP;
        if step.kind.step_type() == StepType::Tool {
            ask = ask.plus(&Amounts::TOOL_CALL);
        }
        match self.obstacle(scope, None, &ask) {
            None => true,
            Some(obstacle) => {
                self.on_obstacle(obstacle, &step.id, path, None);
                false
            }
        }
    }

    pub(super) fn on_reserve(&mut self, call: CallId, effect: EffectId, amounts: Amounts) {
        let graph = self.execution.graph.clone();
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        if !visit.runs_plugin() || self.execution.is_admitted(call, &effect) {
            return;
        }
        let (scope, step, path) = (visit.scope, graph.id(visit.step).clone(), visit.path.clone());
        match self.obstacle(scope, Some(call), &amounts) {
            None => self.emit(Event::Reserved { call, effect, amounts }),
            Some(obstacle) => self.on_obstacle(obstacle, &step, &path, Some(call)),
        }
    }

    pub(super) fn on_settle(&mut self, call: CallId, effect: EffectId, used: Amounts) {
        let known = self.execution.state.visits.get(&call).and_then(|visit| visit.effects.get(&effect));
        if known.is_some_and(|known| known.promised.is_some()) {
            self.emit(Event::Settled { call, effect, used });
        }
    }

    pub(super) fn on_resume(&mut self, raise: &Limits, decided_by: String) {
        let state = &self.execution.state;
        let Some(pause) = &state.pause else { return };
        let held =
            pause.holder.and_then(|holder| state.visits.get(&holder)).map_or(&state.limits, |visit| &visit.limits);
        let limits = held.raised_to(raise);
        self.emit(Event::Resumed { limits, decided_by });
    }

    /// The first limit in the way of `ask`, from the inside out: the call's own step, the steps around, the execution,
    /// what it shares with others. Those others cannot be raised by its people, so nothing pauses at them.
    fn obstacle(&self, scope: ScopeId, call: Option<CallId>, ask: &Amounts) -> Option<Obstacle> {
        let state = &self.execution.state;
        for holder in call.into_iter().chain(state.around(scope)) {
            if let Some(visit) = state.visits.get(&holder)
                && let Err(exceeded) = visit.ledger.admits(&visit.limits, ask)
            {
                let pause = visit.limits.on_exceeded == Some(OnExceeded::Pause);
                return Some(Obstacle { exceeded, holder: Some(holder), shared_by: None, pause });
            }
        }
        if let Err(exceeded) = state.ledger.admits(&state.limits, ask) {
            let pause = state.limits.on_exceeded == Some(OnExceeded::Pause);
            return Some(Obstacle { exceeded, holder: None, shared_by: None, pause });
        }
        let drawn = state.ledger.spent().minus(&self.spent_before);
        self.shared.iter().find_map(|shared| {
            let exceeded = shared.admits(&drawn, ask).err()?;
            Some(Obstacle { exceeded, holder: None, shared_by: Some(shared.whose.clone()), pause: false })
        })
    }

    fn on_obstacle(&mut self, obstacle: Obstacle, step: &Arc<str>, path: &Arc<str>, call: Option<CallId>) {
        let Obstacle { exceeded, holder, shared_by, pause } = obstacle;
        if pause {
            self.emit(Event::Paused { step: step.clone(), path: path.clone(), call, holder, exceeded });
            return;
        }
        let failure = match shared_by {
            Some(whose) => shared_failure(&exceeded, &whose, step, path),
            None => failure(&exceeded, step, path),
        };
        match holder {
            Some(holder) => self.fail_visit(holder, failure, Report::default(), false),
            None => {
                self.cancel_all();
                self.emit(Event::ExecutionFailed { failure });
            }
        }
    }
}

/// What a passed limit is to the step or the execution that holds it.
pub(super) fn failure(exceeded: &Exceeded, step: &Arc<str>, path: &Arc<str>) -> Failure {
    let (limit, value) = (&exceeded.limit, exceeded.shown());
    let message = format!("step {path} would pass {limit} = {value}; raise the limit or do less");
    let details = json!({ "limit": limit, "value": value });
    Failure::new(FailureCode::GuardrailExceeded, message).with_details(details).begun_at(step, path)
}

/// What a passed limit is to an execution that shares it with others.
fn shared_failure(exceeded: &Exceeded, whose: &Whose, step: &Arc<str>, path: &Arc<str>) -> Failure {
    let (limit, value) = (&exceeded.limit, exceeded.shown());
    let message = format!("step {path} would pass {limit} = {value} of {}; raise it there or do less", whose.name);
    let mut details = json!({ "limit": limit, "value": value });
    if let (Some(details), Some(more)) = (details.as_object_mut(), whose.details.as_object()) {
        details.extend(more.clone());
    }
    Failure::new(FailureCode::GuardrailExceeded, message).with_details(details).begun_at(step, path)
}
