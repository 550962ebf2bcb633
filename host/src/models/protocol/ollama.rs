//! Ollama's own protocol: a document a line; `done` is the end.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_engine::json::Json;

use super::{Asked, FunctionTool, arguments, document, written};
use crate::models::{ChatRequest, Message, StopReason, heard::Heard};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<FunctionTool<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Json>,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Options<'a> {
    num_predict: u64,
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
#[serde(tag = "role", rename_all = "snake_case")]
enum Turn<'a> {
    System {
        content: Cow<'a, str>,
    },
    User {
        content: &'a str,
    },
    Assistant {
        content: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Called>,
    },
    Tool {
        content: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool_name: Option<String>,
    },
}

#[derive(Serialize)]
struct Called {
    function: CalledFunction,
}

#[derive(Serialize)]
struct CalledFunction {
    name: String,
    arguments: Json,
}

pub(super) fn body(asked: Asked<'_>) -> Vec<u8> {
    let Asked { config, request, max_tokens, .. } = asked;
    let system = system(request).map(|content| Turn::System { content });
    let body = Body {
        model: &config.model,
        stream: true,
        tools: asked.functions(),
        messages: system.into_iter().chain(request.messages.iter().map(|message| turn(asked, message))).collect(),
        format: request.output_schema.as_ref(),
        options: Options {
            num_predict: max_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            stop: &request.stop,
            seed: request.seed,
        },
    };
    written(asked, &body)
}

/// Ollama holds the model to a schema without telling it, and the model answers better when it knows.
fn system(request: &ChatRequest) -> Option<Cow<'_, str>> {
    let system = request.system.as_deref();
    let Some(schema) = &request.output_schema else { return system.map(Cow::Borrowed) };
    let told = format!("Answer with JSON that matches this JSON Schema, and with nothing else: {}", schema.text());
    Some(system.map_or_else(|| told.clone(), |system| format!("{system}\n\n{told}")).into())
}

fn turn<'a>(asked: Asked<'_>, message: &'a Message) -> Turn<'a> {
    match message {
        Message::User { content } => Turn::User { content },
        Message::Assistant { content, tool_calls } => {
            let called = tool_calls.iter().map(|call| Called {
                function: CalledFunction { name: asked.names.wire(&call.tool), arguments: arguments(call) },
            });
            Turn::Assistant { content, tool_calls: called.collect() }
        }
        Message::Tool { tool_call_id, content } => Turn::Tool { content, tool_name: asked.tool_of(tool_call_id) },
    }
}

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
