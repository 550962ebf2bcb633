//! Tools that a running call may call only with a person's leave: the call is given up while somebody is asked, and made
//! again, answered from its record, when nobody is asked any more.

use super::Decide;
use crate::{
    event::Event,
    execution::{Ask, state::Deferred},
    id::CallId,
};

impl Decide<'_> {
    /// Asks people about the tools that nobody was asked about yet.
    pub(super) fn on_defer(&mut self, call: CallId, asks: Vec<Ask>) {
        let graph = self.execution.graph.clone();
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        if !visit.runs_plugin() {
            return;
        }
        let (step, path) = (graph.id(visit.step).clone(), visit.path.clone());
        let is_new = |ask: &Ask| !visit.verdicts.contains_key(&ask.effect) && !visit.effects.contains_key(&ask.effect);
        for Ask { effect, request, due } in asks.into_iter().filter(is_new).collect::<Vec<_>>() {
            let (step, path) = (step.clone(), path.clone());
            self.emit(Event::Deferred { call, effect, step, path, request, due });
        }
    }

    /// Nobody has to answer any more: the visit ends.
    pub(super) fn withdraw_questions(&mut self, call: CallId) {
        let of = |(question, deferred): (&CallId, &Deferred)| (deferred.of == call).then_some(*question);
        for question in self.execution.state.deferred.iter().filter_map(of).collect::<Vec<_>>() {
            self.emit(Event::Withdrawn { call: question });
        }
    }

    /// Questions whose time is up allow nothing.
    pub(in crate::execution) fn let_questions_lapse(&mut self) {
        let now = self.now;
        let due = |(question, deferred): (&CallId, &Deferred)| {
            deferred.asked.due.filter(|due| *due <= now).map(|_| *question)
        };
        for question in self.execution.state.deferred.iter().filter_map(due).collect::<Vec<_>>() {
            self.emit(Event::Lapsed { call: question });
        }
    }
}
