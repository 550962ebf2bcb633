//! `weir:plugin/tools`: an agent calls tools through the host.

use std::sync::Arc;

use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

use super::CallState;
use crate::runtime::{
    bindings::weir::plugin::{tools::Host, types},
    limits::OUTPUT_BYTES_MAX,
};

impl Host for CallState {
    async fn call(&mut self, tool: String, input: String) -> wasmtime::Result<Result<String, types::Failure>> {
        self.count(tool.len() + input.len())?;
        let Some(host) = self.host.as_ref().map(Arc::clone) else {
            return Ok(Err(types::Failure::Denied(format!("could not call `{tool}`: only agents call tools"))));
        };
        if input.len() > OUTPUT_BYTES_MAX {
            let message = format!("input of `{tool}` is longer than {OUTPUT_BYTES_MAX} bytes");
            return Ok(Err(types::Failure::InvalidInput(message)));
        }
        let input = match Json::parse(input) {
            Ok(input) => input,
            Err(error) => return Ok(Err(types::Failure::InvalidInput(format!("input of `{tool}`: {error}")))),
        };
        let answer = host.call_tool(tool, input).await;
        Ok(answer.map(|output| output.text().to_owned()).map_err(told))
    }

    fn list(&mut self) -> wasmtime::Result<String> {
        self.count(0)?;
        Ok(self.host.as_ref().map_or_else(|| "[]".to_owned(), |host| host.tools().text().to_owned()))
    }
}

/// What an agent is told about the failure of a tool that it called.
fn told(failure: Failure) -> types::Failure {
    match failure.code {
        FailureCode::InvalidInput => types::Failure::InvalidInput(failure.message),
        FailureCode::Denied => types::Failure::Denied(failure.message),
        FailureCode::Unavailable => types::Failure::Unavailable(failure.message),
        FailureCode::Failed => types::Failure::Failed(failure.message),
        FailureCode::PluginFailure => {
            let code = failure.details.as_ref().and_then(|details| details.value().get("code")?.as_str());
            types::Failure::Other((code.unwrap_or("plugin_failure").to_owned(), failure.message))
        }
        code @ (FailureCode::FuelExhausted
        | FailureCode::Timeout
        | FailureCode::MemoryLimit
        | FailureCode::ResourceLimit
        | FailureCode::StackOverflow
        | FailureCode::PluginTrap
        | FailureCode::OutputTooLarge
        | FailureCode::InvalidOutput
        | FailureCode::HostCallLimit
        | FailureCode::PluginNotFound
        | FailureCode::PluginDisabled
        | FailureCode::ReferenceNotFound
        | FailureCode::NotAnArray
        | FailureCode::GuardrailExceeded
        | FailureCode::ApprovalTimeout
        | FailureCode::LoopDetected
        | FailureCode::Nondeterministic
        | FailureCode::Interrupted
        | FailureCode::Internal) => types::Failure::Other((code.as_str().to_owned(), failure.message)),
    }
}
