//! How many refusals are written down: some at once, then one a second and trigger. The others are only counted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use weir_engine::id::Timestamp;

/// How many may come at once.
const BURST: i64 = 20;
/// Microseconds until there is room for another.
const INTERVAL_US: i64 = 1_000_000;

/// The state of each trigger.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Arc<str>, Room>>);

/// How much room there is: the time up to which it is used. Times before now are free.
#[derive(Debug, Default, Clone, Copy)]
struct Room {
    used_until: i64,
    left_out: u64,
}

impl Refusals {
    /// Whether another one may be written at `now`, and how many before it were not.
    pub(super) fn admit(&self, trigger_id: &Arc<str>, now: Timestamp) -> Option<u64> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.entry(Arc::clone(trigger_id)).or_default().admit(now.0)
    }
}

impl Room {
    fn admit(&mut self, now: i64) -> Option<u64> {
        let full = now + BURST * INTERVAL_US;
        // Beyond that it is a clock that was set back, which must not close the room.
        let used_until = if self.used_until > full { now } else { self.used_until.max(now) };
        if used_until + INTERVAL_US > full {
            self.left_out += 1;
            return None;
        }
        self.used_until = used_until + INTERVAL_US;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_little_of_it_written() {
        let mut room = Room::default();
        let at = |seconds: i64| 1_700_000_000_000_000 + seconds * INTERVAL_US;
        let written = (0..10_000).filter_map(|_| room.admit(at(0))).count();
        assert_eq!(written, 20);
        assert_eq!(room.admit(at(1)), Some(9_980));
        assert_eq!(room.admit(at(1)), None);
        assert_eq!((0..100).filter_map(|_| room.admit(at(60))).count(), 20);
    }

    #[test]
    fn a_clock_that_is_set_back_closes_nothing_for_long() {
        let mut room = Room::default();
        let year = 365 * 86_400 * INTERVAL_US;
        for _ in 0..30 {
            room.admit(2 * year);
        }
        room.admit(year);
        assert!(room.admit(year + 2 * INTERVAL_US).is_some());
    }
}
