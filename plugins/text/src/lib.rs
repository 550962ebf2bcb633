//! Being written.
use weir_sdk::prelude::*;

/// A probe.
#[derive(Deserialize, JsonSchema)]
struct In {
    /// The text.
    text: String,
}

/// Says the language of a text.
#[tool(idempotent, read_only)]
fn detect_language(input: In) -> Result<Option<String>> {
    Ok(whatlang::detect_lang(&input.text).map(|lang| lang.code().to_owned()))
}

weir_sdk::plugin! { title: "Text", tools: [detect_language] }
