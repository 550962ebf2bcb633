//! The gateway to language models: plugins and workflows name an **alias**, the configuration says what stands behind it.
//!
//! A call has two halves. [`Gateway::prepare`] is pure: it says how many tokens a request can cost at most, so that whoever
//! asks can reserve them. [`Gateway::send`] does it: it waits for a place, sends, tries again what is worth it, and reads
//! the answer as it streams. What it returns says everything about the exchange that is worth keeping: every attempt, the
//! tokens as the provider counted them, the model that answered.
//!
//! Each provider's wire format is spoken by `protocol`, over connections that only lead where the egress guard lets them.
//! What comes back is read frame by frame, because an answer is only an answer if its end was seen, a token count only
//! one if the provider gave it, and nothing that a server says may cost more than its share of memory.
//!
//! The gateway knows neither store nor driver: it counts and sends, and keeps no books.

mod answer;
mod chat;
mod config;
mod error;
mod estimate;
mod frames;
mod heard;
mod micros;
mod names;
mod price;
mod protocol;
mod provider;
mod retry;
mod scripted;
mod view;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};
use weir_engine::limits::Amounts;

pub use self::{
    answer::{Attempt, ModelAnswer, StopReason, ToolUse, Usage},
    chat::{ChatRequest, Message, ToolSpec},
    config::{KeySource, ModelConfig, PriceConfig, Provider},
    error::{ModelError, Problem},
    micros::Micros,
    price::{
        FoundPrice, Price, PriceFile, PriceTable, PriceTableError, PricedModel, PricedProvider, Rates, Tier,
        import::{self, ImportError},
    },
    view::{ModelView, PriceView},
};
use self::{names::ToolNames, provider::Service, scripted::Script};
use crate::egress::{Egress, HostPort};

/// A provider's key. It is shown nowhere.
#[derive(Clone)]
pub struct Key(Arc<zeroize::Zeroizing<String>>);

impl Key {
    /// A key from its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Arc::new(zeroize::Zeroizing::new(text)))
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Where keys come from that are named as secrets.
pub trait Keys: Send + Sync {
    /// The key of this name, if there is one that may be sent to `target`. It is asked before every request, so a secret
    /// that was changed or taken away counts at once.
    fn key(&self, name: &str, target: &HostPort) -> Option<Key>;
}

/// No keys at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn key(&self, _name: &str, _target: &HostPort) -> Option<Key> {
        None
    }
}

/// What is told while an answer comes: each piece of its text.
pub type OnDelta<'a> = &'a mut (dyn FnMut(&str) + Send);

/// The gateway. Clones are the same gateway.
#[derive(Clone, Default)]
pub struct Gateway {
    models: Arc<BTreeMap<String, Arc<Model>>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.models.keys()).finish()
    }
}

/// What stands behind an alias.
struct Model {
    alias: String,
    config: ModelConfig,
    price: Option<Price>,
    places: Semaphore,
    backend: Backend,
}

enum Backend {
    Service(Box<Service>),
    Script(Script),
}

/// A request that was looked at and can be sent.
pub struct Prepared {
    model: Arc<Model>,
    request: ChatRequest,
    names: ToolNames,
    /// The most tokens that the request can be counted as.
    pub input_tokens_max: u64,
    /// The most tokens of the answer: what was asked for, at most what the alias allows.
    pub max_tokens: u64,
    /// The price that holds now; `None` if it is not known.
    pub price: Option<Price>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("alias", &self.model.alias)
            .field("input_tokens_max", &self.input_tokens_max)
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// The provider's word in records: `openai`, `scripted`, …
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.model.config.provider.as_str()
    }

    /// The model's name at the provider.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model.config.model
    }

    /// What the call can use at most, if the answer has `max_tokens` tokens at most. The cost is 0 where no price is
    /// known: whether such a call is made is decided elsewhere.
    #[must_use]
    pub fn reservation(&self, max_tokens: u64) -> Amounts {
        let cost = self.price.as_ref().map_or(0, |price| price.cost_max(self.input_tokens_max, max_tokens));
        Amounts {
            requests: 1,
            input_tokens: self.input_tokens_max,
            output_tokens: max_tokens,
            cost_microusd: cost,
            ..Amounts::NONE
        }
    }

    /// The most tokens that an answer may have so that the call costs at most `cost_microusd`; `None` if the prompt alone
    /// costs more. Without a known price it is the answer's wanted length.
    #[must_use]
    pub fn max_tokens_for(&self, cost_microusd: u64) -> Option<u64> {
        let Some(price) = &self.price else { return Some(self.max_tokens) };
        price.output_tokens_for(self.input_tokens_max, self.max_tokens, cost_microusd)
    }

    /// What the call used, of `reserved`: what the provider counted. Whatever it did not count was used to the full, and
    /// a cost that can be computed from what it counted is.
    #[must_use]
    pub fn settle(&self, usage: Option<&Usage>, reserved: &Amounts) -> Amounts {
        let Some(usage) = usage else { return *reserved };
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        let counted = Usage {
            input_tokens: input.or(Some(reserved.input_tokens)),
            output_tokens: output.or(Some(reserved.output_tokens)),
            ..usage.clone()
        };
        Amounts {
            requests: 1,
            input_tokens: counted.input_tokens.unwrap_or_default(),
            output_tokens: counted.output_tokens.unwrap_or_default(),
            cost_microusd: self.price.as_ref().map_or(0, |price| price.cost(&counted)),
            ..Amounts::NONE
        }
    }
}

