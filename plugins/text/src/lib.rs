//! Tools over text: its language, its sentiment, its keywords, what matches a pattern, and templates.
//!
//! All of them are plain computations: the same input gives the same output.

pub mod extract;
pub mod keywords;
pub mod language;
pub mod render;
pub mod sentiment;
mod words;

weir_sdk::plugin! {
    title: "Text",
    tools: [
        language::detect_language,
        sentiment::sentiment,
        keywords::keywords,
        extract::extract,
        render::render,
    ],
}

use weir_sdk::Failure;

/// The longest text that a tool takes, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Refuses a text that is longer than the tools are made for.
fn check_length(text: &str) -> Result<(), Failure> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::invalid_input(format!(
        "text has {} bytes, the most is {TEXT_BYTES_MAX}: split it, and take a part at a time",
        text.len()
    )))
}
