//! Ollama's own protocol: a document a line; `done` is the end.

use serde::Deserialize;
use serde_json::Value;

use super::document;
use crate::models::{StopReason, heard::Heard};

#[derive(Deserialize)]
struct Line {
    model: Option<String>,
    message: Option<Said>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    prompt_eval_cached_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

pub(super) fn read(heard: &mut Heard, frame: &str) {
    frame.lines().filter(|line| !line.trim().is_empty()).for_each(|line| heed(heard, line));
}

fn heed(heard: &mut Heard, line: &str) {
    let Some(line) = document::<Line>(heard, line) else { return };
    if let Some(error) = line.error.filter(|error| !error.is_null()) {
        return heard.fail_with(&error);
    }
    heard.model = line.model.or(heard.model.take());
    if let Some(said) = line.message {
        heard.say(said.content.as_deref().unwrap_or_default());
        for call in said.tool_calls.into_iter().flatten() {
            heard.whole_call(call.id, &call.function.name, &call.function.arguments, None);
        }
    }
    if line.done {
        heard.is_whole = true;
        heard.usage.input_tokens = line.prompt_eval_count;
        heard.usage.cached_input_tokens = line.prompt_eval_cached_count;
        heard.usage.output_tokens = line.eval_count;
        let is_short = line.done_reason.as_deref() == Some("length");
        heard.stop = Some(if is_short { StopReason::MaxTokens } else { StopReason::End });
    }
}