impl Gateway {
    /// A gateway to these models.
    ///
    /// # Errors
    /// A setting cannot work: says which, and what it should be.
    pub fn new(
        models: &BTreeMap<String, ModelConfig>,
        prices: &PriceTable,
        egress: &Egress,
        keys: &Arc<dyn Keys>,
    ) -> Result<Self, Problem> {
        let opened = models.iter().map(|(alias, config)| {
            let model = Model::open(alias, config, prices, egress, keys)?;
            Ok((alias.clone(), Arc::new(model)))
        });
        Ok(Self { models: Arc::new(opened.collect::<Result<_, Problem>>()?) })
    }

    /// What there is, in the order of the aliases.
    #[must_use]
    pub fn views(&self) -> Vec<ModelView> {
        self.models.values().map(|model| ModelView::new(&model.alias, &model.config, model.price.as_ref())).collect()
    }

    /// Whether there is a model under this alias.
    #[must_use]
    pub fn has(&self, alias: &str) -> bool {
        self.models.contains_key(alias)
    }

    /// Looks at a request: what it can cost at most.
    ///
    /// # Errors
    /// There is no such alias.
    pub fn prepare(&self, request: ChatRequest) -> Result<Prepared, ModelError> {
        let model = self.models.get(&request.alias).ok_or_else(|| self.unknown(&request.alias))?;
        let wanted = request.max_tokens.unwrap_or(model.config.max_tokens).min(model.config.max_tokens);
        let input_tokens_max = match &model.backend {
            Backend::Service(_) => estimate::input_tokens_max(&request, model.config.bytes_per_token),
            Backend::Script(script) => script.input_tokens_max(&request),
        };
        Ok(Prepared {
            names: ToolNames::of(&request),
            input_tokens_max,
            max_tokens: wanted.max(1),
            price: model.price.clone(),
            model: Arc::clone(model),
            request,
        })
    }

    fn unknown(&self, alias: &str) -> ModelError {
        let known: Vec<&str> = self.models.keys().map(String::as_str).collect();
        let advice = match &known[..] {
            [] => "no model is configured: add one under models in the configuration, or set WEIR_MODEL_URL".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        ModelError::new(alias, Problem::invalid(format!("there is no model with this name; {advice}")))
    }

    /// Sends what was prepared, with an answer of at most `max_tokens`, and reads the answer. `on_delta` hears the text as
    /// it comes; nothing is tried again after it has heard something.
    ///
    /// # Errors
    /// Says why there is no answer, what was tried, and whether the provider may have counted something nevertheless.
    pub async fn send(
        &self,
        prepared: &Prepared,
        max_tokens: u64,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelAnswer, ModelError> {
        let model = &prepared.model;
        let begun_at = Instant::now();
        let deadline = begun_at + Duration::from_secs(model.config.timeout_seconds.into());
        let place = tokio::time::timeout_at(deadline, model.places.acquire()).await;
        let Some(_place) = place.ok().and_then(Result::ok).filter(|_| Instant::now() < deadline) else {
            let reason = format!("all {} places of this model stayed taken", model.config.concurrency);
            return Err(ModelError::new(&model.alias, Problem::unavailable(reason)));
        };
        let max_tokens = max_tokens.clamp(1, prepared.max_tokens);
        let mut answer = match &model.backend {
            Backend::Service(service) => service.send(model, prepared, max_tokens, deadline, on_delta).await?,
            Backend::Script(script) => script.send(model, prepared, max_tokens, deadline, on_delta).await?,
        };
        answer.latency_ms = begun_at.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        Ok(answer)
    }
}

impl Model {
    fn open(
        alias: &str,
        config: &ModelConfig,
        prices: &PriceTable,
        egress: &Egress,
        keys: &Arc<dyn Keys>,
    ) -> Result<Self, Problem> {
        let place = |problem: Problem| problem.at(&format!("models.{alias}"));
        config.check(alias).map_err(place)?;
        let backend = match config.provider {
            Provider::Scripted => Backend::Script(Script::read(config).map_err(place)?),
            Provider::Openai | Provider::Anthropic | Provider::Gemini | Provider::Ollama => {
                Backend::Service(Box::new(Service::new(config, egress, Arc::clone(keys)).map_err(place)?))
            }
        };
        Ok(Self {
            alias: alias.to_owned(),
            price: config.price(prices),
            places: Semaphore::new(config.concurrency.into()),
            config: config.clone(),
            backend,
        })
    }
}
