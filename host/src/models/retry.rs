//! Which tries are repeated, and when.

use std::time::Duration;

use jiff::Timestamp;

/// The wait after the first try, if the provider names none; it doubles.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait that we choose ourselves.
const LONGEST: Duration = Duration::from_secs(8);

/// Whether a provider that answers so may take the same request later: it has too much to do, or broke down before it
/// began. Neither is ever counted as tokens.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429) || status >= 500
}

/// How long to wait after so many tries: as long as the provider says, else twice as long each time. `jitter` is from 0 to
/// 1 and spreads those who failed together.
pub(super) fn wait(tries: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    asked.unwrap_or_else(|| {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST);
        doubled.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0)
    })
}

/// What `Retry-After` and `retry-after-ms` say: milliseconds, seconds, or a date.
pub(super) fn asked(milliseconds: Option<&str>, retry_after: Option<&str>, now: Timestamp) -> Option<Duration> {
    if let Some(milliseconds) = milliseconds.and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let text = retry_after?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_says_when_to_come_back() {
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let seconds = |text| asked(None, Some(text), now);
        assert_eq!(seconds("7"), Some(Duration::from_secs(7)));
        assert_eq!(seconds("Mon, 23 Nov 2026 00:00:05 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(seconds("Sun, 22 Nov 2026 00:00:05 GMT"), Some(Duration::ZERO), "long over");
        assert_eq!(seconds("soon"), None);
        assert_eq!(asked(Some("20"), Some("7"), now), Some(Duration::from_millis(20)));
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        assert_eq!(wait(1, None, 0.0), FIRST);
        assert_eq!(wait(3, None, 0.0), FIRST * 4);
        assert_eq!(wait(90, None, 1.0), LONGEST.mul_f64(1.25));
        assert_eq!(wait(9, Some(Duration::ZERO), 1.0), Duration::ZERO);
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        assert!([408, 429, 500, 502, 503, 504, 529].into_iter().all(is_passing));
        assert!(![301, 400, 401, 403, 404, 409, 413, 422].into_iter().any(is_passing));
    }
}
