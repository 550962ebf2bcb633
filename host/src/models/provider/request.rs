//! A request in the library's terms.

use std::sync::Arc;

use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest as WireRequest, ChatResponseFormat, ContentPart, JsonSpec, MessageContent,
    ReasoningEffort, Tool, ToolCall, ToolResponse,
};
use serde_json::json;

use super::tap::Tap;
use crate::models::{ChatRequest, Message, ModelConfig, Prepared, Provider, ToolUse, names::ToolNames};

/// What the schema of an answer is called on the wire.
const SCHEMA_NAME: &str = "answer";

/// The conversation and the tools.
pub(super) fn chat(provider: Provider, prepared: &Prepared) -> WireRequest {
    let (request, names) = (&prepared.request, &prepared.names);
    let messages = request.messages.iter().map(|message| wire_message(message, request, names)).collect();
    let tools = request.tools.iter().map(|tool| Tool {
        name: names.wire(&tool.name).into(),
        description: tool.description.clone(),
        schema: Some(tool.input_schema.value().clone()).filter(|schema| !schema.is_null()),
        custom_format: None,
        strict: None,
        config: None,
        cache_control: None,
        eager_input_streaming: None,
    });
    let mut wire = WireRequest::from_messages(messages);
    wire.system = system(provider, request);
    wire.tools = Some(tools.collect::<Vec<_>>()).filter(|tools| !tools.is_empty());
    wire
}

/// The library tells Ollama that the answer is JSON, and not which: the model is told in words.
fn system(provider: Provider, request: &ChatRequest) -> Option<String> {
    let Some(schema) = request.output_schema.as_ref().filter(|_| provider == Provider::Ollama) else {
        return request.system.clone();
    };
    let told = format!("Answer with JSON that matches this JSON Schema, and with nothing else: {}", schema.text());
    Some(request.system.as_ref().map_or_else(|| told.clone(), |system| format!("{system}\n\n{told}")))
}

fn wire_message(message: &Message, request: &ChatRequest, names: &ToolNames) -> ChatMessage {
    match message {
        Message::User { content } => ChatMessage::user(content.as_str()),
        Message::Assistant { content, tool_calls } => {
            let text = Some(content).filter(|text| !text.is_empty()).map(|text| ContentPart::Text(text.clone()));
            let calls = tool_calls.iter().map(|call| ContentPart::ToolCall(wire_call(call, names)));
            ChatMessage::assistant(MessageContent::from_parts(text.into_iter().chain(calls).collect::<Vec<_>>()))
        }
        Message::Tool { tool_call_id, content } => {
            let response = ToolResponse::new(tool_call_id.as_str(), content.as_str());
            let called = request.messages.iter().find_map(|message| tool_of(message, tool_call_id));
            ChatMessage::tool(match called {
                Some(tool) => response.with_fn_name(names.wire(tool)),
                None => response,
            })
        }
    }
}

fn wire_call(call: &ToolUse, names: &ToolNames) -> ToolCall {
    ToolCall {
        call_id: call.id.clone(),
        fn_name: names.wire(&call.tool),
        // Providers take objects only, also for what the model got wrong.
        fn_arguments: Some(call.input.value().clone())
            .filter(serde_json::Value::is_object)
            .unwrap_or_else(|| json!({})),
        thought_signatures: call.signature.clone().map(|signature| vec![signature]),
    }
}

/// The tool that a call of this id asked for.
fn tool_of<'a>(message: &'a Message, id: &str) -> Option<&'a str> {
    let Message::Assistant { tool_calls, .. } = message else { return None };
    tool_calls.iter().find(|call| call.id == id).map(|call| call.tool.as_str())
}

/// Everything else. The library keeps nothing of the stream: the tap reads it.
pub(super) fn options(config: &ModelConfig, request: &ChatRequest, max_tokens: u64, tap: Arc<Tap>) -> ChatOptions {
    let mut options = ChatOptions {
        temperature: request.temperature,
        top_p: request.top_p,
        max_tokens: Some(u32::try_from(max_tokens).unwrap_or(u32::MAX)),
        stop_sequences: request.stop.clone(),
        seed: request.seed,
        raw_frame_sink: Some(tap),
        response_format: format(config.provider, request),
        ..ChatOptions::default()
    };
    match config.provider {
        Provider::Openai | Provider::Scripted => {
            // The library reads `…-high` in a model's name as a wish for effort, unless there is one: a budget is one, and
            // is not sent. What is given as extra is sent as it is.
            options.reasoning_effort = Some(ReasoningEffort::Budget(0));
            options.extra_body = Some(json!({ "model": config.model, "stream_options": { "include_usage": true } }));
        }
        Provider::Anthropic => options.extra_body = Some(json!({ "model": config.model })),
        Provider::Gemini | Provider::Ollama => {}
    }
    options
}

fn format(provider: Provider, request: &ChatRequest) -> Option<ChatResponseFormat> {
    let schema = request.output_schema.as_ref()?;
    Some(match provider {
        Provider::Ollama => ChatResponseFormat::JsonMode,
        Provider::Openai | Provider::Anthropic | Provider::Gemini | Provider::Scripted => {
            JsonSpec::new(SCHEMA_NAME, schema.value().clone()).into()
        }
    })
}
