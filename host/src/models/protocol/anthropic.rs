//! Anthropic's messages; `message_stop` is the end.

use serde::Deserialize;
use serde_json::Value;

use super::document;
use crate::models::{StopReason, heard::Heard};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Begun,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    MessageDelta {
        delta: Ended,
        usage: Option<Counted>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Begun {
    model: Option<String>,
    usage: Option<Counted>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Ended {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

pub(super) fn read(heard: &mut Heard, frame: &str) {
    match document::<Event>(heard, frame) {
        Some(Event::MessageStart { message }) => {
            heard.model = message.model;
            // The answer's tokens are counted at its end; what stands here is only what there is so far.
            if let Some(counted) = message.usage {
                counted.note_input(heard);
            }
        }
        Some(Event::ContentBlockStart { index, content_block }) => match content_block {
            Block::Text { text } => heard.say(&text),
            Block::ToolUse { id, name } => heard.call(Some(index), Some(id), Some(&name), ""),
            Block::Other => {}
        },
        Some(Event::ContentBlockDelta { index, delta }) => match delta {
            Delta::Text { text } => heard.say(&text),
            Delta::InputJson { partial_json } => heard.call(Some(index), None, None, &partial_json),
            Delta::Other => {}
        },
        Some(Event::MessageDelta { delta, usage }) => {
            heard.stop = delta.stop_reason.as_deref().map(stop).or(heard.stop);
            if let Some(counted) = usage {
                heard.usage.output_tokens = counted.output_tokens.or(heard.usage.output_tokens);
                counted.note_input(heard);
            }
        }
        Some(Event::MessageStop) => heard.is_whole = true,
        Some(Event::Error { error }) => heard.fail_with(&error),
        Some(Event::Other) | None => {}
    }
}

fn stop(reason: &str) -> StopReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Refusal,
        _ => StopReason::End,
    }
}

impl Counted {
    /// Tokens from and for the cache come beside the others here, and are among them everywhere else.
    fn note_input(&self, heard: &mut Heard) {
        let Some(plain) = self.input_tokens else { return };
        let (read, written) = (self.cache_read_input_tokens, self.cache_creation_input_tokens);
        let cached = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
        heard.usage.input_tokens = Some(plain.saturating_add(cached));
        heard.usage.cached_input_tokens = read;
        heard.usage.cache_write_tokens = written;
    }
}
