//! The imports, as the host of the running test answers them.

use super::{Host, Line, ModelCall, Ran, ToolCall, Turn};
use crate::Failure;
use crate::context::Budget;
use crate::http::{Request, Response};
use crate::kv::Space;
use crate::log::Level;
use crate::model::Answer;
use serde_json::{Value, json};
use std::cell::RefCell;

/// Most keys of one answer of [`kv_keys`], as in the host.
const KEYS_MAX: usize = 1_000;

/// What is under way in this thread.
struct Running {
    host: Host,
    logs: Vec<Line>,
    calls: Vec<ToolCall>,
    turns: Vec<ModelCall>,
    requests: Vec<Request>,
}

thread_local! {
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
}

/// Takes what is under way back out, also when the function panics: the next test may run in the same thread.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
    }
}

pub(super) fn run<T>(host: Host, function: impl FnOnce() -> T) -> Ran<T> {
    let begun = Running { host, logs: Vec::new(), calls: Vec::new(), turns: Vec::new(), requests: Vec::new() };
    RUNNING.with_borrow_mut(|running| running.push(begun));
    let guard = Guard;
    let result = function();
    let ended = RUNNING.with_borrow_mut(Vec::pop);
    std::mem::forget(guard);
    match ended {
        Some(Running { logs, calls, turns, requests, .. }) => Ran { result, logs, calls, turns, requests },
        None => panic!("a host that ran was taken away"),
    }
}

/// Reaches the innermost host; `None` outside of any.
fn with<T>(function: impl FnOnce(&mut Running) -> T) -> Option<T> {
    RUNNING.with_borrow_mut(|running| running.last_mut().map(function))
}

/// Reaches the host where the plugin asks it something.
fn ask<T>(what: &str, function: impl FnOnce(&mut Running) -> T) -> T {
    match with(function) {
        Some(answer) => answer,
        None => panic!("{what} needs a host: run the test inside `weir_sdk::testing::Host::run`"),
    }
}

/// Keeps the line. Outside of any host it is dropped: a function under test may log.
pub(crate) fn log(level: Level, message: &str) {
    with(|running| running.logs.push(Line { level, message: message.into() }));
}

pub(crate) fn execution_id() -> String {
    ask("context::execution_id", |running| running.host.execution_id.clone())
}

pub(crate) fn step_path() -> String {
    ask("context::step_path", |running| running.host.step_path.clone())
}

pub(crate) fn remaining_ms() -> u64 {
    ask("context::remaining_ms", |running| running.host.remaining_ms)
}

/// What the host gives, less what the run has spent.
pub(crate) fn budget() -> Budget {
    ask("context::budget", |running| {
        let usages = || running.turns.iter().filter_map(|call| Some(call.result.as_ref().ok()?.usage));
        let input: u64 = usages().filter_map(|usage| usage.input_tokens).sum();
        let output: u64 = usages().filter_map(|usage| usage.output_tokens).sum();
        let cost: u64 = usages().filter_map(|usage| usage.cost_microdollars).sum();
        let less = |limit: Option<u64>, spent: u64| limit.map(|limit| limit.saturating_sub(spent));
        let given = running.host.budget;
        Budget {
            requests: less(given.requests, running.turns.len() as u64),
            input_tokens: less(given.input_tokens, input),
            output_tokens: less(given.output_tokens, output),
            total_tokens: less(given.total_tokens, input + output),
            tool_calls: less(given.tool_calls, running.calls.len() as u64),
            cost_microdollars: less(given.cost_microdollars, cost),
        }
    })
}

pub(crate) fn list_tools() -> String {
    let tools = ask("tools::list", |running| {
        running.host.tools.values().map(|(info, _)| serde_json::json!(info)).collect::<Vec<_>>()
    });
    Value::Array(tools).to_string()
}

pub(crate) fn call_tool(tool: &str, input: &str) -> Result<String, Failure> {
    let input: Value = serde_json::from_str(input)?;
    // The tool itself may log or ask for the context, so the host is not held while it runs.
    let found = ask("tools::call", |running| running.host.tools.get(tool).map(|(_, function)| function.clone()));
    let result = match found {
        Some(function) => function(input.clone()),
        None => Err(Failure::denied(format!("tool {tool:?} is not granted to this call"))),
    };
    let answer = result.as_ref().map(Value::to_string).map_err(Clone::clone);
    ask("tools::call", |running| running.calls.push(ToolCall { tool: tool.into(), input, result }));
    answer
}

