//! The real imports, in the SDK's own types.

use crate::bindings::failure_from;
use crate::bindings::weir::plugin::{context, http, kv, log, model, tools};
use crate::context::Budget;
use crate::http::{Request, Response};
use crate::kv::Space;
use crate::{Failure, log::Level};

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message);
}

pub(crate) fn execution_id() -> String {
    context::execution_id()
}

pub(crate) fn step_path() -> String {
    context::step_path()
}

pub(crate) fn remaining_ms() -> u64 {
    context::remaining_ms()
}

pub(crate) fn budget() -> Budget {
    let context::Amounts { requests, input_tokens, output_tokens, total_tokens, tool_calls, cost_microdollars } =
        context::budget();
    Budget { requests, input_tokens, output_tokens, total_tokens, tool_calls, cost_microdollars }
}

pub(crate) fn call_tool(tool: &str, input: &str) -> Result<String, Failure> {
    tools::call(tool, input).map_err(failure_from)
}

pub(crate) fn call_tools(calls: Vec<(String, String)>) -> Vec<Result<String, Failure>> {
    let calls: Vec<_> = calls.into_iter().map(|(tool, input)| tools::ToolCall { tool, input }).collect();
    tools::call_all(&calls).into_iter().map(|answer| answer.map_err(failure_from)).collect()
}

pub(crate) fn list_tools() -> String {
    tools::list()
}

/// A conversation that the host keeps.
pub(crate) struct Chat(model::Chat);

impl Chat {
    pub(crate) fn new(options: &str) -> Self {
        Self(model::Chat::new(options))
    }

    pub(crate) fn push(&self, message: &str) -> Result<(), Failure> {
        self.0.push(message).map_err(failure_from)
    }

    pub(crate) fn send(&self) -> Result<String, Failure> {
        self.0.send().map_err(failure_from)
    }
}

pub(crate) fn send_http(request: Request) -> Result<Response, Failure> {
    let Request { method, url, headers, body, timeout_ms } = request;
    let answer = http::send(&http::Request { method, url, headers, body, timeout_ms }).map_err(failure_from)?;
    let http::Response { status, headers, body, url } = answer;
    Ok(Response { status, headers, body, url })
}

fn wire(space: Space) -> kv::Space {
    match space {
        Space::Plugin => kv::Space::Plugin,
        Space::Workflow => kv::Space::Workflow,
    }
}

pub(crate) fn kv_get(space: Space, key: &str) -> Result<Option<String>, Failure> {
    kv::get(wire(space), key).map_err(failure_from)
}

pub(crate) fn kv_set(space: Space, key: &str, value: &str) -> Result<(), Failure> {
    kv::set(wire(space), key, value).map_err(failure_from)
}

pub(crate) fn kv_delete(space: Space, key: &str) -> Result<bool, Failure> {
    kv::delete(wire(space), key).map_err(failure_from)
}

pub(crate) fn kv_compare_and_set(
    space: Space,
    key: &str,
    expected: Option<&str>,
    value: Option<&str>,
) -> Result<bool, Failure> {
    kv::compare_and_set(wire(space), key, expected, value).map_err(failure_from)
}

pub(crate) fn kv_keys(space: Space, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
    kv::keys(wire(space), prefix, after).map_err(failure_from)
}
