//! What the host counts and times, as Prometheus reads it. Nothing here knows the rest of the host: whoever does something
//! tells it, and what is known only at the moment (what runs, what waits) is handed in when somebody asks.
//!
//! An observation is a look-up and an atomic addition. Every label has few values: those that are not our own words are
//! counted, and what comes after the first of them is `other`.

mod budgets;
mod executions;
mod label;
mod models;
mod outside;
mod plugins;
mod process;
mod storage;

use std::{fmt, sync::Arc, time::Instant};

use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use self::{budgets::BudgetLevel, models::ModelRequest, plugins::RunningCall};
use self::{
    budgets::Budgets, executions::Executions, models::Models, outside::Outside, plugins::Plugins, process::Process,
    storage::Storage,
};

/// What the text is, for those who ask over HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    begun: Instant,
    executions: Executions,
    plugins: Plugins,
    models: Models,
    budgets: Budgets,
    storage: Storage,
    outside: Outside,
    process: Process,
    levels: [Gauge; 5],
    uptime: Gauge,
}

/// What is so at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels {
    /// Executions in memory.
    pub executions_in_memory: usize,
    /// How many more executions may be in memory.
    pub executions_room: usize,
    /// Writes that wait for the store's writer.
    pub writes_waiting: usize,
    /// Event streams that are open.
    pub event_streams: usize,
    /// Whether requests are answered: 1, or 0.
    pub ready: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("weir_build", "which program this is", version);
        let level =
            |registry: &mut Registry, name: &str, help: &str| registered(registry, name, help, Gauge::default());
        let levels = [
            level(&mut registry, "weir_executions_in_memory", "executions in memory: they run, or wait for a moment"),
            level(&mut registry, "weir_executions_room", "how many more executions may be in memory"),
            level(&mut registry, "weir_writes_waiting", "writes that wait for the one writer"),
            level(&mut registry, "weir_event_streams", "streams of events that are open"),
            level(&mut registry, "weir_ready", "whether requests are answered"),
        ];
        let uptime: Gauge = Gauge::default();
        registry.register_with_unit("weir_uptime", "how long the host runs", Unit::Seconds, uptime.clone());
        Self(Arc::new(Inner {
            begun: Instant::now(),
            executions: Executions::register(&mut registry),
            plugins: Plugins::register(&mut registry),
            models: Models::register(&mut registry),
            budgets: Budgets::register(&mut registry),
            storage: Storage::register(&mut registry),
            outside: Outside::register(&mut registry),
            process: Process::register(&mut registry),
            levels,
            uptime,
            registry,
        }))
    }
}

impl Metrics {
    /// Everything as text (OpenMetrics 1.0), together with what is so at the moment. Reads `/proc`, so it is not for a
    /// task that others wait for.
    #[must_use]
    pub fn text(&self, levels: Levels) -> String {
        let inner = &*self.0;
        let Levels { executions_in_memory, executions_room, writes_waiting, event_streams, ready } = levels;
        let values = [executions_in_memory, executions_room, writes_waiting, event_streams, usize::from(ready)];
        for (gauge, value) in inner.levels.iter().zip(values) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        inner.uptime.set(i64::try_from(inner.begun.elapsed().as_secs()).unwrap_or(i64::MAX));
        inner.process.look();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &inner.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Registers a metric and hands it back.
fn registered<M: prometheus_client::registry::Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    metric: M,
) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a family of histograms of seconds; the unit is added to the name.
fn registered_seconds<L>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    buckets: fn() -> Histogram,
) -> Family<L, Histogram>
where
    L: Clone + std::hash::Hash + Eq + prometheus_client::encoding::EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::new_with_constructor(buckets);
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

/// From a tenth of a millisecond to five minutes: calls and effects.
fn call_seconds() -> Histogram {
    Histogram::new([0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0])
}

/// From a millisecond to a week: what may wait for people.
fn long_seconds() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3_600.0, 86_400.0, 604_800.0])
}

#[cfg(test)]
mod tests;
