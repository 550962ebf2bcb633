//! Arithmetic on what was measured.

use std::time::Duration;

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// A number of bytes or ticks as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "counters of a bench are far below 2^52")]
pub(crate) fn float64(count: u64) -> f64 {
    count as f64
}

/// The value that `share` of the ascending `values` do not pass; zero of none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into a list, from a share of it")]
pub(crate) fn quantile(values: &[Duration], share: f64) -> Duration {
    let index = (float(values.len()) * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The middle of `values`.
pub(crate) fn median(values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    quantile(values, 0.5)
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Microseconds.
pub(crate) fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_stay_inside_the_list() {
        let values: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&values, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&values, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&values, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
