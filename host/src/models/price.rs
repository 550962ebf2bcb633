//! What tokens cost. Money is counted in whole millionths of a dollar and rounded up; a price that nobody knows is unknown
//! and never 0.

pub mod import;
mod table;

use serde::{Deserialize, Serialize};

pub use self::table::{FoundPrice, PriceFile, PriceTable, PriceTableError, PricedModel, PricedProvider};
use super::{Micros, PriceConfig, Usage};

/// Prices are for so many tokens.
const PER: u128 = 1_000_000;

/// Dollars per million tokens, by what happens to the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Tokens of a request.
    pub input: Micros,
    /// Tokens of an answer, reasoning included.
    pub output: Micros,
    /// Tokens of a request that came from a cache; as others where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Micros>,
    /// Tokens of a request that were written into a cache; as others where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Micros>,
}

/// Other rates for long requests: they hold for all tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// They hold where a request has more tokens than this.
    pub above_input_tokens: u64,
    /// The rates.
    #[serde(flatten)]
    pub rates: Rates,
}

/// The price of a model, as it is kept with every call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The rates of an ordinary request.
    #[serde(flatten)]
    pub rates: Rates,
    /// The rates of longer ones, from the shortest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// Where it is from: `built-in 2026-11-20 openai/gpt-5`, `configuration`, `free`.
    pub version: String,
}

impl Rates {
    const FREE: Self = Self { input: Micros::new(0), output: Micros::new(0), cache_read: None, cache_write: None };

    pub(super) fn of_config(config: &PriceConfig) -> Self {
        Self { input: config.input, output: config.output, cache_read: config.cached_input, cache_write: None }
    }

    /// The most that a token of a request can cost.
    fn input_max(&self) -> Micros {
        [self.cache_read, self.cache_write].into_iter().flatten().fold(self.input, Ord::max)
    }

    fn cost(&self, usage: &Usage) -> u64 {
        let input = usage.input_tokens.unwrap_or_default();
        let cached = usage.cached_input_tokens.unwrap_or_default().min(input);
        let written = usage.cache_write_tokens.unwrap_or_default().min(input - cached);
        microusd(&[
            (input - cached - written, self.input),
            (cached, self.cache_read.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output_tokens.unwrap_or_default(), self.output),
        ])
    }
}

/// Millionths of a dollar for so many tokens at such rates, rounded up once.
fn microusd(parts: &[(u64, Micros)]) -> u64 {
    let total: u128 = parts.iter().map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate.get())).sum();
    u64::try_from(total.div_ceil(PER)).unwrap_or(u64::MAX)
}

impl Price {
    /// Nothing.
    #[must_use]
    pub fn free() -> Self {
        Self::of_rates(Rates::FREE, "free")
    }

    /// A price without tiers.
    #[must_use]
    pub fn of_rates(rates: Rates, version: &str) -> Self {
        Self { rates, tiers: Vec::new(), version: version.to_owned() }
    }

