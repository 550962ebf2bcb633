//! Calls of plugins, and what running calls ask the host to do.

use std::time::{Duration, Instant};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    Metrics, call_seconds,
    label::{OfFailure, OfKind, OfOutcome},
    registered, registered_seconds,
};

/// What is counted about plugins.
pub(super) struct Plugins {
    calls: Family<OfOutcome, Histogram>,
    running: Family<OfKind, Gauge>,
    failures: Family<OfFailure, Counter>,
    effects: Family<OfOutcome, Histogram>,
}

impl Plugins {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (calls, running) = ("calls of plugins, the wait for a place included", "calls of plugins that run or wait");
        let (failures, effects) = ("calls of plugins that failed", "what running calls asked the host to do");
        Self {
            calls: registered_seconds(registry, "weir_plugin_call_duration", calls, call_seconds),
            running: registered(registry, "weir_plugin_calls_running", running, Family::default()),
            failures: registered(registry, "weir_plugin_failures", failures, Family::default()),
            effects: registered_seconds(registry, "weir_effect_duration", effects, call_seconds),
        }
    }
}

impl Metrics {
    /// A call of a tool or an agent begins. It is over when what comes back is dropped.
    #[must_use = "the call ends when this is dropped"]
    pub fn call_begins(&self, kind: &'static str) -> RunningCall {
        self.0.plugins.running.get_or_create(&OfKind { kind }).inc();
        RunningCall { metrics: self.clone(), kind, outcome: "dropped", begun: Instant::now() }
    }

    /// A plugin's call failed with this code.
    pub fn plugin_failure(&self, kind: &'static str, code: &'static str) {
        self.0.plugins.failures.get_or_create(&OfFailure { kind, code }).inc();
    }

    /// A running call asked the host to do something of this kind (`model`, `tool`, `http`, `kv`), and this became of it
    /// (`ok`, `denied`, `replayed`, a failure's code), after so long.
    pub fn effect(&self, kind: &'static str, outcome: &'static str, latency: Duration) {
        let labels = OfOutcome { kind, outcome };
        self.0.plugins.effects.get_or_create(&labels).observe(latency.as_secs_f64());
    }
}

/// A call that runs.
#[derive(Debug)]
pub struct RunningCall {
    metrics: Metrics,
    kind: &'static str,
    outcome: &'static str,
    begun: Instant,
}

impl RunningCall {
    /// The call ended well, or with this code.
    pub fn ended(mut self, failure: Option<&'static str>) {
        self.outcome = if failure.is_none() { "completed" } else { "failed" };
        if let Some(code) = failure {
            self.metrics.plugin_failure(self.kind, code);
        }
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let (plugins, labels) = (&self.metrics.0.plugins, OfOutcome { kind: self.kind, outcome: self.outcome });
        plugins.running.get_or_create(&OfKind { kind: self.kind }).dec();
        plugins.calls.get_or_create(&labels).observe(self.begun.elapsed().as_secs_f64());
    }
}
