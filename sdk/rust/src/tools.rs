//! Tools of other plugins, called through the host. Only for agents: each call is counted against the execution's
//! guardrails, and only what the agent's attribute asks for, or the step's configuration lists, may be called.

use crate::{Failure, dispatch, host};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool that this call may use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ToolInfo {
    /// The name to call it by: `plugin.tool`.
    pub name: String,
    /// The name for people.
    #[serde(default)]
    pub title: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema of its input.
    #[serde(default)]
    pub input_schema: Value,
    /// The JSON Schema of its output.
    #[serde(default)]
    pub output_schema: Value,
}

/// Calls a tool with an input, and reads its output.
///
/// Fails as the tool fails, with [`Failure::Denied`] where the tool may not be called, and with [`Failure::Failed`]
/// where its output is not of the wanted type.
pub fn call<I: Serialize + ?Sized, O: DeserializeOwned>(tool: &str, input: &I) -> Result<O, Failure> {
    let input = serde_json::to_string(input)
        .map_err(|error| Failure::failed(format!("could not write the input of tool {tool:?} as JSON: {error}")))?;
    let output = host::call_tool(tool, &input)?;
    dispatch::decode("output", &output).map_err(|failure| {
        Failure::failed(format!("could not read the answer of tool {tool:?}: {}", failure.message()))
    })
}

/// The tools that this call may use.
pub fn list() -> Result<Vec<ToolInfo>, Failure> {
    dispatch::decode("tools", &host::list_tools()).map_err(|failure| Failure::failed(failure.message()))
}
