//! The built-in agent: a model that is given a task and tools, and works in turns until it has the answer.
//!
//! A turn is one model request. Tools that the model asks for are called beside each other, and what they answer, or why
//! they failed, is told to the model in the next turn. Everything with an effect is done by the host, which counts it,
//! records it, and runs the agent again from its record after a crash.

mod answer;
mod config;
mod purse;
mod run;

pub use config::{AgentConfig, Tool};
use weir_sdk::prelude::*;

weir_sdk::plugin! {
    title: "Agent",
    agents: [agent],
    asks: { models: ["*"] },
}

/// Works on a task with a model and tools.
///
/// The input is the task: a text, or any JSON document. `agent_config` says which model, what it is told about its task
/// (`system`), which tools it may call, and the JSON Schema of its answer. With a schema the answer is checked against
/// it, and the model is asked again where it does not fit; without one the answer is `{"result": text, "content": text}`.
#[agent(timeout_ms = 600_000, fuel = 20_000_000_000)]
pub fn agent(input: Value, config: AgentConfig) -> Result<Value> {
    run::run(&input, config)
}

#[cfg(test)]
mod tests;
