//! What is counted and timed of one execution: its events, once they are on disk.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use weir_engine::{
    event::{Event, Record, Started, StepType},
    execution::Status,
    failure::{Failure, FailureCode},
    id::{CallId, Timestamp},
};

use crate::{metrics::Metrics, store::StepStatus};

/// What has begun in one execution and is not over.
#[derive(Debug, Default)]
pub(super) struct Observed {
    started_at: Option<Timestamp>,
    open: BTreeMap<CallId, Open>,
    /// The limit that was hit last, and the place where: the same failure passes several blocks.
    hit: Option<(Option<Arc<str>>, String)>,
}

/// A step that has begun.
#[derive(Debug)]
struct Open {
    kind: StepType,
    started_at: Timestamp,
}

impl Observed {
    /// What is open after a log; nothing of it is counted again.
    pub(super) fn of_log(records: &[Record]) -> Self {
        let mut observed = Self::default();
        for record in records {
            observed.keep(record);
        }
        observed
    }

    /// Counts records that are on disk.
    pub(super) fn committed(&mut self, metrics: &Metrics, started: &Started, records: &[Record]) {
        for record in records {
            self.count(metrics, started, record);
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
        self.keep(record);
    }

    /// Keeps what has begun, and forgets what is over.
    fn keep(&mut self, record: &Record) {
        self.started_at.get_or_insert(record.at);
        if let Event::StepStarted { kind, .. } = &record.event {
            self.open.insert(CallId(record.seq), Open { kind: *kind, started_at: record.at });
        } else if let Some((call, _)) = end_of_step(&record.event) {
            self.open.remove(&call);
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

/// What started it, as its log says.
fn trigger_type(started: &Started) -> &str {
    started.trigger.value().get("type").and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

fn failure_of(event: &Event) -> Option<&Failure> {
    if let Event::StepFailed { failure, .. } | Event::ExecutionFailed { failure } = event {
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
