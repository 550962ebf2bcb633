//! Executions whose tasks panicked, which is a fault of the host: each rests for a while before it is loaded again, longer
//! each time, so that a fault that comes back costs little.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use weir_engine::id::Timestamp;

use super::lock;

/// The rest after the first crash; it doubles with each.
const REST_MS: u64 = 1_000;
/// The longest rest.
const REST_MAX_MS: u64 = 300_000;

/// At most one entry an unfinished execution.
#[derive(Debug, Default)]
pub(super) struct Crashes(Mutex<HashMap<Arc<str>, Crash>>);

#[derive(Debug, Clone, Copy)]
struct Crash {
    rest_ms: u64,
    /// When it may be loaded again.
    due: Timestamp,
}

impl Crashes {
    /// Notes a crash, and tells when the execution may be loaded again.
    pub(super) fn note(&self, id: &Arc<str>, now: Timestamp) -> Timestamp {
        let mut all = lock(&self.0);
        let rest_ms = all.get(id).map_or(REST_MS, |before| REST_MAX_MS.min(before.rest_ms * 2));
        let due = now.plus_ms(rest_ms);
        all.insert(id.clone(), Crash { rest_ms, due });
        due
    }

    /// Until when an execution rests, if it does.
    pub(super) fn rests_until(&self, id: &str, now: Timestamp) -> Option<Timestamp> {
        lock(&self.0).get(id).map(|crash| crash.due).filter(|due| *due > now)
    }

    /// The execution went on well.
    pub(super) fn forget(&self, id: &str) {
        lock(&self.0).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crash_is_followed_by_a_longer_rest_up_to_a_bound() {
        let (crashes, id, now) = (Crashes::default(), Arc::from("x"), Timestamp(0));
        assert_eq!(crashes.rests_until(&id, now), None);
        let rests: Vec<_> = (0..12).map(|_| crashes.note(&id, now).0 / 1_000).collect();
        assert_eq!(rests[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(rests[11], 300_000);
        assert_eq!(crashes.rests_until(&id, now), Some(Timestamp(300_000_000)));
        assert_eq!(crashes.rests_until(&id, Timestamp(300_000_000)), None);
        crashes.forget(&id);
        assert_eq!(crashes.note(&id, now), Timestamp(1_000_000));
    }
}
