//! How a call ended: every way to fail has its own code. The one table from the runtime's errors to failures.

use std::time::Duration;

use serde_json::json;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

use super::{
    bindings::weir::plugin::types,
    limits::{HANDLES_MAX, HostCallsExceeded, MemoryExceeded, OUTPUT_BYTES_MAX, TablesExceeded},
    text::neutral,
};

/// Bytes of a plugin's own words in a failure.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Functions named in a failure's details.
const FRAMES_MAX: usize = 8;
const FRAME_BYTES_MAX: usize = 120;

/// The call was still running at its deadline.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the call's time is up")]
pub(super) struct DeadlinePassed;

/// Where a call was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The instance was being made.
    Instantiating,
    /// The plugin ran, or its answer was being read.
    Running,
}

/// Checks what a plugin answered.
pub(super) fn accepted(answer: Result<String, types::Failure>) -> Result<Json, Failure> {
    let text = answer.map_err(told)?;
    if text.len() > OUTPUT_BYTES_MAX {
        return Err(too_large(&format!("{} bytes", text.len())));
    }
    Json::parse(text)
        .map_err(|error| Failure::new(FailureCode::InvalidOutput, format!("the plugin's answer is {error}")))
}

/// A failure that the plugin answered.
fn told(failure: types::Failure) -> Failure {
    let (code, text) = match failure {
        types::Failure::InvalidInput(text) => (FailureCode::InvalidInput, text),
        types::Failure::Denied(text) => (FailureCode::Denied, text),
        types::Failure::Unavailable(text) => (FailureCode::Unavailable, text),
        types::Failure::Failed(text) => (FailureCode::Failed, text),
        types::Failure::Other((code, text)) => {
            let code = if super::descriptor::is_name(&code) { code } else { "unnamed".to_owned() };
            return Failure::new(FailureCode::PluginFailure, neutral(&text, MESSAGE_BYTES_MAX))
                .with_details(json!({ "code": code }));
        }
    };
    Failure::new(code, neutral(&text, MESSAGE_BYTES_MAX))
}

fn too_large(size: &str) -> Failure {
    Failure::new(
        FailureCode::OutputTooLarge,
        format!("the plugin answered {size}; the limit is {OUTPUT_BYTES_MAX} bytes"),
    )
    .with_details(json!({ "limit_bytes": OUTPUT_BYTES_MAX }))
}

/// The failure that stands for an error of the runtime. `last_words` is what the plugin wrote to standard error.
pub(super) fn failure(error: &wasmtime::Error, phase: Phase, last_words: Option<String>) -> Failure {
    by_type(error).or_else(|| trapped(error, last_words)).unwrap_or_else(|| by_text(error, phase))
}

fn by_type(error: &wasmtime::Error) -> Option<Failure> {
    if let Some(exceeded) = error.downcast_ref::<MemoryExceeded>() {
        let megabytes = exceeded.limit_bytes as f64 / f64::from(1 << 20);
        let details = json!({ "limit": "memory_limit_mb", "value": megabytes, "limit_bytes": exceeded.limit_bytes,
            "wanted_bytes": exceeded.wanted_bytes });
        return Some(Failure::new(FailureCode::MemoryLimit, exceeded.to_string()).with_details(details));
    }
    if let Some(exceeded) = error.downcast_ref::<TablesExceeded>() {
        return Some(Failure::new(FailureCode::ResourceLimit, exceeded.to_string()));
    }
    if let Some(exceeded) = error.downcast_ref::<HostCallsExceeded>() {
        return Some(Failure::new(FailureCode::HostCallLimit, exceeded.to_string()));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        let message = format!("the plugin opened more than {HANDLES_MAX} handles");
        return Some(Failure::new(FailureCode::ResourceLimit, message));
    }
    if error.is::<DeadlinePassed>() {
        return Some(timed_out());
    }
    if error.is::<PoolConcurrencyLimitError>() {
        let message = "could not make an instance of the plugin: the host has no room for more at the moment";
        return Some(Failure::new(FailureCode::Internal, message));
    }
    None
}

/// The failure of a call that was still running at its deadline.
pub(super) fn timed_out() -> Failure {
    Failure::new(FailureCode::Timeout, "the call took longer than it may")
}

/// A failure that tells of the limit that was met, as authors name it, with its value.
pub(super) fn with_limit(failure: Failure, fuel: u64, timeout: Duration) -> Failure {
    let (message, limit, value) = if failure.code == FailureCode::FuelExhausted {
        (format!("the call used up its fuel of {fuel}"), "fuel_limit", json!(fuel))
    } else if failure.code == FailureCode::Timeout {
        let seconds = timeout.as_secs_f64();
        (format!("the call took longer than the {seconds} s that it may"), "timeout_seconds", json!(seconds))
    } else {
        return failure;
    };
    Failure::new(failure.code, message).with_details(json!({ "limit": limit, "value": value }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other traps are one failure")]
fn trapped(error: &wasmtime::Error, last_words: Option<String>) -> Option<Failure> {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        let message = format!("the plugin ended itself with exit status {}: a plugin must answer", exit.0);
        return Some(Failure::new(FailureCode::PluginTrap, message));
    }
    let trap = *error.downcast_ref::<Trap>()?;
    Some(match trap {
        Trap::OutOfFuel => Failure::new(FailureCode::FuelExhausted, "the call used up its fuel"),
        Trap::Interrupt => timed_out(),
        Trap::StackOverflow => Failure::new(FailureCode::StackOverflow, "the plugin recursed too deep"),
        trap => {
            let words = last_words.map_or_else(String::new, |words| format!(": {words}"));
            let message = neutral(&format!("the plugin trapped: {trap}{words}"), MESSAGE_BYTES_MAX);
            Failure::new(FailureCode::PluginTrap, message).with_details(json!({ "functions": frames(error) }))
        }
    })
}

/// The names of the plugin's functions that were running, innermost first, as far as the plugin has names.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    names.take(FRAMES_MAX).map(|name| neutral(name, FRAME_BYTES_MAX)).collect()
}

/// Errors that wasmtime has no type for. What was raised inside the plugin carries a backtrace; what has none was
/// raised while the answer was read.
fn by_text(error: &wasmtime::Error, phase: Phase) -> Failure {
    let text = neutral(&error.root_cause().to_string(), MESSAGE_BYTES_MAX);
    let inside = error.is::<WasmBacktrace>();
    let hostcall_fuel = text.contains("fuel allocated for hostcalls has been exhausted");
    if hostcall_fuel && inside {
        return Failure::new(FailureCode::HostCallLimit, "the plugin passed too much to the host at once");
    }
    if hostcall_fuel {
        return too_large("far too much");
    }
    let limited = ["resource limit exceeded", "cannot allocate another handle", "exceeds limit", "minimum size of"];
    if limited.iter().any(|part| text.contains(part)) {
        return Failure::new(FailureCode::ResourceLimit, format!("the plugin wanted too much: {text}"));
    }
    match phase {
        Phase::Instantiating if !inside => {
            tracing::error!(error = ?error, "could not make an instance of a plugin");
            Failure::new(FailureCode::Internal, "could not make an instance of the plugin: the host's log tells more")
        }
        Phase::Running if !inside => {
            Failure::new(FailureCode::InvalidOutput, format!("could not read the plugin's answer: {text}"))
        }
        Phase::Instantiating | Phase::Running => {
            Failure::new(FailureCode::PluginTrap, format!("a host function stopped the plugin: {text}"))
        }
    }
}
