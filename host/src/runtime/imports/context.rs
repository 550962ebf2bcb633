//! `weir:plugin/context`: what the call is part of.

use std::time::Instant;

use weir_engine::limits::Room;

use super::CallState;
use crate::runtime::bindings::weir::plugin::context::{Amounts, Host};

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

    async fn budget(&mut self) -> wasmtime::Result<Amounts> {
        self.count(0)?;
        let left = match self.host.clone() {
            Some(host) => host.budget().await,
            None => Room::default(),
        };
        Ok(Amounts {
            requests: left.requests,
            input_tokens: left.input_tokens,
            output_tokens: left.output_tokens,
            total_tokens: left.total_tokens,
            tool_calls: left.tool_calls,
            cost_microdollars: left.cost_microusd,
        })
    }
}
