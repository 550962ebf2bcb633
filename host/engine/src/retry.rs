//! When to try again.

use crate::{graph::Retry, id::Timestamp};

impl Retry {
    /// When attempt `attempt` (from 1) is due if the one before ended at `now`:
    /// `initial_interval_ms × backoff^(attempt − 1)`, at most `max_interval_ms` later.
    #[must_use]
    pub fn due(&self, attempt: u32, now: Timestamp) -> Timestamp {
        now.plus_ms(self.wait_ms(attempt))
    }

    /// Milliseconds to wait before attempt `attempt`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "waits are far below 2^52 ms")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and max_interval_ms")]
    pub fn wait_ms(&self, attempt: u32) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = self.initial_interval_ms as f64 * self.backoff.powi(exponent);
        if wait.is_finite() { wait.min(self.max_interval_ms as f64) as u64 } else { self.max_interval_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_the_factor_up_to_the_longest() {
        let retry = Retry { max_attempts: 9, initial_interval_ms: 100, backoff: 2.0, max_interval_ms: 1_000 };
        let waits: Vec<u64> = (1..=6).map(|n| retry.wait_ms(n)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(retry.wait_ms(u32::MAX), 1_000);
    }
}
