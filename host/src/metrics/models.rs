//! Requests to models: how many, how long, how many tokens, how much money.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{
    Metrics, call_seconds,
    label::{Names, OfModel, OfModelOutcome, OfTokens},
    registered, registered_seconds,
};

/// The most aliases and providers that are known by name.
const ALIASES_MAX: usize = 64;
const PROVIDERS_MAX: usize = 16;

/// A request to a model that is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelRequest<'a> {
    /// The alias that the plugin named.
    pub alias: &'a str,
    /// Who answers for it: `openai`, `anthropic`, `scripted`, …
    pub provider: &'a str,
    /// `ok`, or what kind of failure.
    pub outcome: &'static str,
    /// Tokens that were sent, cached ones included.
    pub input_tokens: u64,
    /// Of them, those that the provider had in its cache.
    pub cached_tokens: u64,
    /// Tokens that were answered, those of reasoning included.
    pub output_tokens: u64,
    /// Of them, those of reasoning.
    pub reasoning_tokens: u64,
    /// What it cost, in millionths of a US dollar; `None` where the price is not known.
    pub cost_microusd: Option<u64>,
    /// From the request to the end of the answer, attempts that failed included.
    pub latency: Duration,
}

/// What is counted about models.
pub(super) struct Models {
    requests: Family<OfModelOutcome, Counter>,
    latency: Family<OfModel, Histogram>,
    tokens: Family<OfTokens, Counter>,
    cost: Family<OfModel, Counter>,
    unpriced: Family<OfModel, Counter>,
    aliases: Names,
    providers: Names,
}

impl Models {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let tokens = "tokens; cached is part of input, reasoning of output";
        let (cost, unpriced) = ("money, in millionths of a US dollar", "requests whose price is not known");
        let (requests, latency) = ("requests to models", "from a request to the end of its answer");
        Self {
            requests: registered(registry, "weir_model_requests", requests, Family::default()),
            latency: registered_seconds(registry, "weir_model_request_duration", latency, call_seconds),
            tokens: registered(registry, "weir_model_tokens", tokens, Family::default()),
            cost: registered(registry, "weir_model_cost_microusd", cost, Family::default()),
            unpriced: registered(registry, "weir_model_requests_unpriced", unpriced, Family::default()),
            aliases: Names::new(ALIASES_MAX),
            providers: Names::new(PROVIDERS_MAX),
        }
    }
}

impl Metrics {
    /// A request to a model is over, well or not.
    pub fn model_request(&self, request: &ModelRequest<'_>) {
        let models = &self.0.models;
        let (alias, provider) = (models.aliases.bounded(request.alias), models.providers.bounded(request.provider));
        let of_model = OfModel { alias: alias.clone(), provider: provider.clone() };
        let outcome = request.outcome;
        let labels = OfModelOutcome { alias: alias.clone(), provider: provider.clone(), outcome };
        models.requests.get_or_create(&labels).inc();
        models.latency.get_or_create(&of_model).observe(request.latency.as_secs_f64());
        let tokens = [
            ("input", request.input_tokens),
            ("cached", request.cached_tokens),
            ("output", request.output_tokens),
            ("reasoning", request.reasoning_tokens),
        ];
        for (kind, count) in tokens {
            let labels = OfTokens { alias: alias.clone(), provider: provider.clone(), kind };
            models.tokens.get_or_create(&labels).inc_by(count);
        }
        match request.cost_microusd {
            Some(cost) => models.cost.get_or_create(&of_model).inc_by(cost),
            None => models.unpriced.get_or_create(&of_model).inc(),
        };
    }
}
