//! What stands behind an alias, as operators write it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

use super::{Micros, Price, PriceTable, Problem, price::Rates};
use crate::egress::{HostPort, check_url};

/// The longest alias.
const ALIAS_BYTES_MAX: usize = 64;
/// The longest wait for an answer that can be set.
const TIMEOUT_SECONDS_MAX: u32 = 3600;
/// The most requests at a time that can be set.
const CONCURRENCY_MAX: u16 = 4096;
/// The most tries that can be set.
const RETRIES_MAX: u8 = 10;
/// The most tokens of an answer that can be set.
pub(super) const ANSWER_TOKENS_MAX: u64 = 1_000_000;

/// A model: who serves it, under which conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Whose protocol is spoken.
    pub provider: Provider,
    /// The model's name at the provider; `scripted` needs none.
    #[serde(default)]
    pub model: String,
    /// Where the API is, up to and without the part that names the operation: `https://api.openai.com/v1`. The
    /// provider's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The key; servers on an operator's own machine often need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// The price, where the price table has none or another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceConfig>,
    /// Whether it costs nothing, as on an operator's own machine.
    #[serde(default)]
    pub free: bool,
    /// A word for the kind of data that may be sent there: shown, and nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_class: Option<String>,
    /// How long an answer may take, waiting and all tries included. 120 by default.
    #[serde(default = "timeout_seconds_default")]
    pub timeout_seconds: u32,
    /// The most requests at a time; others wait. 16 by default.
    #[serde(default = "concurrency_default")]
    pub concurrency: u16,
    /// The most tokens of an answer, and how many are asked for where nobody says. 4096 by default.
    #[serde(default = "max_tokens_default")]
    pub max_tokens: u64,
    /// How many bytes of a request make a token, for the count before it is sent. 1 by default, which no tokenizer
    /// exceeds; 3 or 4 is nearer for most texts, and no promise.
    #[serde(default = "bytes_per_token_default")]
    pub bytes_per_token: Micros,
    /// How often a request is sent again that a provider could not take. 3 by default.
    #[serde(default = "retries_default")]
    pub retries: u8,
    /// The file of rules that `scripted` answers from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<PathBuf>,
}

fn timeout_seconds_default() -> u32 {
    120
}

fn concurrency_default() -> u16 {
    16
}

fn max_tokens_default() -> u64 {
    4096
}

fn bytes_per_token_default() -> Micros {
    Micros::ONE
}

fn retries_default() -> u8 {
    3
}

/// Whose protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// OpenAI's chat completions, which most servers speak.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Ollama's own protocol.
    Ollama,
    /// Answers from a file of rules, for tests and demonstrations.
    Scripted,
}

impl Provider {
    /// Its word in records and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Scripted => "scripted",
        }
    }

    /// Where its API is, unless an operator says otherwise.
    fn base_url(self) -> &'static str {
        match self {
            Self::Openai => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
            Self::Ollama => "http://localhost:11434",
            Self::Scripted => "",
        }
    }
}

/// Where a key is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// In this environment variable, read when the host starts.
    Env(String),
    /// In the secret of this name, which must be bound to the API's host.
    Secret(String),
}

/// A price in dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceConfig {
    /// Tokens of a request.
    pub input: Micros,
    /// Tokens of a request that the provider had in its cache; by default as others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Micros>,
    /// Tokens of an answer.
    pub output: Micros,
}

