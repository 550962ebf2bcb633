//! The format of `genai-prices`: providers, models with conditions on their names, prices that may begin on a day.

use serde::Deserialize;

use super::{
    super::{Micros, PricedModel, PricedProvider, Rates, Tier},
    hosts,
};

#[derive(Deserialize)]
struct Provider {
    id: String,
    #[serde(default)]
    pricing_urls: Vec<String>,
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "match")]
    names: Condition,
    prices: Prices,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    Equals(String),
    StartsWith(String),
    Or(Vec<Condition>),
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prices {
    Always(Box<Price>),
    Sometimes(Vec<Dated>),
}

#[derive(Deserialize)]
struct Dated {
    constraint: Option<Constraint>,
    prices: Price,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Constraint {
    From { start_date: String },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Price {
    input_mtok: Option<Amount>,
    output_mtok: Option<Amount>,
    cache_read_mtok: Option<Amount>,
    cache_write_mtok: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Flat(Micros),
    Tiered { base: Micros, tiers: Vec<AmountTier> },
}

#[derive(Deserialize)]
struct AmountTier {
    start: u64,
    price: Micros,
}

pub(super) fn providers(text: &str, today: &str) -> Result<Vec<PricedProvider>, serde_json::Error> {
    let providers: Vec<Provider> = serde_json::from_str(text)?;
    let known = providers.into_iter().filter(|provider| !hosts(&provider.id).is_empty());
    Ok(known.map(|provider| priced(provider, today)).collect())
}

fn priced(provider: Provider, today: &str) -> PricedProvider {
    PricedProvider {
        hosts: hosts(&provider.id),
        name: provider.id,
        source: provider.pricing_urls.into_iter().next(),
        checked: None,
        models: provider.models.into_iter().filter_map(|model| entry(&model, today)).collect(),
    }
}

fn entry(model: &Model, today: &str) -> Option<PricedModel> {
    let mut names = Vec::new();
    collect(&model.names, &mut names);
    let (price, valid_from) = match &model.prices {
        Prices::Always(price) => (&**price, None),
        Prices::Sometimes(dated) => dated.iter().rev().find_map(|dated| match &dated.constraint {
            None => Some((&dated.prices, None)),
            Some(Constraint::From { start_date }) if start_date.as_str() <= today => {
                Some((&dated.prices, Some(start_date.clone())))
            }
            Some(Constraint::From { .. } | Constraint::Other(_)) => None,
        })?,
    };
    let rates = rates_of(price, 0)?;
    let starts = [&price.input_mtok, &price.output_mtok, &price.cache_read_mtok].into_iter().flatten();
    let mut starts: Vec<u64> = starts.flat_map(Amount::starts).collect();
    starts.sort_unstable();
    starts.dedup();
    let tiers =
        starts.into_iter().filter_map(|start| Some(Tier { above_input_tokens: start, rates: rates_of(price, start)? }));
    (!names.is_empty()).then(|| PricedModel { names, rates, tiers: tiers.collect(), valid_from })
}

fn collect(condition: &Condition, names: &mut Vec<String>) {
    match condition {
        Condition::Equals(name) => names.push(name.clone()),
        Condition::StartsWith(beginning) => names.push(format!("{beginning}*")),
        Condition::Or(conditions) => conditions.iter().for_each(|condition| collect(condition, names)),
        Condition::Other(_) => {}
    }
}

/// The rates of requests with more than `start` tokens; `None` if a direction has none.
fn rates_of(price: &Price, start: u64) -> Option<Rates> {
    let at = |amount: &Option<Amount>| amount.as_ref().map(|amount| amount.at(start));
    Some(Rates {
        input: at(&price.input_mtok)?,
        output: at(&price.output_mtok)?,
        cache_read: at(&price.cache_read_mtok),
        cache_write: at(&price.cache_write_mtok),
    })
}

impl Amount {
    fn at(&self, start: u64) -> Micros {
        match self {
            Self::Flat(price) => *price,
            Self::Tiered { base, tiers } => {
                tiers.iter().filter(|tier| tier.start <= start).max_by_key(|tier| tier.start).map_or(*base, |t| t.price)
            }
        }
    }

    fn starts(&self) -> Vec<u64> {
        match self {
            Self::Flat(_) => Vec::new(),
            Self::Tiered { tiers, .. } => tiers.iter().map(|tier| tier.start).collect(),
        }
    }
}