    /// What a call cost, in millionths of a dollar.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> u64 {
        let input = usage.input_tokens.unwrap_or_default();
        let tier = self.tiers.iter().filter(|tier| input > tier.above_input_tokens);
        tier.max_by_key(|tier| tier.above_input_tokens).map_or(&self.rates, |tier| &tier.rates).cost(usage)
    }

    /// What a call with at most so many tokens costs at most, in millionths of a dollar.
    #[must_use]
    pub fn cost_max(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let one = |rates: &Rates| microusd(&[(input_tokens, rates.input_max()), (output_tokens, rates.output)]);
        self.reached(input_tokens).map(one).max().unwrap_or(0)
    }

    /// The longest answer, up to `wanted`, with which a call costs at most `microusd`; `None` if there is none.
    #[must_use]
    pub fn output_tokens_for(&self, input_tokens: u64, wanted: u64, microusd: u64) -> Option<u64> {
        let room = |rates: &Rates| {
            let left = (u128::from(microusd) * PER)
                .checked_sub(u128::from(input_tokens) * u128::from(rates.input_max().get()))?;
            let tokens = left.checked_div(rates.output.get().into()).unwrap_or(u128::MAX);
            Some(u64::try_from(tokens).unwrap_or(u64::MAX))
        };
        let rooms: Option<Vec<u64>> = self.reached(input_tokens).map(room).collect();
        rooms?.into_iter().fold(wanted, Ord::min).checked_sub(1).map(|less| less + 1)
    }

    /// The rates that a request of at most so many tokens may fall under.
    fn reached(&self, input_tokens: u64) -> impl Iterator<Item = &Rates> {
        let tiers = self.tiers.iter().filter(move |tier| input_tokens > tier.above_input_tokens);
        std::iter::once(&self.rates).chain(tiers.map(|tier| &tier.rates))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates() -> impl Strategy<Value = Rates> {
        let rate = || (0_u64..200_000_000).prop_map(Micros::new);
        (rate(), rate(), prop::option::of(rate()), prop::option::of(rate()))
            .prop_map(|(input, output, cache_read, cache_write)| Rates { input, output, cache_read, cache_write })
    }

    fn price() -> impl Strategy<Value = Price> {
        let tier = (0_u64..300_000, rates()).prop_map(|(above_input_tokens, rates)| Tier { above_input_tokens, rates });
        (rates(), prop::collection::vec(tier, 0..3)).prop_map(|(rates, tiers)| Price {
            rates,
            tiers,
            version: "test".to_owned(),
        })
    }

    fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
        Usage {
            input_tokens: Some(input),
            cached_input_tokens: Some(cached),
            cache_write_tokens: Some(written),
            output_tokens: Some(output),
            reasoning_tokens: None,
        }
    }

    proptest! {
        #[test]
        fn a_call_never_costs_more_than_its_bound(
            price in price(), input_max in 0_u64..400_000, output_max in 0_u64..100_000,
            (part, cached, written, out) in (0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0)
        ) {
            let share = |of: u64, part: f64| (of as f64 * part) as u64;
            let input = share(input_max, part);
            let used = usage(input, share(input, cached), share(input, written), share(output_max, out));
            prop_assert!(price.cost(&used) <= price.cost_max(input_max, output_max));
        }

        #[test]
        fn a_bound_grows_with_what_it_bounds(price in price(), input in 0_u64..400_000, output in 0_u64..100_000) {
            let bound = price.cost_max(input, output);
            prop_assert!(bound <= price.cost_max(input + 1, output) && bound <= price.cost_max(input, output + 1));
        }

        #[test]
        fn a_shortened_answer_fits_and_a_longer_one_does_not(
            price in price(), input in 0_u64..400_000, wanted in 1_u64..100_000, money in 0_u64..5_000_000
        ) {
            match price.output_tokens_for(input, wanted, money) {
                Some(tokens) => {
                    prop_assert!((1..=wanted).contains(&tokens));
                    prop_assert!(price.cost_max(input, tokens) <= money);
                    prop_assert!(tokens == wanted || price.cost_max(input, tokens + 1) > money);
                }
                None => prop_assert!(price.cost_max(input, 1) > money),
            }
        }

        #[test]
        fn rounding_is_up_and_by_less_than_one(tokens in 0_u64..10_000_000, rate in 0_u64..200_000_000) {
            let exact = u128::from(tokens) * u128::from(rate);
            let cost = u128::from(microusd(&[(tokens, Micros::new(rate))]));
            prop_assert!(cost * PER >= exact && cost * PER < exact + PER);
        }
    }

    #[test]
    fn money_is_neither_lost_nor_overflows() {
        let dear = Price::of_rates(Rates { input: Micros::new(u64::MAX), ..Rates::FREE }, "test");
        assert_eq!(dear.cost_max(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(Price::free().cost_max(u64::MAX, u64::MAX), 0);
        assert_eq!(Price::free().output_tokens_for(1_000, 50, 0), Some(50), "what is free is never too dear");
    }

    #[test]
    fn tokens_of_a_cache_have_their_own_price_and_long_requests_another() {
        let rates = |input, output, read| Rates {
            input: Micros::new(input),
            output: Micros::new(output),
            cache_read: Some(Micros::new(read)),
            cache_write: None,
        };
        let tier = Tier { above_input_tokens: 200_000, rates: rates(2_500_000, 15_000_000, 250_000) };
        let price =
            Price { rates: rates(1_250_000, 10_000_000, 125_000), tiers: vec![tier], version: "test".to_owned() };
        assert_eq!(price.cost(&usage(100_000, 40_000, 0, 1_000)), 75_000 + 5_000 + 10_000);
        assert_eq!(price.cost(&usage(200_001, 0, 0, 0)), 500_003, "2.5 a million, rounded up");
        assert_eq!(price.cost_max(200_000, 0), 250_000);
        assert_eq!(price.cost_max(200_001, 0), 500_003);
    }
}
