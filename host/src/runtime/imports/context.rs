//! `weir:plugin/context`: what the call is part of.

use std::time::Instant;

use super::CallState;
use crate::runtime::bindings::weir::plugin::context::Host;

impl Host for CallState {
    fn execution_id(&mut self) -> wasmtime::Result<String> {
        self.count(0)?;
        Ok(self.execution_id.to_string())
    }

    fn step_path(&mut self) -> wasmtime::Result<String> {
        self.count(0)?;
        Ok(self.path.to_string())
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        self.count(0)?;
        let remaining = self.due.saturating_duration_since(Instant::now());
        Ok(u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX))
    }
}
