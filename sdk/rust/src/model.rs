//! Language models, by the names (aliases) that the host's operator gave them. Only for agents: each request is counted
//! against the execution's guardrails, and only the models that were asked for and granted answer.
//!
//! ```
//! use weir_sdk::{model::{Answer, Chat}, prelude::*, testing::Host};
//!
//! fn translate(text: &str) -> Result<String> {
//!     let mut chat = Chat::new("fast").system("Translate into English. Answer with the translation alone.");
//!     chat.push_user(text);
//!     Ok(chat.send()?.text)
//! }
//!
//! let host = Host::new().model(|turn| Ok(Answer::of_text(turn.last_text().replace("Hallo", "Hello"))));
//! assert_eq!(host.run(|| translate("Hallo Ada")).result, Ok("Hello Ada".into()));
//! ```

use crate::descriptor::schema_to_read;
use crate::{Failure, dispatch, host};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

/// A conversation with a model.
///
/// Options are set before the first [`send`](Self::send); the host keeps the messages and adds each answer to them.
pub struct Chat {
    options: Map<String, Value>,
    /// What is to be told to the host before the next request.
    pending: Vec<Value>,
    begun: Option<host::Chat>,
    /// An option that was set when it was too late.
    late: Option<&'static str>,
}

impl Chat {
    /// Begins a conversation with a model, by its alias: `fast`, `default`.
    #[must_use]
    pub fn new(model: &str) -> Self {
        let options = Map::from_iter([("model".into(), model.into())]);
        Self { options, pending: Vec::new(), begun: None, late: None }
    }

    /// Sets what the model is told about its task.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        self.option("system", Value::String(text.into()))
    }

    /// Lets the model ask to call tools, by their names in [`tools::list`](crate::tools::list). The plugin does it.
    #[must_use]
    pub fn tools<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Value::String(name.into())).collect();
        self.option("tools", Value::Array(names))
    }

    /// Asks for answers that are JSON documents of a type.
    #[must_use]
    pub fn output_schema<T: JsonSchema>(self) -> Self {
        self.output_schema_of(schema_to_read::<T>())
    }

    /// Asks for answers that are JSON documents of a JSON Schema.
    #[must_use]
    pub fn output_schema_of(self, schema: Value) -> Self {
        self.option("output_schema", schema)
    }

    /// Sets the longest answer, in tokens.
    #[must_use]
    pub fn max_tokens(self, tokens: u64) -> Self {
        self.option("max_tokens", tokens.into())
    }

    /// Sets how freely the model chooses its words: 0 for as little as possible.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        self.option("temperature", json!(temperature))
    }

    /// Sets from which share of the most likely words the model chooses.
    #[must_use]
    pub fn top_p(self, share: f64) -> Self {
        self.option("top_p", json!(share))
    }

    /// Sets texts that end an answer.
    #[must_use]
    pub fn stop<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        self.option("stop", Value::Array(texts.into_iter().map(|text| Value::String(text.into())).collect()))
    }

    /// Asks for the same answer to the same conversation, as far as the provider can.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.option("seed", seed.into())
    }

    fn option(mut self, name: &'static str, value: Value) -> Self {
        self.options.insert(name.into(), value);
        if self.begun.is_some() {
            self.late = Some(name);
        }
        self
    }

    /// Adds what the user says.
    pub fn push_user(&mut self, text: impl Into<String>) {
        self.push(json!({ "role": "user", "content": text.into() }));
    }

    /// Adds what the model is meant to have said.
    pub fn push_assistant(&mut self, text: impl Into<String>) {
        self.push(json!({ "role": "assistant", "content": text.into() }));
    }

    /// Adds the answer of a tool that the model asked to call, by the id of that call.
    pub fn push_tool_result(&mut self, id: &str, content: impl Into<String>) {
        self.push(json!({ "role": "tool", "tool_call_id": id, "content": content.into() }));
    }

    fn push(&mut self, message: Value) {
        self.pending.push(message);
    }

    /// Sends the conversation to the model: one request. The answer becomes part of the conversation.
    ///
    /// Fails with [`Failure::InvalidInput`] where options or messages make no sense, with [`Failure::Denied`] where the
    /// model was not granted, and with [`Failure::Unavailable`] where the provider cannot be reached.
    pub fn send(&mut self) -> Result<Answer, Failure> {
        if let Some(option) = self.late {
            let message = format!("option {option:?} of a chat was set after its first request: set it before");
            return Err(Failure::invalid_input(message));
        }
        let options = &self.options;
        let chat = self.begun.get_or_insert_with(|| host::Chat::new(&Value::Object(options.clone()).to_string()));
        for message in self.pending.drain(..) {
            chat.push(&message.to_string())?;
        }
        let answer = chat.send()?;
        dispatch::decode("answer", &answer)
            .map_err(|failure| Failure::failed(format!("could not read the model's {}", failure.message())))
    }
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; empty where the model only asks to call tools.
    #[serde(default, deserialize_with = "text_or_null")]
    pub text: String,
    /// The tools that the model asks to call, in its order.
    #[serde(default)]
    pub tool_calls: Vec<ToolCall>,
    /// Why the answer ended.
    pub stop: Stop,
    /// How long the answer could be, where the guardrails left room for a shorter one than was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// What the request took.
    #[serde(default)]
    pub usage: Usage,
}

fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Answer {
    /// An answer of text alone, for tests.
    #[must_use]
    pub fn of_text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// An answer that asks to call one tool, for tests; the call's id is its name. See [`and_tool`](Self::and_tool).
    #[must_use]
    pub fn of_tool(tool: &str, input: Value) -> Self {
        Self::default().and_tool(tool, input)
    }

    /// Adds a call of a tool, for tests.
    #[must_use]
    pub fn and_tool(mut self, tool: &str, input: Value) -> Self {
        let id = format!("{tool}-{}", self.tool_calls.len());
        self.tool_calls.push(ToolCall { id, tool: tool.into(), input });
        self.stop = Stop::ToolCalls;
        self
    }

    /// Reads the text as JSON, as the answer to a chat with an `output_schema`.
    ///
    /// Fails with [`Failure::Failed`] where it is not of the wanted type, and names the place.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        dispatch::decode("answer", &self.text)
            .map_err(|failure| Failure::failed(format!("could not read the model's {}", failure.message())))
    }
}

/// A tool that a model asks to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The call's id, for [`Chat::push_tool_result`].
    pub id: String,
    /// The tool's name, as in [`tools::list`](crate::tools::list).
    pub tool: String,
    /// What it is to be given.
    #[serde(default)]
    pub input: Value,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The model had said what it wanted to say.
    #[default]
    End,
    /// It asks to call tools.
    ToolCalls,
    /// The answer was as long as it could be; something is missing.
    MaxTokens,
    /// The model refuses, or the provider does for it.
    Refusal,
}

/// What a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens sent, where the provider said it.
    pub input_tokens: Option<u64>,
    /// Those of them that the provider remembered.
    pub cached_input_tokens: Option<u64>,
    /// Tokens answered.
    pub output_tokens: Option<u64>,
    /// Those of them that the model thought with.
    pub reasoning_tokens: Option<u64>,
    /// The price, in millionths of a US dollar, where it is known.
    pub cost_microdollars: Option<u64>,
}
