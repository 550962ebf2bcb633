//! When a notice is tried again.

use std::time::Duration;

/// How often a notice is tried before it is given up.
pub const ATTEMPTS_MAX: u32 = 8;

/// The seconds after each failed attempt but the last: a day in all.
const DELAYS_S: [u64; 7] = [60, 5 * 60, 15 * 60, 3600, 3 * 3600, 8 * 3600, 12 * 3600];

/// The largest share of a delay that is added, so that what failed together does not come back together.
const JITTER_SHARE: f64 = 0.1;

/// How long to wait when so many attempts have failed; `None` when it is to be given up. `jitter` is a random number
/// from 0 to 1. What the other side asked for (`Retry-After`) is waited for at least.
#[must_use]
pub fn delay_after(attempts_failed: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let index = usize::try_from(attempts_failed.checked_sub(1)?).ok()?;
    let delay = Duration::from_secs(*DELAYS_S.get(index)?);
    let longest = Duration::from_secs(DELAYS_S[DELAYS_S.len() - 1]);
    let asked = retry_after.unwrap_or_default().min(longest);
    Some(delay.max(asked).mul_f64(1.0 + JITTER_SHARE * jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_attempts_take_about_a_day_and_then_end() {
        let delays: Vec<_> = (1..ATTEMPTS_MAX).map(|failed| delay_after(failed, None, 0.0).unwrap()).collect();
        let hours = delays.iter().sum::<Duration>().as_secs_f64() / 3600.0;
        assert!((24.0..25.0).contains(&hours), "{hours}");
        assert!(delays.is_sorted());
        for failed in [0, ATTEMPTS_MAX, u32::MAX] {
            assert_eq!(delay_after(failed, None, 0.5), None, "{failed}");
        }
    }

    #[test]
    fn chance_only_adds_and_only_a_little() {
        let (least, most) = (Duration::from_secs(60), Duration::from_secs(66));
        for jitter in [0.0, 0.3, 1.0, 7.0, -1.0, f64::INFINITY] {
            assert!((least..=most).contains(&delay_after(1, None, jitter).unwrap()), "{jitter}");
        }
    }

    #[test]
    fn the_other_side_may_ask_for_more_time_but_not_for_ever() {
        let asked = |s| delay_after(1, Some(Duration::from_secs(s)), 0.0).unwrap().as_secs();
        assert_eq!((asked(1), asked(120), asked(u64::MAX)), (60, 120, 12 * 3600));
    }
}
