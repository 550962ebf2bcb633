//! What a script's rule answers to a request: pure, the same for the same request.

use serde_json::Value;
use weir_engine::json::Json;

use super::rules::{Told, last};
use crate::models::{Attempt, ChatRequest, Message, ModelAnswer, StopReason, ToolUse, Usage, estimate};

/// How many bytes a script counts as a token.
const BYTES_PER_TOKEN: usize = 4;
/// The most bytes of what a placeholder stands for.
const FILLED_BYTES_MAX: usize = 1024 * 1024;

/// The number of the answer that is due, from 1.
pub(super) fn turn(request: &ChatRequest) -> usize {
    1 + request.messages.iter().filter(|message| matches!(message, Message::Assistant { .. })).count()
}

pub(super) fn make(told: &Told, request: &ChatRequest, max_tokens: u64) -> ModelAnswer {
    let text = filled(&told.text, request);
    let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    let room = usize::try_from(max_tokens).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_TOKEN);
    let kept = text.floor_char_boundary(room).min(text.len());
    let is_cut = kept < text.len();
    let tool_calls: Vec<ToolUse> = if is_cut { Vec::new() } else { calls(told, request) };
    let stop = match told.stop {
        _ if is_cut => StopReason::MaxTokens,
        Some(stop) => stop,
        None if tool_calls.is_empty() => StopReason::End,
        None => StopReason::ToolCalls,
    };
    let text = text[..kept].to_owned();
    let usage = (!told.uncounted).then(|| told.usage.clone().unwrap_or_else(|| counted(request, &text, &tool_calls)));
    ModelAnswer {
        text,
        tool_calls,
        stop,
        usage,
        provider: String::new(),
        model: String::new(),
        response_model: None,
        attempts: vec![Attempt::answered()],
        latency_ms: 0,
    }
}

fn calls(told: &Told, request: &ChatRequest) -> Vec<ToolUse> {
    let turn = turn(request);
    let one = |(index, call): (usize, &super::rules::ToldCall)| ToolUse {
        id: format!("call_{turn}_{index}"),
        tool: call.tool.clone(),
        input: Json::from_value(filled_tree(&call.input, request)),
        signature: None,
    };
    told.tool_calls.iter().enumerate().map(one).collect()
}

fn counted(request: &ChatRequest, text: &str, calls: &[ToolUse]) -> Usage {
    let asked: usize = calls.iter().map(|call| call.tool.len() + call.input.text().len()).sum();
    let tokens = |bytes: u64| bytes.div_ceil(BYTES_PER_TOKEN.try_into().unwrap_or(1));
    Usage {
        input_tokens: Some(tokens(estimate::bytes(request))),
        output_tokens: Some(tokens((text.len() + asked).try_into().unwrap_or(u64::MAX))),
        ..Usage::default()
    }
}

/// A document with its texts filled in.
fn filled_tree(value: &Value, request: &ChatRequest) -> Value {
    match value {
        Value::String(text) => filled(text, request),
        Value::Array(items) => items.iter().map(|item| filled_tree(item, request)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled_tree(value, request))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A text with its placeholders filled in; one that is a placeholder and nothing else is what it stands for.
fn filled(text: &str, request: &ChatRequest) -> Value {
    if let Some(name) = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
        && !name.contains("{{")
    {
        return placeholder(name, request).unwrap_or_else(|| text.into());
    }
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        whole.push_str(before);
        let found = after.split_once("}}").and_then(|(name, after)| Some((placeholder(name, request)?, after)));
        let Some((value, after)) = found.filter(|_| whole.len() < FILLED_BYTES_MAX) else {
            whole.push_str("{{");
            rest = after;
            continue;
        };
        whole.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        rest = after;
    }
    whole.push_str(rest);
    Value::String(whole)
}

/// What a placeholder stands for; `None` if it is none.
fn placeholder(name: &str, request: &ChatRequest) -> Option<Value> {
    let name = name.trim();
    if name == "turn" {
        return Some(turn(request).into());
    }
    let path = name.strip_prefix("last")?;
    let (text, _) = last(request);
    if path.is_empty() {
        return Some(text.into());
    }
    let document: Value = serde_json::from_str(text).ok()?;
    let found = path.strip_prefix('.')?.split('.').try_fold(&document, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get(part),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    });
    Some(found.cloned().unwrap_or(Value::Null))
}

/// A text in the pieces in which it streams: its words.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::{super::rules::Rules, *};

    fn answer(script: &str, request: &ChatRequest, max_tokens: u64) -> ModelAnswer {
        let rules = Rules::parse(script).unwrap();
        make(rules.matching(request).unwrap().outcome().unwrap(), request, max_tokens)
    }

    fn tool_result(content: &str) -> ChatRequest {
        let mut request = ChatRequest::question("a", "find it");
        request.messages.push(Message::Assistant { content: String::new(), tool_calls: Vec::new() });
        request.messages.push(Message::Tool { tool_call_id: "1".to_owned(), content: content.to_owned() });
        request
    }

    #[test]
    fn placeholders_are_filled_from_the_last_message() {
        let script = "
rules:
  - when: {has_tool_result: true}
    answer:
      text: 'turn {{turn}}: {{last.results.0.url}} {{unknown}} {{'
      tool_calls: [{tool: a.b, input: {whole: '{{last.results}}', part: 'x {{last.n}}', none: '{{last.q.r}}'}}]
";
        let answer = answer(script, &tool_result(r#"{"results": [{"url": "u"}], "n": 3}"#), 100);
        assert_eq!(answer.text, "turn 2: u {{unknown}} {{");
        let input = answer.tool_calls[0].input.value();
        assert_eq!(*input, serde_json::json!({"whole": [{"url": "u"}], "part": "x 3", "none": null}));
        assert_eq!((answer.tool_calls[0].id.as_str(), answer.stop), ("call_2_0", StopReason::ToolCalls));
    }

    #[test]
    fn an_answer_is_cut_where_there_is_no_room() {
        let script = "rules: [{answer: {text: 'one two three ü'}}]";
        let request = ChatRequest::question("a", "b");
        let cut = answer(script, &request, 2);
        assert_eq!((cut.text.as_str(), cut.stop), ("one two ", StopReason::MaxTokens));
        assert_eq!(cut.usage.unwrap().output_tokens, Some(2));
        assert_eq!(answer(script, &request, 4).stop, StopReason::End);
    }

    #[test]
    fn a_script_counts_unless_it_says_what_to_count() {
        let request = ChatRequest::question("a", "12345678");
        let counted = answer("rules: [{answer: {text: abcde}}]", &request, 9).usage.unwrap();
        assert_eq!((counted.input_tokens, counted.output_tokens), (Some(2), Some(2)));
        let told = answer("rules: [{answer: {text: a, usage: {input_tokens: 70}}}]", &request, 9).usage.unwrap();
        assert_eq!((told.input_tokens, told.output_tokens), (Some(70), None));
        assert_eq!(answer("rules: [{answer: {text: a, uncounted: true}}]", &request, 9).usage, None);
    }
}
