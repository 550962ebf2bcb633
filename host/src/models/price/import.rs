//! Public tables of prices become a file of ours: `genai-prices` and LiteLLM's.
//!
//! Only what can be said in our terms is taken: models with a price for both directions. What is matched by more than a
//! name or its beginning is left out, because a wrong price is worse than none.

mod genai_prices;
mod litellm;

use super::{PriceFile, PricedProvider};

/// Why a table cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[error("could not understand the table of prices: {0}")]
pub struct ImportError(#[from] serde_json::Error);

/// Reads a table of the format `genai-prices` (its `data.json`). Of prices that begin on a day, the one that holds on
/// `today` (`2026-11-23`) is taken.
///
/// # Errors
/// It is not in this format.
pub fn genai_prices(text: &str, today: &str) -> Result<PriceFile, ImportError> {
    Ok(file("genai-prices", today, genai_prices::providers(text, today)?))
}

/// Reads a table of LiteLLM's format (`model_prices_and_context_window.json`).
///
/// # Errors
/// It is not in this format.
pub fn litellm(text: &str, today: &str) -> Result<PriceFile, ImportError> {
    Ok(file("litellm", today, litellm::providers(text)?))
}

fn file(from: &str, today: &str, providers: Vec<PricedProvider>) -> PriceFile {
    let checked = Some(today.to_owned());
    let with_models = providers.into_iter().filter(|provider| !provider.models.is_empty());
    let providers = with_models.map(|provider| PricedProvider { checked: checked.clone(), ..provider }).collect();
    PriceFile { version: format!("{from} {today}"), providers }
}

/// A file of prices as text.
#[must_use]
pub fn to_toml(file: &PriceFile) -> String {
    // What came in as numbers and texts can be written as such.
    toml::to_string(file).unwrap_or_default()
}

/// The hosts that a provider serves from, where the table does not say it in our terms.
fn hosts(provider: &str) -> Vec<String> {
    let host = match provider {
        "openai" => "api.openai.com",
        "anthropic" => "api.anthropic.com",
        "google" | "gemini" => "generativelanguage.googleapis.com",
        "mistral" => "api.mistral.ai",
        "deepseek" => "api.deepseek.com",
        "groq" => "api.groq.com",
        "x-ai" | "xai" => "api.x.ai",
        "cohere" => "api.cohere.com",
        "openrouter" => "openrouter.ai",
        "together" | "together_ai" => "api.together.xyz",
        "fireworks" | "fireworks_ai" => "api.fireworks.ai",
        "cerebras" => "api.cerebras.ai",
        _ => return Vec::new(),
    };
    vec![host.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::{super::Micros, *};

    #[test]
    fn a_file_that_was_made_is_a_file_that_is_read() {
        let text = r#"[{"id": "openai", "pricing_urls": ["https://example.com"], "models": [
            {"id": "big", "match": {"or": [{"equals": "big"}, {"starts_with": "big-2"}, {"regex": "x"}]},
             "prices": {"input_mtok": {"base": 1.25, "tiers": [{"start": 200000, "price": 2.5}]}, "output_mtok": 10,
                        "cache_read_mtok": 0.125}},
            {"id": "dated", "match": {"equals": "dated"}, "prices": [
                {"prices": {"input_mtok": 9, "output_mtok": 9}},
                {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": 3, "output_mtok": 4}},
                {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 1, "output_mtok": 1}}]},
            {"id": "embedding", "match": {"equals": "e"}, "prices": {"input_mtok": 1}}]}]"#;
        let file = genai_prices(text, "2026-11-23").unwrap();
        let models = &file.providers[0].models;
        assert_eq!(models.len(), 2, "{models:?}");
        assert_eq!(models[0].names, ["big", "big-2*"]);
        assert_eq!((models[0].tiers[0].rates.input, models[0].tiers[0].rates.output), (micros(2.5), micros(10.0)));
        assert_eq!((models[1].rates.input, models[1].valid_from.as_deref()), (micros(3.0), Some("2026-01-01")));
        let again: PriceFile = toml::from_str(&to_toml(&file)).unwrap();
        assert_eq!(again, file);
    }

    #[test]
    fn prices_of_single_tokens_become_prices_of_millions() {
        let text = r#"{"sample_spec": {"mode": "one of"},
            "gpt-5": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.25e-06,
                "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07},
            "gemini/pro": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1.25e-06,
                "output_cost_per_token": 1e-05, "input_cost_per_token_above_200k_tokens": 2.5e-06,
                "output_cost_per_token_above_200k_tokens": 1.5e-05},
            "emb": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1e-06},
            "elsewhere": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1, "output_cost_per_token": 1}}"#;
        let file = litellm(text, "2026-11-23").unwrap();
        let find = |name: &str| file.providers.iter().find(|provider| provider.name == name).unwrap();
        assert_eq!(find("openai").models.len(), 1);
        assert_eq!(find("openai").models[0].rates.cache_read, Some(micros(0.125)));
        let pro = &find("gemini").models[0];
        assert_eq!((pro.names[0].as_str(), pro.tiers[0].above_input_tokens), ("pro", 200_000));
        assert_eq!(pro.tiers[0].rates.output, micros(15.0));
        assert_eq!(file.providers.len(), 2);
        assert!(litellm("[]", "2026-11-23").is_err());
    }

    fn micros(value: f64) -> Micros {
        Micros::from_number(value).unwrap()
    }
}
