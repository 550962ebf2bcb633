//! What is told of a model: nothing of its key or its address.

use serde::Serialize;

use super::{ModelConfig, Price, Provider};

/// A model as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelView {
    /// Its name here.
    pub alias: String,
    /// Whose protocol is spoken.
    pub provider: Provider,
    /// Its name at the provider.
    pub model: String,
    /// The operator's word for the data that may be sent there.
    pub data_class: Option<String>,
    /// What its tokens cost.
    pub price: PriceView,
    /// The most tokens of an answer.
    pub max_tokens: u64,
    /// The most requests at a time.
    pub concurrency: u16,
    /// How long an answer may take, in seconds.
    pub timeout_seconds: u32,
}

/// What is known of a price.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PriceView {
    /// Nobody knows; a money limit refuses such calls.
    Unknown,
    /// Nothing: somebody said so.
    Free,
    /// This.
    Known(Price),
}

impl ModelView {
    pub(super) fn new(alias: &str, config: &ModelConfig, price: Option<&Price>) -> Self {
        let price = match price {
            None => PriceView::Unknown,
            Some(price) if *price == Price::free() => PriceView::Free,
            Some(price) => PriceView::Known(price.clone()),
        };
        Self {
            alias: alias.to_owned(),
            provider: config.provider,
            model: config.model.clone(),
            data_class: config.data_class.clone(),
            price,
            max_tokens: config.max_tokens,
            concurrency: config.concurrency,
            timeout_seconds: config.timeout_seconds,
        }
    }
}
