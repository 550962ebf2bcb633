//! What a test sees of a run.

use crate::log::Level;
use crate::model::Answer;
use crate::{Failure, http};
use serde_json::Value;

/// A line that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
}

/// A call of another plugin's tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The tool that was called.
    pub tool: String,
    /// What it was given.
    pub input: Value,
    /// What it answered.
    pub result: Result<Value, Failure>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Ran<T> {
    /// The answer.
    pub result: T,
    /// The lines that were logged, in order.
    pub logs: Vec<Line>,
    /// The calls of other tools, in order.
    pub calls: Vec<ToolCall>,
    /// The model requests, in order.
    pub turns: Vec<ModelCall>,
    /// The requests over HTTP, in order.
    pub requests: Vec<http::Request>,
}

/// What a model is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The chat's options: an object.
    pub options: Value,
    /// All messages so far, those of the model too.
    pub messages: Vec<Value>,
    /// Which model request of the run it is, from 0.
    pub number: usize,
}

impl Turn {
    /// The content of the last message.
    pub fn last_text(&self) -> &str {
        self.messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default()
    }

    /// The contents of all messages, one a line.
    pub fn all_text(&self) -> String {
        let texts: Vec<&str> = self.messages.iter().filter_map(|message| message["content"].as_str()).collect();
        texts.join("\n")
    }
}

/// A model request.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCall {
    /// What was sent.
    pub turn: Turn,
    /// What was answered.
    pub result: Result<Answer, Failure>,
}
