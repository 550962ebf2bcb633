//! LiteLLM's format: an object of models, with prices of single tokens.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{Micros, PricedModel, PricedProvider, Rates, Tier},
    hosts,
};

/// The only tier that the format knows of all kinds of prices.
const ABOVE: u64 = 200_000;

#[derive(Deserialize)]
struct Model {
    litellm_provider: Option<String>,
    mode: Option<String>,
    input_cost_per_token: Option<f64>,
    output_cost_per_token: Option<f64>,
    cache_read_input_token_cost: Option<f64>,
    cache_creation_input_token_cost: Option<f64>,
    input_cost_per_token_above_200k_tokens: Option<f64>,
    output_cost_per_token_above_200k_tokens: Option<f64>,
    cache_read_input_token_cost_above_200k_tokens: Option<f64>,
    cache_creation_input_token_cost_above_200k_tokens: Option<f64>,
}

pub(super) fn providers(text: &str) -> Result<Vec<PricedProvider>, serde_json::Error> {
    let models: BTreeMap<String, Value> = serde_json::from_str(text)?;
    let mut providers: BTreeMap<String, PricedProvider> = BTreeMap::new();
    for (name, model) in models {
        // The first entry of the table explains the others and is none itself.
        let Ok(model) = Model::deserialize(&model) else { continue };
        let Some(provider) = model.litellm_provider.clone().filter(|provider| !hosts(provider).is_empty()) else {
            continue;
        };
        let Some(entry) = entry(&provider, &name, &model) else { continue };
        let named = || PricedProvider {
            hosts: hosts(&provider),
            name: provider.clone(),
            source: None,
            checked: None,
            models: Vec::new(),
        };
        providers.entry(provider.clone()).or_insert_with(named).models.push(entry);
    }
    Ok(providers.into_values().collect())
}

fn entry(provider: &str, name: &str, model: &Model) -> Option<PricedModel> {
    if !matches!(model.mode.as_deref(), Some("chat" | "responses")) {
        return None;
    }
    let rates = Rates {
        input: per_million(model.input_cost_per_token)?,
        output: per_million(model.output_cost_per_token)?,
        cache_read: per_million(model.cache_read_input_token_cost),
        cache_write: per_million(model.cache_creation_input_token_cost),
    };
    let above = Rates {
        input: per_million(model.input_cost_per_token_above_200k_tokens).unwrap_or(rates.input),
        output: per_million(model.output_cost_per_token_above_200k_tokens).unwrap_or(rates.output),
        cache_read: per_million(model.cache_read_input_token_cost_above_200k_tokens).or(rates.cache_read),
        cache_write: per_million(model.cache_creation_input_token_cost_above_200k_tokens).or(rates.cache_write),
    };
    let tiers = if above == rates { Vec::new() } else { vec![Tier { above_input_tokens: ABOVE, rates: above }] };
    let name = name.strip_prefix(provider).and_then(|name| name.strip_prefix('/')).unwrap_or(name);
    Some(PricedModel { names: vec![name.to_owned()], rates, tiers, valid_from: None })
}

fn per_million(per_token: Option<f64>) -> Option<Micros> {
    Micros::from_number(per_token? * 1_000_000.0)
}
