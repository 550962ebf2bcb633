//! What was heard of an answer so far, whatever protocol it came in.

use serde_json::Value;
use weir_engine::json::Json;

use super::{Problem, StopReason, ToolUse, Usage, names::ToolNames};

/// The most tools that one answer may ask for.
const CALLS_MAX: usize = 128;
/// The most characters of what a provider says about an error.
const SAID_CHARS_MAX: usize = 300;

/// An answer in the making.
#[derive(Debug, Default)]
pub(super) struct Heard {
    text: String,
    /// Up to where the text was handed on.
    handed: usize,
    calls: Vec<Call>,
    /// Whether anything was heard.
    pub(super) is_begun: bool,
    pub(super) usage: Usage,
    pub(super) stop: Option<StopReason>,
    pub(super) model: Option<String>,
    /// Whether the model said that it would not answer.
    pub(super) refused: bool,
    /// Whether the end was seen: without it, nothing of this is an answer.
    pub(super) is_whole: bool,
    /// Why this will never be an answer.
    pub(super) problem: Option<Problem>,
}

#[derive(Debug)]
struct Call {
    /// What the provider numbers it by while it comes in pieces.
    key: u64,
    id: String,
    name: String,
    arguments: String,
    signature: Option<String>,
}

/// A whole answer, in the provider's terms.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) text: String,
    pub(super) tool_calls: Vec<ToolUse>,
    pub(super) stop: StopReason,
    pub(super) usage: Option<Usage>,
    pub(super) response_model: Option<String>,
}

impl Heard {
    /// Whether nothing that still comes can change what this is: the end was seen, or a reason why there is none.
    pub(super) fn is_decided(&self) -> bool {
        self.is_whole || self.problem.is_some()
    }

    /// Notes why this will never be an answer; the first reason is the one that counts.
    pub(super) fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    /// Notes an error that the provider told of in the middle of its answer.
    pub(super) fn fail_with(&mut self, error: &Value) {
        self.fail(Problem::failed(format!("the provider broke off: {}", said(error))));
    }

    /// A piece of text.
    pub(super) fn say(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    /// A piece of a tool's call; the pieces with the same key are one call.
    pub(super) fn call(&mut self, key: Option<u64>, id: Option<String>, name: Option<&str>, arguments: &str) {
        let next = u64::try_from(self.calls.len()).unwrap_or(u64::MAX);
        // Without a number, an id begins a call and everything else continues the last one.
        let key = key.unwrap_or(if id.is_some() || next == 0 { next } else { next - 1 });
        if !self.calls.iter().any(|call| call.key == key) {
            if self.calls.len() == CALLS_MAX {
                return self.fail(Problem::too_large(format!("an answer may ask for {CALLS_MAX} tools at most")));
            }
            let id = String::new();
            self.calls.push(Call { key, id, name: String::new(), arguments: String::new(), signature: None });
        }
        let Some(call) = self.calls.iter_mut().find(|call| call.key == key) else { return };
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            call.id = id;
        }
        // Some servers repeat the name with every piece; none sends it in pieces.
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            name.clone_into(&mut call.name);
        }
        call.arguments.push_str(arguments);
    }

    /// A whole call, with what the provider wants to get back with it.
    pub(super) fn whole_call(&mut self, id: Option<String>, name: &str, arguments: &Value, signature: Option<String>) {
        let key = u64::try_from(self.calls.len()).unwrap_or(u64::MAX);
        let arguments = if arguments.is_null() { String::new() } else { arguments.to_string() };
        self.call(Some(key), id, Some(name), &arguments);
        if let Some(call) = self.calls.iter_mut().find(|call| call.key == key) {
            call.signature = signature;
        }
    }

    /// How many calls there are so far.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// What was said since the last time.
    pub(super) fn take_delta(&mut self) -> Option<String> {
        let delta = self.text.get(self.handed..).filter(|delta| !delta.is_empty())?.to_owned();
        self.handed = self.text.len();
        Some(delta)
    }

    /// The answer, if all of it came.
    pub(super) fn finish(self, names: &ToolNames) -> Result<Whole, Problem> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if !self.is_whole {
            return Err(Problem::failed(if !self.is_begun {
                "nothing came: the connection ended, or the server does not stream its answers"
            } else {
                "the answer broke off before its end"
            }));
        }
        let stop = match self.stop.unwrap_or(StopReason::End) {
            _ if self.refused => StopReason::Refusal,
            StopReason::End | StopReason::ToolCalls if !self.calls.is_empty() => StopReason::ToolCalls,
            StopReason::ToolCalls => StopReason::End,
            other @ (StopReason::End | StopReason::MaxTokens | StopReason::Refusal) => other,
        };
        let tool_calls = self.calls.into_iter().enumerate().map(|(index, call)| call.finish(index, names)).collect();
        let (text, usage, response_model) = (self.text, self.usage.known(), self.model);
        Ok(Whole { text, tool_calls, stop, usage, response_model })
    }
}

impl Call {
    fn finish(self, index: usize, names: &ToolNames) -> ToolUse {
        let id = if self.id.is_empty() { format!("call_{index}") } else { self.id };
        let text = if self.arguments.trim().is_empty() { "{}".to_owned() } else { self.arguments };
        let input = Json::parse(text.clone()).unwrap_or_else(|_| Json::from_value(Value::String(text)));
        ToolUse { id, tool: names.own(&self.name), input, signature: self.signature }
    }
}

/// What a provider says about an error, short and on one line.
pub(super) fn said(error: &Value) -> String {
    let text =
        error.as_str().or_else(|| error.get("message")?.as_str()).map_or_else(|| error.to_string(), str::to_owned);
    short(&text)
}

/// A text that somebody else wrote, short and on one line.
pub(super) fn short(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut kept: String = one_line.trim().chars().take(SAID_CHARS_MAX).collect();
    if one_line.trim().chars().count() > SAID_CHARS_MAX {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use weir_engine::failure::FailureCode;

    use super::*;

    #[test]
    fn an_answer_asks_for_so_many_tools_and_no_more() {
        let mut heard = Heard::default();
        (0..CALLS_MAX).for_each(|n| heard.whole_call(Some(format!("c{n}")), "a", &Value::Null, None));
        assert!(!heard.is_decided());
        heard.whole_call(Some("one more".to_owned()), "a", &Value::Null, None);
        assert_eq!(heard.problem.as_ref().unwrap().code(), FailureCode::OutputTooLarge);
    }
}
