//! Gemini's streams; a reason to finish, or to block the prompt, is the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_engine::json::Json;

use super::{Asked, arguments, document, input_schema, written};
use crate::models::{Message, Problem, StopReason, ToolUse, Usage, heard::Heard};

/// How the ids begin that we give to calls that came without one: they are not sent back.
const OWN_ID: &str = "call#";
/// What the first call of a turn carries for Gemini 3 if it came without a signature, as when another model made it
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    contents: Vec<Turn<'a>>,
    generation_config: Generation<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Generation<'a> {
    max_output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Json>,
}

#[derive(Serialize)]
struct Turn<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Said<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(untagged)]
enum Said<'a> {
    Text {
        text: &'a str,
    },
    Call {
        function_call: Called<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'a str>,
    },
    Response {
        function_response: Responded<'a>,
    },
}

#[derive(Serialize)]
struct Called<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: String,
    args: Json,
}

#[derive(Serialize)]
struct Responded<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: String,
    response: Json,
}

pub(super) fn body(asked: Asked<'_>) -> Vec<u8> {
    let Asked { request, names, max_tokens, .. } = asked;
    let declared = request.tools.iter().map(|tool| Declaration {
        name: names.wire(&tool.name),
        description: tool.description.as_deref(),
        parameters_json_schema: input_schema(tool),
    });
    let system = request.system.as_deref().map(|text| Turn { role: None, parts: vec![Said::Text { text }] });
    let body = Body {
        system_instruction: system,
        tools: (!request.tools.is_empty()).then(|| [Tools { function_declarations: declared.collect() }]),
        contents: turns(asked),
        generation_config: Generation {
            max_output_tokens: max_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            stop_sequences: &request.stop,
            seed: request.seed,
            response_mime_type: request.output_schema.as_ref().map(|_| "application/json"),
            response_json_schema: request.output_schema.as_ref(),
        },
    };
    written(asked, &body)
}

/// The conversation. All answers of tools to one turn must come in the turn that follows it, and no turn may be empty.
fn turns(asked: Asked<'_>) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::with_capacity(asked.request.messages.len());
    for message in &asked.request.messages {
        let (role, parts) = match message {
            Message::User { content } => ("user", text(content).collect()),
            Message::Assistant { content, tool_calls } => {
                ("model", text(content).chain(calls(asked, tool_calls)).collect())
            }
            Message::Tool { tool_call_id, content } => ("user", vec![response(asked, tool_call_id, content)]),
        };
        match turns.last_mut().filter(|last| last.role == Some(role)) {
            Some(last) => last.parts.extend::<Vec<_>>(parts),
            None if parts.is_empty() => {}
            None => turns.push(Turn { role: Some(role), parts }),
        }
    }
    turns
}

fn text(text: &str) -> impl Iterator<Item = Said<'_>> {
    Some(text).filter(|text| !text.is_empty()).map(|text| Said::Text { text }).into_iter()
}

fn calls<'a>(asked: Asked<'a>, calls: &'a [ToolUse]) -> impl Iterator<Item = Said<'a>> {
    let wants_signature = asked.config.model.contains("gemini-3");
    calls.iter().enumerate().map(move |(index, call)| Said::Call {
        function_call: Called { id: own_id(&call.id), name: asked.names.wire(&call.tool), args: arguments(call) },
        thought_signature: call.signature.as_deref().or((wants_signature && index == 0).then_some(NO_SIGNATURE)),
    })
}

fn response<'a>(asked: Asked<'a>, id: &'a str, content: &str) -> Said<'a> {
    let said = Json::parse(content).unwrap_or_else(|_| Json::of(&content));
    let is_object = said.text().trim_start().starts_with('{');
    let response = if is_object { said } else { Json::of(&Output { output: said }) };
    let name = asked.tool_of(id).unwrap_or_else(|| id.to_owned());
    Said::Response { function_response: Responded { id: own_id(id), name, response } }
}

/// What a tool answered that answers no object.
#[derive(Serialize)]
struct Output {
    output: Json,
}

/// The id, if Gemini gave it.
fn own_id(id: &str) -> Option<&str> {
    Some(id).filter(|id| !id.is_empty() && !id.starts_with(OWN_ID))
}

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
        let id = call.id.unwrap_or_else(|| format!("{OWN_ID}{}#{}", call.name, heard.calls()));
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
