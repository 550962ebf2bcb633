//! Gemini's streams; a reason to finish, or to block the prompt, is the end.

use serde::Deserialize;
use serde_json::Value;

use super::document;
use crate::models::{Problem, StopReason, Usage, heard::Heard};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    usage_metadata: Option<Counted>,
    model_version: Option<String>,
    prompt_feedback: Option<Feedback>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

pub(super) fn read(heard: &mut Heard, frame: &str) {
    let Some(chunk) = document::<Chunk>(heard, frame) else { return };
    if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
        return heard.fail_with(&error);
    }
    heard.model = chunk.model_version.or(heard.model.take());
    if let Some(counted) = chunk.usage_metadata {
        heard.usage = counted.usage();
    }
    if chunk.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
        heard.refused = true;
        heard.is_whole = true;
    }
    let Some(candidate) = chunk.candidates.into_iter().next() else { return };
    candidate.content.into_iter().flat_map(|content| content.parts).for_each(|part| heed(heard, part));
    if let Some(reason) = candidate.finish_reason {
        finish(heard, &reason);
    }
}

fn heed(heard: &mut Heard, part: Part) {
    if let Some(call) = part.function_call {
        // The stand-in that the library knows for calls without an id: it is not sent back.
        let id = call.id.unwrap_or_else(|| format!("call#{}#{}", call.name, heard.calls()));
        heard.whole_call(Some(id), &call.name, &call.args, part.thought_signature);
    } else if let Some(text) = part.text.filter(|_| part.thought != Some(true)) {
        heard.say(&text);
    }
}

fn finish(heard: &mut Heard, reason: &str) {
    heard.is_whole = true;
    heard.stop = Some(match reason {
        "MAX_TOKENS" => StopReason::MaxTokens,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => StopReason::Refusal,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
            heard.fail(Problem::failed("the model's call of a tool made no sense to its provider"));
            StopReason::End
        }
        _ => StopReason::End,
    });
}

impl Counted {
    /// Thoughts are counted beside the answer here, and as a part of it everywhere else.
    fn usage(self) -> Usage {
        let thoughts = self.thoughts_token_count;
        let output = self.candidates_token_count.or(thoughts.map(|_| 0));
        let used = self.tool_use_prompt_token_count.unwrap_or(0);
        Usage {
            input_tokens: self.prompt_token_count.map(|input| input.saturating_add(used)),
            cached_input_tokens: self.cached_content_token_count,
            cache_write_tokens: None,
            output_tokens: output.map(|output| output.saturating_add(thoughts.unwrap_or(0))),
            reasoning_tokens: thoughts,
        }
    }
}
