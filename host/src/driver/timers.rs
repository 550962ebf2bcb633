//! Wakes executions that left memory when their time comes. One task sleeps until the earliest.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::sync::Notify;
use weir_engine::id::Timestamp;

use super::{Driver, Inner, lock};
use crate::store;

/// The longest sleep: a clock that was set is noticed at the latest then.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The times that matter to executions out of memory.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: Mutex<BTreeSet<(Timestamp, Arc<str>)>>,
    changed: Arc<Notify>,
}

impl Timers {
    /// Wakes an execution then. A timer that is of no use any more wakes it for nothing, which does no harm.
    pub(super) fn set(&self, due: Timestamp, id: Arc<str>) {
        let mut all = lock(&self.due);
        let earliest = all.first().is_none_or(|(first, _)| due < *first);
        all.insert((due, id));
        if earliest {
            self.changed.notify_one();
        }
    }

    #[cfg(test)]
    pub(super) fn is_set(&self, due: Timestamp, id: &Arc<str>) -> bool {
        lock(&self.due).contains(&(due, id.clone()))
    }

    /// Takes those that are due, and tells how long to sleep.
    fn take(&self, now: Timestamp) -> (Vec<Arc<str>>, Duration) {
        let mut all = lock(&self.due);
        let mut due = Vec::new();
        while let Some((first, _)) = all.first()
            && *first <= now
        {
            due.extend(all.pop_first().map(|(_, id)| id));
        }
        let sleep = all.first().map_or(SLEEP_MAX, |(first, _)| until(*first, now));
        (due, sleep.min(SLEEP_MAX))
    }
}

/// From `now` until `due`; zero if it has come.
pub(super) fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}

/// Runs until the driver is gone.
pub(super) async fn run(driver: Weak<Inner>) {
    loop {
        let Some(inner) = driver.upgrade() else { return };
        let (due, sleep) = inner.timers.take(store::now());
        let (changed, driver) = (inner.timers.changed.clone(), Driver { inner });
        due.into_iter().for_each(|id| driver.wake(id));
        drop(driver);
        // A stop of the driver is noticed after the sleep: nothing hangs on it.
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = changed.notified() => {}
        }
    }
}
