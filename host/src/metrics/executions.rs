//! Executions and their steps.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{
    Metrics,
    label::{Names, OTHER, OfEnd, OfLimit, OfStatus, OfStep, OfTrigger},
    long_seconds, registered, registered_seconds,
};

/// The most limits that are known by name: those of workflows, and budgets that are shared.
const LIMITS_MAX: usize = 64;
/// What starts executions; everything else is `other`.
const TRIGGERS: [&str; 5] = ["manual", "cron", "webhook", "event", "agent_completion"];

/// What is counted about executions.
pub(super) struct Executions {
    started: Family<OfTrigger, Counter>,
    ended: Family<OfEnd, Counter>,
    duration: Family<OfEnd, Histogram>,
    steps: Family<OfStep, Histogram>,
    occurrences: Family<OfStatus, Counter>,
    limits: Family<OfLimit, Counter>,
    limit_names: Names,
}

impl Executions {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (started, ended) = ("executions whose start is on disk", "executions whose end is on disk");
        let (lived, ran) = ("from an execution's start to its end", "from a step's start to its end");
        let (fired, hit) = ("times that triggers had reason to start something", "times that a limit stood in the way");
        Self {
            started: registered(registry, "weir_executions_started", started, Family::default()),
            ended: registered(registry, "weir_executions_ended", ended, Family::default()),
            duration: registered_seconds(registry, "weir_execution_duration", lived, long_seconds),
            steps: registered_seconds(registry, "weir_step_duration", ran, long_seconds),
            occurrences: registered(registry, "weir_occurrences", fired, Family::default()),
            limits: registered(registry, "weir_limits_hit", hit, Family::default()),
            limit_names: Names::new(LIMITS_MAX),
        }
    }
}

impl Metrics {
    /// An execution was started by a trigger of this type.
    pub fn execution_started(&self, trigger: &str) {
        self.0.executions.started.get_or_create(&OfTrigger { trigger: known(trigger) }).inc();
    }

    /// An execution that a trigger of this type had started ended so, after so long.
    pub fn execution_ended(&self, trigger: &str, status: &'static str, after: Duration) {
        let (labels, executions) = (OfEnd { trigger: known(trigger), status }, &self.0.executions);
        executions.ended.get_or_create(&labels).inc();
        executions.duration.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// A step of this type ended so, after so long.
    pub fn step_ended(&self, kind: &'static str, status: &'static str, after: Duration) {
        let labels = OfStep { r#type: kind, status };
        self.0.executions.steps.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// So many times a trigger had reason to start something, and this became of it.
    pub fn occurrences(&self, status: &'static str, count: u64) {
        self.0.executions.occurrences.get_or_create(&OfStatus { status }).inc_by(count);
    }

    /// A limit stood in the way of something, by the name that authors know it by.
    pub fn limit_hit(&self, limit: &str) {
        let executions = &self.0.executions;
        let limit = executions.limit_names.bounded(limit);
        executions.limits.get_or_create(&OfLimit { limit }).inc();
    }
}

fn known(trigger: &str) -> &'static str {
    TRIGGERS.into_iter().find(|known| *known == trigger).unwrap_or(OTHER)
}
