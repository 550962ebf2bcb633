//! Counts what goes wrong, by whom, and says when it was too often. Pure but for its lock; its memory is bounded.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lets each key have so many tries in a window; they come back evenly.
#[derive(Debug)]
pub struct Throttle<K> {
    /// The window, divided by the tries in it.
    interval: Duration,
    window: Duration,
    keys_max: usize,
    /// When each key will have all its tries back.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// Lets each key have `tries` in `window`, and remembers at most `keys_max` keys: those that tried most.
    #[must_use]
    pub fn new(tries: u32, window: Duration, keys_max: usize) -> Self {
        Self { interval: window / tries.max(1), window, keys_max: keys_max.max(1), full_at: Mutex::default() }
    }

    /// Takes one of the key's tries.
    ///
    /// # Errors
    /// There is none left: how long it takes until there is one.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = full_at.get(key).map_or(now, |at| (*at).max(now));
        let after = before + self.interval;
        let over = after.saturating_duration_since(now + self.window);
        if !over.is_zero() {
            return Err(over);
        }
        if full_at.len() >= self.keys_max && !full_at.contains_key(key) {
            make_room(&mut full_at, self.keys_max, now);
        }
        full_at.insert(key.clone(), after);
        Ok(())
    }

    /// Gives a try back: it was none.
    pub fn give_back(&self, key: &K) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = full_at.get_mut(key)
            && let Some(earlier) = at.checked_sub(self.interval)
        {
            *at = earlier;
        }
    }

    /// Gives all tries back.
    pub fn forget(&self, key: &K) {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Forgets who has all tries back, and if that is nobody, who tried least.
fn make_room<K: Hash + Eq + Clone>(full_at: &mut HashMap<K, Instant>, keys_max: usize, now: Instant) {
    full_at.retain(|_, at| *at > now);
    if full_at.len() >= keys_max
        && let Some(least) = full_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone())
    {
        full_at.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a13_ten_thousand_tries_are_no_more_than_configured() {
        let (throttle, now) = (Throttle::new(10, 15 * MINUTE, 100), Instant::now());
        let through = (0..10_000).filter(|_| throttle.take(&"alice", now).is_ok()).count();
        assert_eq!(through, 10);
        assert_eq!(throttle.take(&"alice", now), Err(Duration::from_secs(90)));
        assert_eq!(throttle.take(&"bob", now), Ok(()));
        let hour = (0..3_600).filter(|s| throttle.take(&"alice", now + Duration::from_secs(*s)).is_ok()).count();
        assert!(hour <= 40, "{hour}");
    }

    #[test]
    fn tries_come_back() {
        let (throttle, now) = (Throttle::new(2, MINUTE, 100), Instant::now());
        assert!(throttle.take(&1, now).is_ok() && throttle.take(&1, now).is_ok());
        assert!(throttle.take(&1, now).is_err());
        assert!(throttle.take(&1, now + MINUTE / 2).is_ok());
        throttle.give_back(&1);
        assert!(throttle.take(&1, now + MINUTE / 2).is_ok());
        throttle.forget(&1);
        assert!(throttle.take(&1, now + MINUTE / 2).is_ok());
    }

    #[test]
    fn a13_memory_is_bounded_and_the_worst_are_remembered() {
        let (throttle, now) = (Throttle::new(3, MINUTE, 50), Instant::now());
        while throttle.take(&0, now).is_ok() {}
        for key in 1..10_000 {
            throttle.take(&key, now).unwrap();
        }
        assert!(throttle.full_at.lock().unwrap().len() <= 50);
        assert!(throttle.take(&0, now).is_err());
    }
}
