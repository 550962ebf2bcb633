//! What is counted and timed of one execution: its events, once they are on disk.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use weir_engine::{
    event::{Event, Record, Started, StepType},
    execution::{Execution, Status},
    failure::{Failure, FailureCode},
    graph::{Graph, Kind},
    id::{CallId, ScopeId, Timestamp},
};

use crate::{
    metrics::Metrics,
    spans::{StepSpan, Took, Trace},
    store::StepStatus,
};

/// What has begun in one execution and is not over.
#[derive(Debug, Default)]
pub(super) struct Observed {
    started_at: Option<Timestamp>,
    open: BTreeMap<CallId, Open>,
    /// The limit that was hit last, and the place where: the same failure passes several blocks.
    hit: Option<(Option<Arc<str>>, String)>,
    /// Where it is told what the execution does.
    trace: Option<Trace>,
    /// The visits that scopes belong to, where something is told.
    scopes: BTreeMap<ScopeId, CallId>,
}

/// A step that has begun.
#[derive(Debug)]
struct Open {
    kind: StepType,
    started_at: Timestamp,
    /// What is told of it, if anything.
    about: Option<Box<About>>,
}

/// What is told of a step.
#[derive(Debug)]
struct About {
    step: Arc<str>,
    path: Arc<str>,
    scope: ScopeId,
    attempts: u32,
}

impl Observed {
    /// Nothing has begun.
    pub(super) fn of(trace: Option<Trace>) -> Self {
        Self { trace, ..Self::default() }
    }

    /// What is open after a log; nothing of it is counted again.
    pub(super) fn of_log(trace: Option<Trace>, records: &[Record]) -> Self {
        let mut observed = Self::of(trace);
        for record in records {
            observed.keep(record);
        }
        observed
    }

    /// Counts records that are on disk, and tells of what they end.
    pub(super) fn committed(&mut self, metrics: &Metrics, execution: &Execution, records: &[Record]) {
        for record in records {
            self.count(metrics, execution.started(), record);
            if self.trace.is_some() {
                self.tell(execution, record);
            }
            self.keep(record);
        }
    }

    fn count(&mut self, metrics: &Metrics, started: &Started, record: &Record) {
        if let Event::ExecutionStarted(_) = record.event {
            metrics.execution_started(trigger_type(started));
        }
        if let Event::Paused { exceeded, .. } = &record.event {
            metrics.limit_hit(&exceeded.limit);
        }
        if let Some(limit) = failure_of(&record.event).and_then(|failure| self.limit_of(failure)) {
            metrics.limit_hit(&limit);
        }
        if let Some((call, status)) = end_of_step(&record.event)
            && let Some(open) = self.open.get(&call)
        {
            metrics.step_ended(open.kind.as_str(), status.as_str(), between(open.started_at, record.at));
        }
        if let Some(status) = end_of_execution(&record.event) {
            let began = self.started_at.unwrap_or(record.at);
            metrics.execution_ended(trigger_type(started), status.as_str(), between(began, record.at));
        }
    }

    /// Tells of a step or an execution that ends here.
    fn tell(&self, execution: &Execution, record: &Record) {
        let Some(trace) = &self.trace else { return };
        let failure = failure_of(&record.event).map(|failure| failure.code.as_str());
        if let Some((call, status)) = end_of_step(&record.event)
            && let Some(Open { kind, started_at, about: Some(about) }) = self.open.get(&call)
        {
            trace.step(&StepSpan {
                call,
                around: self.scopes.get(&about.scope).copied(),
                step: &about.step,
                path: &about.path,
                kind: kind.as_str(),
                status: status.as_str(),
                attempts: about.attempts,
                agent: agent(execution.graph(), &about.step),
                took: Took { from: *started_at, to: record.at, failure },
            });
        }
        if let Some(status) = end_of_execution(&record.event) {
            let from = self.started_at.unwrap_or(record.at);
            trace.execution(execution.started(), status.as_str(), Took { from, to: record.at, failure });
        }
    }

    /// Keeps what has begun, and forgets what is over.
    fn keep(&mut self, record: &Record) {
        self.started_at.get_or_insert(record.at);
        if let Event::StepStarted { kind, step, path, scope, .. } = &record.event {
            let about = || About { step: Arc::clone(step), path: Arc::clone(path), scope: *scope, attempts: 1 };
            let about = self.trace.is_some().then(|| Box::new(about()));
            self.open.insert(CallId(record.seq), Open { kind: *kind, started_at: record.at, about });
        } else if let Some((call, _)) = end_of_step(&record.event) {
            self.open.remove(&call);
        } else if self.trace.is_some() {
            self.keep_told(record);
        }
    }

    /// Keeps what only spans tell.
    fn keep_told(&mut self, record: &Record) {
        if let Event::ScopeOpened { call, .. } = record.event {
            self.scopes.insert(ScopeId(record.seq), call);
        }
        if let Event::ScopeCompleted { scope, .. }
        | Event::ScopeFailed { scope, .. }
        | Event::ScopeCancelled { scope } = &record.event
        {
            self.scopes.remove(scope);
        }
        if let Event::AttemptStarted { call, .. } | Event::CallInterrupted { call, .. } = &record.event
            && let Some(Open { about: Some(about), .. }) = self.open.get_mut(call)
        {
            about.attempts += 1;
        }
    }

    /// The limit that a failure tells of, unless it was told of before.
    fn limit_of(&mut self, failure: &Failure) -> Option<String> {
        if failure.code != FailureCode::GuardrailExceeded {
            return None;
        }
        let details = failure.details.as_ref()?.value();
        let hit = (failure.path.clone(), details.get("limit")?.as_str()?.to_owned());
        if self.hit.as_ref() == Some(&hit) {
            return None;
        }
        let limit = hit.1.clone();
        self.hit = Some(hit);
        Some(limit)
    }
}

/// The agent that a step calls, as its author names it.
fn agent<'g>(graph: &'g Graph, step: &str) -> Option<&'g str> {
    let step = graph.by_id.get(step)?;
    let Kind::Agent(invocation) = &graph.steps[*step].kind else { return None };
    Some(&invocation.name)
}

/// What started it, as its log says.
fn trigger_type(started: &Started) -> &str {
    started.trigger.value().get("type").and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

fn failure_of(event: &Event) -> Option<&Failure> {
    if let Event::StepFailed { failure, .. }
    | Event::ExecutionFailed { failure }
    | Event::ExecutionTimedOut { failure } = event
    {
        return Some(failure);
    }
    None
}

/// The step that an event ends, and how.
fn end_of_step(event: &Event) -> Option<(CallId, StepStatus)> {
    if let Event::StepCompleted { call, .. } = event {
        return Some((*call, StepStatus::Completed));
    }
    if let Event::StepSkipped { call, .. } = event {
        return Some((*call, StepStatus::Skipped));
    }
    if let Event::StepFailed { call, failure, .. } = event {
        return Some((*call, StepStatus::of_failure(failure)));
    }
    if let Event::StepCancelled { call } = event {
        return Some((*call, StepStatus::Cancelled));
    }
    None
}

/// How an event ends the execution.
fn end_of_execution(event: &Event) -> Option<Status> {
    if let Event::ExecutionCompleted { .. } = event {
        return Some(Status::Completed);
    }
    if let Event::ExecutionFailed { .. } = event {
        return Some(Status::Failed);
    }
    if let Event::ExecutionTimedOut { .. } = event {
        return Some(Status::Timeout);
    }
    if let Event::ExecutionCancelled { .. } = event {
        return Some(Status::Cancelled);
    }
    None
}
