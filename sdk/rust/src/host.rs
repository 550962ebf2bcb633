//! The seam between the SDK and the host: the real imports in a component, the fake of [`testing`](crate::testing)
//! natively.

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::bindings::failure_from;
    use crate::bindings::weir::plugin::{context, log, tools};
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

    pub(crate) fn call_tool(tool: &str, input: &str) -> Result<String, Failure> {
        tools::call(tool, input).map_err(failure_from)
    }

    pub(crate) fn list_tools() -> String {
        tools::list()
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::fake::{call_tool, execution_id, list_tools, log, remaining_ms, step_path};
#[cfg(target_arch = "wasm32")]
pub(crate) use component::{call_tool, execution_id, list_tools, log, remaining_ms, step_path};
