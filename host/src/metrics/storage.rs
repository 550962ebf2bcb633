//! The store's writer: how much it commits at a time, and how long that takes.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{Metrics, registered};

/// What is counted about the store.
pub(super) struct Storage {
    appends: Histogram,
    duration: Histogram,
    events: Counter,
    failed: Counter,
}

impl Storage {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let appends = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]);
        let duration = Histogram::new([0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0]);
        let help = "one transaction with appends, from its beginning until it is on disk";
        registry.register_with_unit("weir_commit_duration", help, Unit::Seconds, duration.clone());
        Self {
            appends: registered(registry, "weir_commit_appends", "appends in one transaction", appends),
            duration,
            events: registered(registry, "weir_events_stored", "events of executions on disk", Counter::default()),
            failed: registered(registry, "weir_commits_failed", "transactions that were undone", Counter::default()),
        }
    }
}

impl Metrics {
    /// So many appends were put on disk together, within so long.
    pub fn committed(&self, appends: usize, took: Duration) {
        let storage = &self.0.storage;
        storage.appends.observe(f64::from(u32::try_from(appends).unwrap_or(u32::MAX)));
        storage.duration.observe(took.as_secs_f64());
    }

    /// A transaction was undone.
    pub fn commit_failed(&self) {
        self.0.storage.failed.inc();
    }

    /// So many events of executions are on disk.
    pub fn events_stored(&self, events: usize) {
        self.0.storage.events.inc_by(u64::try_from(events).unwrap_or(u64::MAX));
    }
}
