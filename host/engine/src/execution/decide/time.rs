//! Everything that happens because its time has come.

use serde_json::json;

use super::Decide;
use crate::{
    event::{Event, Report},
    execution::state::{Visit, VisitWork},
    failure::{Failure, FailureCode},
    id::{CallId, Timestamp},
};

impl Decide<'_> {
    /// Looks at every time that has come. Runs before any news is taken in, so news that is late is late.
    pub(in crate::execution) fn check_time(&mut self) {
        let state = &self.execution.state;
        if state.end.is_some() {
            return;
        }
        if let Some(deadline) = state.started.deadline
            && deadline <= self.now
        {
            return self.time_out();
        }
        self.let_questions_lapse();
        let now = self.now;
        let state = &self.execution.state;
        let due = |(call, visit): (&CallId, &Visit)| visit.next_due().filter(|due| *due <= now).map(|_| *call);
        for call in state.visits.iter().filter_map(due).collect::<Vec<_>>() {
            self.on_due(call);
        }
    }

    fn on_due(&mut self, call: CallId) {
        let graph = self.execution.graph.clone();
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        if visit.deadline.is_some_and(|deadline| deadline <= self.now) {
            let limit = graph.steps[visit.step].limits.timeout_ms.unwrap_or_default();
            let message = format!("step {} took longer than its timeout of {limit} ms", visit.path);
            return self.fail_visit(call, timed_out(limit, message), Report::default(), false);
        }
        if let Some(due) = visit.retry_due
            && due <= self.now
        {
            let attempt = visit.attempt;
            return self.emit(Event::AttemptStarted { call, attempt });
        }
        if visit.question_due().is_some_and(|due| due <= self.now) {
            self.on_timeout(call);
        }
    }

    fn time_out(&mut self) {
        let limit = self.execution.state.started.limits.timeout_ms.unwrap_or_default();
        self.cancel_all();
        let message = format!("the execution took longer than its timeout of {limit} ms");
        self.emit(Event::ExecutionTimedOut { failure: timed_out(limit, message) });
    }
}

fn timed_out(limit_ms: u64, message: String) -> Failure {
    let details = json!({ "limit": "timeout_seconds", "value": limit_ms as f64 / 1e3 });
    Failure::new(FailureCode::Timeout, message).with_details(details)
}

impl Visit {
    /// The earliest time that matters to this visit.
    pub(in crate::execution) fn next_due(&self) -> Option<Timestamp> {
        [self.deadline, self.retry_due, self.question_due()].into_iter().flatten().min()
    }

    fn question_due(&self) -> Option<Timestamp> {
        match &self.work {
            VisitWork::Human(asked) => asked.due,
            VisitWork::Call { .. }
            | VisitWork::Condition
            | VisitWork::Parallel(_)
            | VisitWork::Loop { .. }
            | VisitWork::Nothing => None,
        }
    }

    /// Whether a plugin call of this visit is in flight.
    pub(in crate::execution) fn runs_plugin(&self) -> bool {
        let is_given_up = self.retry_due.is_some() || self.asking > 0;
        matches!(self.work, VisitWork::Call { parked: false, .. }) && !is_given_up
    }
}
