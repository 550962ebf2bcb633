//! Chat completions, as OpenAI and many others stream them; `[DONE]` is the end.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};
use serde_json::Value;
use weir_engine::json::Json;

use super::{Asked, FunctionTool, SCHEMA_NAME, arguments, document, schema, written};
use crate::models::{Message, StopReason, ToolUse, Usage, heard::Heard, names::ToolNames};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    stream: bool,
    stream_options: StreamOptions,
    // What stays the same from turn to turn comes first: providers keep the beginnings of requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<FunctionTool<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum Turn<'a> {
    System {
        content: &'a str,
    },
    User {
        content: &'a str,
    },
    Assistant {
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Called<'a>>,
    },
    Tool {
        content: &'a str,
        tool_call_id: &'a str,
    },
}

#[derive(Serialize)]
struct Called<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: CalledFunction,
}

#[derive(Serialize)]
struct CalledFunction {
    name: String,
    arguments: String,
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: AnswerSchema<'a>,
}

#[derive(Serialize)]
struct AnswerSchema<'a> {
    name: &'static str,
    strict: bool,
    schema: &'a Json,
}

pub(super) fn body(asked: Asked<'_>) -> Vec<u8> {
    let Asked { config, request, names, max_tokens } = asked;
    let system = request.system.as_deref().map(|content| Turn::System { content });
    let newer = takes_completion_tokens(&config.model);
    let body = Body {
        model: &config.model,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        tools: asked.functions(),
        messages: system.into_iter().chain(request.messages.iter().map(|message| turn(message, names))).collect(),
        response_format: request.output_schema.as_ref().map(|schema| Format {
            kind: "json_schema",
            json_schema: AnswerSchema { name: SCHEMA_NAME, strict: schema::is_strict(schema.value()), schema },
        }),
        max_tokens: (!newer).then_some(max_tokens),
        max_completion_tokens: newer.then_some(max_tokens),
        temperature: request.temperature,
        top_p: request.top_p,
        stop: &request.stop,
        seed: request.seed,
    };
    written(asked, &body)
}

/// OpenAI's models that reason refuse `max_tokens`; other servers know nothing else.
fn takes_completion_tokens(model: &str) -> bool {
    let version = |prefix: &str| model.strip_prefix(prefix)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    version("gpt-").is_some_and(|version: u32| version >= 5) || version("o").is_some()
}

fn turn<'a>(message: &'a Message, names: &ToolNames) -> Turn<'a> {
    match message {
        Message::User { content } => Turn::User { content },
        Message::Assistant { content, tool_calls } => Turn::Assistant {
            content: Some(content.as_str()).filter(|content| !content.is_empty() || tool_calls.is_empty()),
            tool_calls: tool_calls.iter().map(|call| called(call, names)).collect(),
        },
        Message::Tool { tool_call_id, content } => Turn::Tool { content, tool_call_id },
    }
}

fn called<'a>(call: &'a ToolUse, names: &ToolNames) -> Called<'a> {
    let arguments = arguments(call).text().to_owned();
    Called { id: &call.id, kind: "function", function: CalledFunction { name: names.wire(&call.tool), arguments } }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Counted>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    tool_calls: Option<Vec<ToolPiece>>,
}

/// A text; some models answer in parts, of which those of their reasoning are not the answer.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrParts)
    }
}

struct TextOrParts;

impl<'de> Visitor<'de> for TextOrParts {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text<'de>, A::Error> {
        let mut text = String::new();
        while let Some(part) = parts.next_element::<Part>()? {
            if part.kind.as_deref() == Some("text") {
                text.push_str(part.text.as_deref().unwrap_or_default());
            }
        }
        Ok(Text(text.into()))
    }
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
    if let Some(Text(model)) = chunk.model
        && !model.is_empty()
        && heard.model.as_deref() != Some(&*model)
    {
        heard.model = Some(model.into_owned());
    }
    if let Some(counted) = chunk.usage {
        heard.usage = counted.usage();
    }
    // There is one choice, since one is asked for.
    if let Some(choice) = chunk.choices.into_iter().next() {
        heed(heard, choice);
    }
}

fn heed(heard: &mut Heard, choice: Choice<'_>) {
    if let Some(delta) = choice.delta {
        if let Some(Text(text)) = delta.content {
            heard.say(&text);
        }
        if let Some(Text(refusal)) = delta.refusal.filter(|Text(refusal)| !refusal.is_empty()) {
            heard.refused = true;
            heard.say(&refusal);
        }
        for piece in delta.tool_calls.into_iter().flatten() {
            let function = piece.function.unwrap_or(FunctionPiece { name: None, arguments: None });
            let arguments = function.arguments.unwrap_or_default();
            heard.call(piece.index, piece.id, function.name.as_deref(), &arguments);
        }
    }
    if let Some(Text(reason)) = choice.finish_reason {
        heard.stop = Some(match &*reason {
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
