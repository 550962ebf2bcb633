//! What is left to spend, and whether it is enough for more than one request.

use weir_sdk::context::{self, Budget};
use weir_sdk::model::Usage;

/// A request is thought to take what the last one took, and half of it again: conversations grow.
const GROWTH: (u64, u64) = (3, 2);

/// Whether the next request should be the last, because what is left would not do for two.
pub(crate) fn is_nearly_empty(last: Option<Usage>) -> bool {
    is_short(&context::budget(), last.unwrap_or_default())
}

/// The tool calls that may still be made.
pub(crate) fn tool_calls_left() -> usize {
    context::budget().tool_calls.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX))
}

fn is_short(left: &Budget, last: Usage) -> bool {
    let input = last.input_tokens.unwrap_or(0);
    let output = last.output_tokens.unwrap_or(0);
    let two_do_not_fit = |left: Option<u64>, last: u64| {
        let next = last.saturating_mul(GROWTH.0) / GROWTH.1;
        left.is_some_and(|left| last > 0 && left < next.saturating_mul(2))
    };
    left.requests.is_some_and(|left| left <= 1)
        || two_do_not_fit(left.input_tokens, input)
        || two_do_not_fit(left.output_tokens, output)
        || two_do_not_fit(left.total_tokens, input.saturating_add(output))
        || two_do_not_fit(left.cost_microdollars, last.cost_microdollars.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_is_nearly_empty_where_two_requests_do_not_fit() {
        let last =
            Usage { input_tokens: Some(100), output_tokens: Some(20), cost_microdollars: Some(8), ..Usage::default() };
        let short = |left: Budget| is_short(&left, last);
        assert!(!short(Budget::default()));
        assert!(short(Budget { requests: Some(1), ..Budget::default() }));
        assert!(!short(Budget { requests: Some(2), ..Budget::default() }));
        assert!(short(Budget { input_tokens: Some(299), ..Budget::default() }));
        assert!(!short(Budget { input_tokens: Some(300), ..Budget::default() }));
        assert!(short(Budget { output_tokens: Some(59), ..Budget::default() }));
        assert!(short(Budget { total_tokens: Some(359), ..Budget::default() }));
        assert!(short(Budget { cost_microdollars: Some(23), ..Budget::default() }));
        assert!(!is_short(&Budget { total_tokens: Some(5), ..Budget::default() }, Usage::default()));
    }
}