pub(crate) fn call_tools(calls: Vec<(String, String)>) -> Vec<Result<String, Failure>> {
    calls.iter().map(|(tool, input)| call_tool(tool, input)).collect()
}

/// A conversation, as the host keeps it.
pub(crate) struct Chat {
    options: Result<Value, Failure>,
    messages: RefCell<Vec<Value>>,
}

impl Chat {
    pub(crate) fn new(options: &str) -> Self {
        let options = serde_json::from_str(options).map_err(Failure::invalid_input);
        Self { options, messages: RefCell::default() }
    }

    pub(crate) fn push(&self, message: &str) -> Result<(), Failure> {
        self.messages.borrow_mut().push(serde_json::from_str(message)?);
        Ok(())
    }

    pub(crate) fn send(&self) -> Result<String, Failure> {
        let (model, number) = ask("Chat::send", |running| (running.host.model.clone(), running.turns.len()));
        let turn = Turn { options: self.options.clone()?, messages: self.messages.borrow().clone(), number };
        let result = match model {
            Some(model) => model(&turn),
            None => Err(Failure::denied(format!("model {} is not granted to this call", turn.options["model"]))),
        };
        ask("Chat::send", |running| running.turns.push(ModelCall { turn, result: result.clone() }));
        let answer = result?;
        self.messages.borrow_mut().push(message_of(&answer));
        Ok(serde_json::to_string(&answer)?)
    }
}

/// The answer as a message of the conversation.
fn message_of(answer: &Answer) -> Value {
    json!({ "role": "assistant", "content": answer.text, "tool_calls": answer.tool_calls })
}

pub(crate) fn send_http(request: Request) -> Result<Response, Failure> {
    let http = ask("http", |running| {
        running.requests.push(request.clone());
        running.host.http.clone()
    });
    let Some(http) = http else {
        return Err(Failure::denied(format!("{} {} is not granted to this call", request.method, request.url)));
    };
    let mut answer = http(&request)?;
    if answer.url.is_empty() {
        answer.url = request.url;
    }
    Ok(answer)
}

/// Reaches the documents. No code of the plugin or the test runs meanwhile.
fn documents<T>(
    space: Space,
    key: &str,
    function: impl FnOnce(&mut std::collections::BTreeMap<(Space, String), String>, (Space, String)) -> T,
) -> T {
    let documents = ask("kv", |running| running.host.documents.clone());
    function(&mut documents.borrow_mut(), (space, key.to_owned()))
}

pub(crate) fn kv_get(space: Space, key: &str) -> Result<Option<String>, Failure> {
    Ok(documents(space, key, |documents, key| documents.get(&key).cloned()))
}

pub(crate) fn kv_set(space: Space, key: &str, value: &str) -> Result<(), Failure> {
    documents(space, key, |documents, key| documents.insert(key, value.to_owned()));
    Ok(())
}

pub(crate) fn kv_delete(space: Space, key: &str) -> Result<bool, Failure> {
    Ok(documents(space, key, |documents, key| documents.remove(&key).is_some()))
}

pub(crate) fn kv_compare_and_set(
    space: Space,
    key: &str,
    expected: Option<&str>,
    value: Option<&str>,
) -> Result<bool, Failure> {
    let parse = |text: Option<&str>| text.map(serde_json::from_str::<Value>).transpose();
    let expected = parse(expected)?;
    documents(space, key, |documents, key| {
        if parse(documents.get(&key).map(String::as_str))? != expected {
            return Ok(false);
        }
        match value {
            Some(value) => documents.insert(key, value.to_owned()),
            None => documents.remove(&key),
        };
        Ok(true)
    })
}

pub(crate) fn kv_keys(space: Space, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
    Ok(documents(space, prefix, |documents, _| {
        let keys = documents.keys().filter(|(found, _)| *found == space).map(|(_, key)| key);
        let meant = keys.filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        meant.take(KEYS_MAX).cloned().collect()
    }))
}
