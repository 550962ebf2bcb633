//! `weir prices`: what models cost, without a host.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Subcommand, ValueEnum};
use jiff::Zoned;
use serde_json::json;

use super::{Outcome, out::Out};
use crate::models::{FoundPrice, PriceTable, import};

/// The most bytes of a table of prices.
const TABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Prices of models.
#[derive(Debug, Subcommand)]
pub(super) enum Prices {
    /// Show what a model costs, by whoever serves it.
    Show {
        /// The model's name at its provider.
        model: String,
        /// A file of prices that is stronger than the one that comes with the program.
        #[arg(long)]
        prices: Option<PathBuf>,
    },
    /// Make a file of prices of a public table, on standard output; name it under `prices` in the configuration.
    Import {
        /// The table's format.
        #[arg(long)]
        format: Format,
        /// The table: data.json of genai-prices, or LiteLLM's model_prices_and_context_window.json.
        file: PathBuf,
    },
}

/// The format of a public table of prices.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// The project genai-prices.
    GenaiPrices,
    /// The project LiteLLM.
    Litellm,
}

impl Prices {
    pub(super) fn run(self, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Show { model, prices } => {
                let found = PriceTable::load(prices.as_deref())?.find(&model);
                out.show(&json!({ "items": found }), || table(out, &model, &found));
                Ok(if found.is_empty() { Outcome::Failed } else { Outcome::Done })
            }
            Self::Import { format, file } => {
                let shown = file.display();
                let size = std::fs::metadata(&file).with_context(|| format!("could not read {shown}"))?.len();
                ensure!(size <= TABLE_BYTES_MAX, "could not use {shown}: it has more than {TABLE_BYTES_MAX} bytes");
                let text = std::fs::read_to_string(&file).with_context(|| format!("could not read {shown}"))?;
                let today = Zoned::now().date().to_string();
                let prices = match format {
                    Format::GenaiPrices => import::genai_prices(&text, &today)?,
                    Format::Litellm => import::litellm(&text, &today)?,
                };
                out.text(import::to_toml(&prices).trim_end());
                Ok(Outcome::Done)
            }
        }
    }
}

fn table(out: Out, model: &str, found: &[FoundPrice]) -> String {
    if found.is_empty() {
        return format!("nobody is known to serve {model:?}: its price is unknown, which is not 0");
    }
    let rate = |rate: Option<_>| rate.map_or_else(String::new, |rate: crate::models::Micros| rate.to_string());
    let rows = found.iter().map(|found| {
        let rates = found.entry.rates;
        vec![
            found.provider.clone(),
            rate(Some(rates.input)),
            rate(Some(rates.output)),
            rate(rates.cache_read),
            found.entry.tiers.first().map_or_else(String::new, |tier| format!("above {}", tier.above_input_tokens)),
            found.price.version.clone(),
        ]
    });
    out.table(&["PROVIDER", "IN", "OUT", "CACHED", "TIERS", "FROM"], &rows.collect::<Vec<_>>())
}