impl ModelConfig {
    /// The key that the environment holds, if that is where it is.
    #[must_use]
    pub fn key_of_environment(&self) -> Option<String> {
        let Some(KeySource::Env(variable)) = &self.key else { return None };
        std::env::var(variable).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A model with the defaults for everything else.
    #[must_use]
    pub fn new(provider: Provider, model: &str) -> Self {
        Self {
            provider,
            model: model.to_owned(),
            base_url: None,
            key: None,
            price: None,
            free: false,
            data_class: None,
            timeout_seconds: timeout_seconds_default(),
            concurrency: concurrency_default(),
            max_tokens: max_tokens_default(),
            bytes_per_token: bytes_per_token_default(),
            retries: retries_default(),
            script: None,
        }
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// The first setting that cannot work, and what it should be.
    pub fn check(&self, alias: &str) -> Result<(), Problem> {
        let is_word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
        let named = !alias.is_empty() && alias.len() <= ALIAS_BYTES_MAX && alias.bytes().all(is_word);
        let rules = [
            (named, "the name of a model has 1 to 64 lower-case letters, digits, - and _"),
            (self.provider == Provider::Scripted || !self.model.is_empty(), "model: name the model"),
            (self.provider != Provider::Scripted || self.script.is_some(), "script: name the file of rules"),
            (
                self.provider == Provider::Scripted || self.script.is_none(),
                "script: only the provider scripted has one",
            ),
            (!(self.free && self.price.is_some()), "free: a model with a price is not free; say one of them"),
            ((1..=TIMEOUT_SECONDS_MAX).contains(&self.timeout_seconds), "timeout_seconds: write 1 to 3600"),
            ((1..=CONCURRENCY_MAX).contains(&self.concurrency), "concurrency: write 1 to 4096"),
            ((1..=ANSWER_TOKENS_MAX).contains(&self.max_tokens), "max_tokens: write 1 to 1000000"),
            (self.retries <= RETRIES_MAX, "retries: write 0 to 10"),
            (
                (Micros::new(100_000)..=Micros::new(16_000_000)).contains(&self.bytes_per_token),
                "bytes_per_token: write 0.1 to 16",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(Problem::invalid(rule)),
            None => self.check_url(),
        }
    }

    fn check_url(&self) -> Result<(), Problem> {
        if self.provider == Provider::Scripted {
            return Ok(());
        }
        let (url, _) = self.base()?;
        let is_bare = url.query().is_none() && url.fragment().is_none();
        is_bare.then_some(()).ok_or_else(|| Problem::invalid("base_url: leave out what comes after ? and #"))
    }

    /// Where the API is, and whom to connect to.
    pub(super) fn base(&self) -> Result<(Url, HostPort), Problem> {
        let text = self.base_url.as_deref().unwrap_or(self.provider.base_url());
        check_url(text).map_err(|e| Problem::invalid(format!("base_url: {e}")))?;
        let url = Url::parse(text).map_err(|e| Problem::invalid(format!("base_url: {e}")))?;
        let target = HostPort::of_url(&url).ok_or_else(|| Problem::invalid("base_url: it names no host"))?;
        Ok((url, target))
    }

    /// The price that holds: what the operator said, else what the table says of the host that serves the model.
    pub(super) fn price(&self, table: &PriceTable) -> Option<Price> {
        if self.free || (self.provider == Provider::Scripted && self.price.is_none()) {
            return Some(Price::free());
        }
        if let Some(price) = self.price {
            return Some(Price::of_rates(Rates::of_config(&price), "configuration"));
        }
        let (_, target) = self.base().ok()?;
        table.price(&target.host(), &self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ModelConfig {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn a_model_needs_a_provider_and_a_name_and_has_defaults() {
        let config = read("provider: openai\nmodel: gpt-5-mini\nkey: {env: OPENAI_API_KEY}\n");
        assert_eq!((config.timeout_seconds, config.concurrency, config.max_tokens), (120, 16, 4096));
        assert_eq!(config.key, Some(KeySource::Env("OPENAI_API_KEY".to_owned())));
        assert_eq!(config.base().unwrap().1.to_string(), "api.openai.com:443");
        config.check("fast").unwrap();
    }

    #[test]
    fn what_cannot_work_is_named() {
        let base = "provider: openai\nmodel: m\n";
        let cases = [
            ("Fast", base.to_owned(), "lower-case"),
            ("a", "provider: openai\n".to_owned(), "model:"),
            ("a", "provider: scripted\n".to_owned(), "script:"),
            ("a", format!("{base}script: x\n"), "script:"),
            ("a", format!("{base}retries: 11\n"), "retries:"),
            ("a", format!("{base}concurrency: 0\n"), "concurrency:"),
            ("a", format!("{base}timeout_seconds: 0\n"), "timeout_seconds:"),
            ("a", format!("{base}bytes_per_token: 0.01\n"), "bytes_per_token:"),
            ("a", format!("{base}max_tokens: 0\n"), "max_tokens:"),
            ("a", format!("{base}free: true\nprice: {{input: 1, output: 2}}\n"), "free:"),
            ("a", format!("{base}base_url: ftp://x\n"), "base_url:"),
            ("a", format!("{base}base_url: https://u:p@x/v1\n"), "base_url:"),
            ("a", format!("{base}base_url: https://x/v1?key=1\n"), "base_url:"),
        ];
        for (alias, text, place) in cases {
            let problem = read(&text).check(alias).unwrap_err().to_string();
            assert!(problem.contains(place), "{text}: {problem}");
        }
    }

    #[test]
    fn a_price_is_zero_only_if_somebody_said_so() {
        let table = PriceTable::default();
        assert_eq!(read("provider: ollama\nmodel: m\n").price(&table), None);
        assert_eq!(read("provider: ollama\nmodel: m\nfree: true\n").price(&table), Some(Price::free()));
        let priced = read("provider: openai\nmodel: m\nprice: {input: 2.5, output: 10}\n").price(&table).unwrap();
        assert_eq!(priced.cost_max(1_000_000, 1_000_000), 12_500_000);
    }
}
