//! What providers are sent, and what they send, frame by frame: a request becomes a body, a line or an event of their
//! streams becomes what was heard.
//!
//! Each protocol says in its own way that an answer is complete. A stream that ends without it was cut, whatever came
//! before; a token count is only one if the provider gave it.

mod anthropic;
mod gemini;
mod ollama;
mod openai;
mod schema;

use serde::{Deserialize, Serialize};
use weir_engine::json::Json;

use super::{
    ChatRequest, Message, ModelConfig, Problem, Provider, ToolSpec, ToolUse, estimate, frames::Framing, heard::Heard,
    names::ToolNames,
};

/// What the schema of an answer is called on the wire.
const SCHEMA_NAME: &str = "answer";

/// About how much a body has around what is said.
const AROUND_BYTES: usize = 1024;

/// What is asked of whom.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) request: &'a ChatRequest,
    pub(super) names: &'a ToolNames,
    pub(super) max_tokens: u64,
}

impl Asked<'_> {
    /// The body of the request.
    pub(super) fn body(self) -> Vec<u8> {
        match self.config.provider {
            Provider::Openai => openai::body(self),
            Provider::Anthropic => anthropic::body(self),
            Provider::Gemini => gemini::body(self),
            Provider::Ollama => ollama::body(self),
            Provider::Scripted => Vec::new(),
        }
    }

    /// The tool that a call of this id asked for, as it is called on the wire.
    fn tool_of(&self, id: &str) -> Option<String> {
        let calls = self.request.messages.iter().filter_map(|message| match message {
            Message::Assistant { tool_calls, .. } => Some(tool_calls),
            Message::User { .. } | Message::Tool { .. } => None,
        });
        calls.flatten().find(|call| call.id == id).map(|call| self.names.wire(&call.tool))
    }

    /// The tools as OpenAI and Ollama are told of them.
    fn functions(&self) -> Vec<FunctionTool<'_>> {
        self.request.tools.iter().map(|tool| FunctionTool::new(tool, self.names)).collect()
    }
}

/// A tool that is a function.
#[derive(Serialize)]
struct FunctionTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionSpec<'a>,
}

#[derive(Serialize)]
struct FunctionSpec<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
}

impl<'a> FunctionTool<'a> {
    fn new(tool: &'a ToolSpec, names: &ToolNames) -> Self {
        let function = FunctionSpec {
            name: names.wire(&tool.name),
            description: tool.description.as_deref(),
            parameters: input_schema(tool),
        };
        Self { kind: "function", function }
    }
}

fn input_schema(tool: &ToolSpec) -> Option<&Json> {
    Some(&tool.input_schema).filter(|schema| schema.text().trim() != "null")
}

/// What a call gave its tool. Providers take objects only, also for what the model got wrong.
fn arguments(call: &ToolUse) -> Json {
    let is_object = call.input.text().trim_start().starts_with('{');
    if is_object { call.input.clone() } else { Json::of(&serde_json::Map::new()) }
}

/// The document as it goes over the wire.
fn written(asked: Asked<'_>, body: &impl Serialize) -> Vec<u8> {
    let said = usize::try_from(estimate::bytes(asked.request)).unwrap_or_default();
    let mut written = Vec::with_capacity(said + said / 4 + AROUND_BYTES);
    // Bodies are made of texts, numbers and documents, all of which can be written.
    serde_json::to_writer(&mut written, body).map_or_else(|_| Vec::new(), |()| written)
}

/// What ends a frame of a provider's stream.
pub(super) fn framing(provider: Provider) -> Framing {
    match provider {
        Provider::Ollama => Framing::Lines,
        Provider::Openai | Provider::Anthropic | Provider::Gemini | Provider::Scripted => Framing::Events,
    }
}

/// Reads a frame of a provider's stream.
pub(super) fn read(provider: Provider, heard: &mut Heard, frame: &str) {
    if heard.is_decided() {
        return;
    }
    heard.is_begun = true;
    match provider {
        Provider::Openai => openai::read(heard, frame),
        Provider::Anthropic => anthropic::read(heard, frame),
        Provider::Gemini => gemini::read(heard, frame),
        Provider::Ollama => ollama::read(heard, frame),
        Provider::Scripted => {}
    }
}

/// A frame as a document; what is none ends the answer.
fn document<'de, T: Deserialize<'de>>(heard: &mut Heard, frame: &'de str) -> Option<T> {
    match serde_json::from_str(frame) {
        Ok(document) => Some(document),
        Err(error) => {
            heard.fail(Problem::failed(format!("the provider sent what is no answer: {error}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Provider; 4] = [Provider::Openai, Provider::Anthropic, Provider::Gemini, Provider::Ollama];

    proptest! {
        #[test]
        fn hostile_frames_do_no_harm(frames in prop::collection::vec(".{0,80}|\\{\"choices\":\\[.{0,40}\\]\\}", 0..8)) {
            for provider in ALL {
                let mut heard = Heard::default();
                frames.iter().for_each(|frame| read(provider, &mut heard, frame));
                drop(heard.finish(&Default::default()));
            }
        }
    }
}
