//! The table of prices: the one that comes with the program, and an operator's own file, which is stronger.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Price, Rates, Tier};

/// The prices that come with the program.
const BUILT_IN: &str = include_str!("../../../prices.toml");

/// Prices by who serves a model and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceTable {
    /// The stronger first.
    files: Vec<PriceFile>,
}

/// Why a file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceTableError {
    /// It cannot be read.
    #[error("could not read the prices in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It says something that is not understood.
    #[error("could not understand the prices in {}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// A file of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// What prices of this file are called in records, with the date on which they were looked at.
    pub version: String,
    /// Who serves models.
    #[serde(default, rename = "provider")]
    pub providers: Vec<PricedProvider>,
}

/// Somebody who serves models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedProvider {
    /// Its name.
    pub name: String,
    /// The hosts that it serves them from. The prices hold for no others: the same model costs something else elsewhere.
    pub hosts: Vec<String>,
    /// Where the prices were published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The day on which somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// Its models.
    #[serde(default, rename = "model")]
    pub models: Vec<PricedModel>,
}

/// The price of one model, or of several that cost the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedModel {
    /// What it is called; a star at the end stands for any ending. An exact name is stronger, and the longer beginning.
    pub names: Vec<String>,
    /// Dollars per million tokens.
    pub rates: Rates,
    /// Other rates for long requests.
    #[serde(default, rename = "tier", skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The first day on which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
}

/// A price that was found, with where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundPrice {
    /// Who serves the model.
    pub provider: String,
    /// Where the price was published.
    pub source: Option<String>,
    /// The day on which somebody looked.
    pub checked: Option<String>,
    /// The entry.
    #[serde(flatten)]
    pub entry: PricedModel,
    /// The price as it is kept with calls.
    #[serde(skip)]
    pub price: Price,
}

impl PriceTable {
    /// The prices that come with the program, below those of an operator's file.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn load(own: Option<&Path>) -> Result<Self, PriceTableError> {
        let own = own.map(|path| {
            let failed = |source| PriceTableError::Read { path: path.to_owned(), source };
            let text = std::fs::read_to_string(path).map_err(failed)?;
            read(&text).map_err(|reason| PriceTableError::Parse { path: path.to_owned(), reason })
        });
        let built_in = read(BUILT_IN)
            .map_err(|reason| PriceTableError::Parse { path: "prices.toml (built in)".into(), reason })?;
        Ok(Self { files: own.transpose()?.into_iter().chain([built_in]).collect() })
    }

    /// What a model costs that this host serves.
    pub(in crate::models) fn price(&self, host: &str, model: &str) -> Option<Price> {
        let serves = |provider: &PricedProvider| provider.hosts.iter().any(|own| own == host);
        self.files.iter().find_map(|file| find(file, model, serves).next().map(|found| found.price))
    }

    /// What a model of this name costs, by whoever serves it.
    #[must_use]
    pub fn find(&self, model: &str) -> Vec<FoundPrice> {
        self.files.iter().flat_map(|file| find(file, model, |_| true)).collect()
    }
}

fn read(text: &str) -> Result<PriceFile, String> {
    let file: PriceFile = toml::from_str(text).map_err(|e| e.to_string())?;
    let entries = || file.providers.iter().flat_map(|provider| &provider.models);
    if entries().any(|entry| entry.names.is_empty() || entry.names.iter().any(String::is_empty)) {
        return Err("a model has no name".to_owned());
    }
    Ok(file)
}

/// The best entry of each provider that serves the model.
fn find<'a>(
    file: &'a PriceFile,
    model: &'a str,
    serves: impl Fn(&PricedProvider) -> bool + 'a,
) -> impl Iterator<Item = FoundPrice> + 'a {
    file.providers.iter().filter(move |provider| serves(provider)).filter_map(move |provider| {
        let fitting = provider.models.iter().filter_map(|entry| Some((entry.fits(model)?, entry)));
        let ((_, name), entry) = fitting.max_by_key(|((fit, _), _)| *fit)?;
        let version = format!("{} {}/{name}", file.version, provider.name);
        let price = Price { rates: entry.rates, tiers: entry.tiers.clone(), version };
        let (source, checked) = (provider.source.clone(), provider.checked.clone());
        Some(FoundPrice { provider: provider.name.clone(), source, checked, entry: entry.clone(), price })
    })
}

impl PricedModel {
    /// How well one of the entry's names fits a model's, and which one; `None` if none does.
    fn fits(&self, model: &str) -> Option<(usize, &str)> {
        let one = |name: &str| match name.strip_suffix('*') {
            None => (name == model).then_some(usize::MAX),
            Some(beginning) => model.starts_with(beginning).then_some(beginning.len()),
        };
        self.names.iter().filter_map(|name| Some((one(name)?, name.as_str()))).max_by_key(|(fit, _)| *fit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"
version = "own 2026-01-01"
[[provider]]
name = "mine"
hosts = ["models.internal"]
[[provider.model]]
names = ["big*"]
rates = { input = 1.0, output = 2.0 }
[[provider.model]]
names = ["other", "big-new*"]
rates = { input = 3.0, output = 4.0 }
[[provider.model]]
names = ["big-new-1"]
rates = { input = 5.0, output = 6.0, cache_read = 0.5 }
tier = [{ above_input_tokens = 1000, input = 7.0, output = 8.0 }]
"#;

    fn table(text: &str) -> PriceTable {
        PriceTable { files: vec![read(text).unwrap()] }
    }

    #[test]
    fn an_exact_name_is_stronger_than_a_beginning_and_a_longer_one_than_a_shorter() {
        let table = table(OWN);
        let input = |model| table.price("models.internal", model).map(|price| price.rates.input.to_string());
        assert_eq!(input("big-old").as_deref(), Some("1"));
        assert_eq!(input("big-new-2").as_deref(), Some("3"));
        assert_eq!(input("big-new-1").as_deref(), Some("5"));
        assert_eq!(input("small"), None);
        assert_eq!(table.price("elsewhere.example", "big-old"), None, "the same model costs something else elsewhere");
        let price = table.price("models.internal", "big-new-1").unwrap();
        assert_eq!(price.version, "own 2026-01-01 mine/big-new-1");
        assert_eq!(price.cost_max(2000, 0), 14_000);
    }

    #[test]
    fn the_prices_that_come_with_the_program_are_whole() {
        let table = PriceTable::load(None).unwrap();
        for provider in &table.files[0].providers {
            let told = provider.source.is_some() && provider.checked.is_some();
            assert!(!provider.hosts.is_empty() && told, "{}", provider.name);
            for model in &provider.models {
                assert!(model.rates.input.get() > 0 && model.rates.output.get() > 0, "{model:?}");
            }
        }
        assert!(table.price("api.openai.com", "gpt-5").is_some());
    }

    #[test]
    fn an_own_file_is_stronger() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), OWN.replace("models.internal", "api.openai.com").replace("big-new-1", "gpt-5"))
            .unwrap();
        let table = PriceTable::load(Some(file.path())).unwrap();
        assert_eq!(table.price("api.openai.com", "gpt-5").unwrap().version, "own 2026-01-01 mine/gpt-5");
        assert!(table.price("api.openai.com", "gpt-4.1").unwrap().version.starts_with("built-in"));
        std::fs::write(file.path(), "version = 1").unwrap();
        let error = PriceTable::load(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("could not understand the prices"), "{error}");
    }
}
