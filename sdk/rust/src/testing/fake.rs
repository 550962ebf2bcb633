//! The imports, as the host of the running test answers them.

use super::{Host, Line, Ran, ToolCall};
use crate::Failure;
use crate::log::Level;
use serde_json::Value;
use std::cell::RefCell;

/// What is under way in this thread.
struct Running {
    host: Host,
    logs: Vec<Line>,
    calls: Vec<ToolCall>,
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
    RUNNING.with_borrow_mut(|running| running.push(Running { host, logs: Vec::new(), calls: Vec::new() }));
    let guard = Guard;
    let result = function();
    let (logs, calls) =
        with(|running| (std::mem::take(&mut running.logs), std::mem::take(&mut running.calls))).unwrap_or_default();
    drop(guard);
    Ran { result, logs, calls }
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
