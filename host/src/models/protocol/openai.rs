//! Chat completions, as OpenAI and many others stream them; `[DONE]` is the end.

use serde::Deserialize;
use serde_json::Value;

use super::document;
use crate::models::{StopReason, Usage, heard::Heard};

#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Counted>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ToolPiece>>,
}

/// A text; some models answer in parts, of which those of their reasoning are not the answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct ToolPiece {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

pub(super) fn read(heard: &mut Heard, frame: &str) {
    if frame.trim() == "[DONE]" {
        heard.is_whole = true;
        return;
    }
    let Some(chunk) = document::<Chunk>(heard, frame) else { return };
    if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
        return heard.fail_with(&error);
    }
    if let Some(model) = chunk.model.filter(|model| !model.is_empty()) {
        heard.model = Some(model);
    }
    if let Some(counted) = chunk.usage {
        heard.usage = counted.usage();
    }
    // There is one choice, since one is asked for.
    if let Some(choice) = chunk.choices.into_iter().next() {
        heed(heard, choice);
    }
}

fn heed(heard: &mut Heard, choice: Choice) {
    if let Some(delta) = choice.delta {
        match delta.content {
            Some(Content::Text(text)) => heard.say(&text),
            Some(Content::Parts(parts)) => {
                let texts = parts.into_iter().filter(|part| part.kind.as_deref() == Some("text"));
                texts.filter_map(|part| part.text).for_each(|text| heard.say(&text));
            }
            None => {}
        }
        if let Some(refusal) = delta.refusal.filter(|refusal| !refusal.is_empty()) {
            heard.refused = true;
            heard.say(&refusal);
        }
        for piece in delta.tool_calls.into_iter().flatten() {
            let function = piece.function.unwrap_or(FunctionPiece { name: None, arguments: None });
            let arguments = function.arguments.unwrap_or_default();
            heard.call(piece.index, piece.id, function.name.as_deref(), &arguments);
        }
    }
    if let Some(reason) = choice.finish_reason {
        heard.stop = Some(match reason.as_str() {
            "length" | "model_length" => StopReason::MaxTokens,
            "tool_calls" | "function_call" => StopReason::ToolCalls,
            "content_filter" => StopReason::Refusal,
            _ => StopReason::End,
        });
    }
}

impl Counted {
    fn usage(self) -> Usage {
        Usage {
            input_tokens: self.prompt_tokens,
            cached_input_tokens: self.prompt_tokens_details.and_then(|details| details.cached_tokens),
            cache_write_tokens: None,
            output_tokens: self.completion_tokens,
            reasoning_tokens: self.completion_tokens_details.and_then(|details| details.reasoning_tokens),
        }
    }
}
