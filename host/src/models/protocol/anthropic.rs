//! Anthropic's messages; `message_stop` is the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_engine::json::Json;

use super::{Asked, arguments, document, input_schema, schema, written};
use crate::models::{Message, StopReason, ToolUse, heard::Heard, names::ToolNames};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    stream: bool,
    // What stays the same from turn to turn comes first: providers keep the beginnings of requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
}

#[derive(Serialize)]
struct Tool<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Json,
}

#[derive(Serialize)]
struct OutputConfig {
    format: Format,
}

#[derive(Serialize)]
struct Format {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Value,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Said<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said<'a> {
    Text { text: &'a str },
    ToolUse { id: &'a str, name: String, input: Json },
    ToolResult { tool_use_id: &'a str, content: &'a str },
}

pub(super) fn body(asked: Asked<'_>) -> Vec<u8> {
    let Asked { config, request, names, max_tokens } = asked;
    let tools = request.tools.iter().map(|tool| Tool {
        name: names.wire(&tool.name),
        description: tool.description.as_deref(),
        input_schema: input_schema(tool).cloned().unwrap_or_else(|| serde_json::json!({ "type": "object" }).into()),
    });
    let body = Body {
        model: &config.model,
        max_tokens,
        stream: true,
        tools: tools.collect(),
        system: request.system.as_deref(),
        messages: turns(&request.messages, names),
        output_config: request.output_schema.as_ref().map(|schema| OutputConfig {
            format: Format { kind: "json_schema", schema: schema::closed(schema.value()) },
        }),
        temperature: request.temperature,
        top_p: request.top_p,
        stop_sequences: &request.stop,
    };
    written(asked, &body)
}

/// The conversation. All answers of tools to one turn must come in the turn that follows it, and no turn may be empty.
fn turns<'a>(messages: &'a [Message], names: &ToolNames) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::with_capacity(messages.len());
    for message in messages {
        let (role, content) = match message {
            Message::User { content } => ("user", text(content).collect()),
            Message::Assistant { content, tool_calls } => {
                ("assistant", text(content).chain(tool_calls.iter().map(|call| used(call, names))).collect())
            }
            Message::Tool { tool_call_id, content } => {
                ("user", vec![Said::ToolResult { tool_use_id: tool_call_id, content }])
            }
        };
        match turns.last_mut().filter(|last| last.role == role) {
            Some(last) => last.content.extend::<Vec<_>>(content),
            None if content.is_empty() => {}
            None => turns.push(Turn { role, content }),
        }
    }
    turns
}

fn text(text: &str) -> impl Iterator<Item = Said<'_>> {
    Some(text).filter(|text| !text.trim().is_empty()).map(|text| Said::Text { text }).into_iter()
}

fn used<'a>(call: &'a ToolUse, names: &ToolNames) -> Said<'a> {
    Said::ToolUse { id: &call.id, name: names.wire(&call.tool), input: arguments(call) }
}

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
