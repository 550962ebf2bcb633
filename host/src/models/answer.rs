//! What comes back of a model.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use weir_engine::json::Json;

/// A whole answer, and all that is worth keeping about how it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    /// What the model said; empty if it only asks for tools.
    pub text: String,
    /// The tools that it asks for, in its order.
    pub tool_calls: Vec<ToolUse>,
    /// Why it stopped.
    pub stop: StopReason,
    /// The tokens as the provider counted them; `None` where it said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The provider's word: `openai`, `anthropic`, `gemini`, `ollama`, `scripted`.
    pub provider: String,
    /// The model that was asked, by its name at the provider.
    pub model: String,
    /// The model that answered, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    /// What was tried before, in its order; the last one is the one that was answered.
    pub attempts: Vec<Attempt>,
    /// From the request for a place to the answer's last byte, in milliseconds.
    pub latency_ms: u64,
}

/// A call of a tool that the model asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The id that the tool's answer must carry.
    pub id: String,
    /// The tool's own name.
    pub tool: String,
    /// What to give it. Where the model wrote no JSON, it is what it wrote as a text, which no tool's schema accepts.
    #[serde(deserialize_with = "tree")]
    pub input: Json,
    /// What the provider wants to get back with this call in the next request. It is opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Reads a document also where it does not come as a text of its own, as inside a message.
fn tree<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
    Value::deserialize(deserializer).map(Json::from_value)
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had said everything, or met one of the texts to stop at.
    End,
    /// It waits for the answers of tools.
    ToolCalls,
    /// There was no more room for the answer.
    MaxTokens,
    /// It, or a filter of the provider, would not answer.
    Refusal,
}

/// Tokens as a provider counted them; `None` where it said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// All tokens of the request, those from a cache included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Of these, what came from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<u64>,
    /// Of these, what was written into the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// All tokens of the answer, those of its reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Of these, what the model thought before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// This, unless nothing was counted at all.
    pub(super) fn known(self) -> Option<Self> {
        (self.input_tokens.is_some() || self.output_tokens.is_some()).then_some(self)
    }
}

/// One try to get an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The status of the answer, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was not the last one, or came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long was waited before the next one, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

impl Attempt {
    /// One that was answered.
    pub(super) fn answered() -> Self {
        Self { status: Some(200), why: None, wait_ms: None }
    }
}
