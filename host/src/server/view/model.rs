//! Language models as clients see them: nothing of their keys or addresses.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::FailureView;
use crate::models::{ModelAnswer, ModelView as View, Price, PriceView};

/// A language model that plugins and workflows can name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelView {
    /// Its name here.
    pub alias: String,
    /// `openai` (whatever speaks its protocol), `anthropic`, `gemini`, `ollama` or `scripted`.
    pub provider: &'static str,
    /// Its name at the provider.
    pub model: String,
    /// The operator's word for the data that may be sent there.
    pub data_class: Option<String>,
    /// `known`, `free`, or `unknown`: then a limit of money refuses it, unless the workflow says otherwise.
    pub price_status: &'static str,
    /// What its tokens cost, where that is known.
    pub price: Option<ModelPriceView>,
    /// The most tokens of an answer.
    pub max_tokens: u64,
    /// The most requests at a time.
    pub concurrency: u16,
    /// How long an answer may take, in seconds.
    pub timeout_seconds: u32,
}

/// Dollars per million tokens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelPriceView {
    /// Tokens of a request.
    #[schema(value_type = f64)]
    pub input: Value,
    /// Tokens of an answer.
    #[schema(value_type = f64)]
    pub output: Value,
    /// Tokens of a request that came from the provider's cache.
    #[schema(value_type = Option<f64>)]
    pub cache_read: Value,
    /// Whether long requests cost something else.
    pub has_tiers: bool,
    /// Where the price is from.
    pub version: String,
}

impl From<View> for ModelView {
    fn from(view: View) -> Self {
        let (price_status, price) = match view.price {
            PriceView::Unknown => ("unknown", None),
            PriceView::Free => ("free", Some(ModelPriceView::from(Price::free()))),
            PriceView::Known(price) => ("known", Some(price.into())),
        };
        Self {
            alias: view.alias,
            provider: view.provider.as_str(),
            model: view.model,
            data_class: view.data_class,
            price_status,
            price,
            max_tokens: view.max_tokens,
            concurrency: view.concurrency,
            timeout_seconds: view.timeout_seconds,
        }
    }
}

impl From<Price> for ModelPriceView {
    fn from(price: Price) -> Self {
        let number = |rate| serde_json::to_value(rate).unwrap_or_default();
        Self {
            input: number(Some(price.rates.input)),
            output: number(Some(price.rates.output)),
            cache_read: number(price.rates.cache_read),
            has_tiers: !price.tiers.is_empty(),
            version: price.version,
        }
    }
}

/// What a model that was tried answered, or why it did not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TriedModelView {
    /// The answer's text.
    pub text: Option<String>,
    /// `end`, `tool_calls`, `max_tokens` or `refusal`.
    #[schema(value_type = Option<String>)]
    pub stop: Option<Value>,
    /// Tokens as the provider counted them.
    #[schema(value_type = Option<Object>)]
    pub usage: Option<Json>,
    /// What it cost, in millionths of a US dollar, where the price is known.
    pub cost_microdollars: Option<u64>,
    /// The model that answered, as the provider names it.
    pub response_model: Option<String>,
    /// What was tried: statuses, reasons, waits.
    #[schema(value_type = Vec<Object>)]
    pub attempts: Json,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Why there is no answer.
    pub error: Option<FailureView>,
}

impl TriedModelView {
    /// What an answer shows; `text` is what may be shown of its text.
    #[must_use]
    pub fn answered(answer: &ModelAnswer, text: String, cost_microdollars: Option<u64>) -> Self {
        let json = |value: Result<Value, _>| value.ok().map(Json::from_value);
        Self {
            text: Some(text),
            stop: serde_json::to_value(answer.stop).ok(),
            usage: answer.usage.as_ref().and_then(|usage| json(serde_json::to_value(usage))),
            cost_microdollars,
            response_model: answer.response_model.clone(),
            attempts: json(serde_json::to_value(&answer.attempts)).unwrap_or_else(Json::null),
            latency_ms: Some(answer.latency_ms),
            error: None,
        }
    }

    /// What a failure shows.
    #[must_use]
    pub fn failed(error: FailureView) -> Self {
        let attempts = error.details.as_ref().and_then(|details| details.value().get("attempts").cloned());
        Self {
            text: None,
            stop: None,
            usage: None,
            cost_microdollars: None,
            response_model: None,
            attempts: Json::from_value(attempts.unwrap_or_else(|| Value::Array(Vec::new()))),
            latency_ms: None,
            error: Some(error),
        }
    }
}
