//! `weir:plugin/tools`: an agent calls tools through the host.

use weir_engine::json::Json;

use super::{CallState, told, unreadable};
use crate::runtime::{
    Effect, ToolAnswer, ToolCall,
    bindings::weir::plugin::{
        tools::{self, Host},
        types::Failure,
    },
    limits::{OUTPUT_BYTES_MAX, TOOL_CALLS_AT_ONCE_MAX},
};

type Answer = Result<String, Failure>;

impl Host for CallState {
    async fn call(&mut self, tool: String, input: String) -> wasmtime::Result<Answer> {
        let mut answers = self.call_all(vec![tools::ToolCall { tool, input }]).await?;
        Ok(answers.pop().unwrap_or_else(|| Err(missing())))
    }

    async fn call_all(&mut self, calls: Vec<tools::ToolCall>) -> wasmtime::Result<Vec<Answer>> {
        for call in &calls {
            self.count(call.tool.len() + call.input.len())?;
        }
        if let Err(failure) = self.host_of_agents("call tools") {
            return Ok(vec![Err(failure); calls.len()]);
        }
        if calls.len() > TOOL_CALLS_AT_ONCE_MAX {
            let message = format!("{} calls at once; at most {TOOL_CALLS_AT_ONCE_MAX} are taken", calls.len());
            return Ok(vec![Err(Failure::InvalidInput(message)); calls.len()]);
        }
        let checked: Vec<Result<ToolCall, Failure>> = calls.into_iter().map(checked).collect();
        let sound: Vec<ToolCall> = checked.iter().flatten().cloned().collect();
        let mut answers = self.answers(sound).await?.into_iter();
        let each = checked.into_iter().map(|call| call.and_then(|_| answers.next().unwrap_or_else(|| Err(missing()))));
        Ok(each.collect())
    }

    async fn list(&mut self) -> wasmtime::Result<String> {
        self.count(0)?;
        let Ok(host) = self.host_of_agents("list tools") else { return Ok("[]".to_owned()) };
        let tools = host.tools().await;
        self.count_bytes(tools.text().len())?;
        Ok(tools.text().to_owned())
    }
}

impl CallState {
    /// The answers to calls that make sense. Nothing is asked for where there are none.
    async fn answers(&mut self, calls: Vec<ToolCall>) -> wasmtime::Result<Vec<Answer>> {
        let count = calls.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let answers = self.effect(Effect::Tools(calls)).await?;
        let read = answers.and_then(|answers| {
            serde_json::from_str::<Vec<ToolAnswer>>(answers.text())
                .map_err(|error| unreadable("calls of tools", &error))
        });
        Ok(match read {
            Ok(answers) => answers.into_iter().map(given).collect(),
            Err(failure) => vec![Err(failure); count],
        })
    }
}

fn given(answer: ToolAnswer) -> Answer {
    match answer {
        ToolAnswer::Ok(output) => Ok(output.text().to_owned()),
        ToolAnswer::Failure(failure) => Err(told(failure)),
    }
}

fn checked(call: tools::ToolCall) -> Result<ToolCall, Failure> {
    let tools::ToolCall { tool, input } = call;
    if input.len() > OUTPUT_BYTES_MAX {
        return Err(Failure::InvalidInput(format!("input of `{tool:.200}` is longer than {OUTPUT_BYTES_MAX} bytes")));
    }
    match Json::parse(input) {
        Ok(input) => Ok(ToolCall { tool, input }),
        Err(error) => Err(Failure::InvalidInput(format!("input of `{tool:.200}`: {error}"))),
    }
}

fn missing() -> Failure {
    Failure::Other(("internal".to_owned(), "the host gave fewer answers than there were calls".to_owned()))
}
