//! Tools and agents of other plugins, called through the host. Only for agents: each call is counted against the
//! execution's guardrails, and only what was granted, or the step's configuration lists, may be called.

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
    read(tool, &host::call_tool(tool, &input)?)
}

/// Calls several tools beside each other; the answers come in the order of the calls.
///
/// The guardrails admit all of the calls or none. Each has an answer of its own, as [`call`] would give it.
pub fn call_all<'a, O: DeserializeOwned>(
    calls: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Vec<Result<O, Failure>> {
    let calls: Vec<(&str, &Value)> = calls.into_iter().collect();
    if calls.is_empty() {
        return Vec::new();
    }
    let asked = calls.iter().map(|(tool, input)| ((*tool).to_owned(), input.to_string())).collect();
    let answers = host::call_tools(asked);
    calls.iter().zip(answers).map(|((tool, _), answer)| read(tool, &answer?)).collect()
}

fn read<O: DeserializeOwned>(tool: &str, output: &str) -> Result<O, Failure> {
    dispatch::decode("output", output).map_err(|failure| {
        Failure::failed(format!("could not read the answer of tool {tool:?}: {}", failure.message()))
    })
}

/// The tools that this call may use.
pub fn list() -> Result<Vec<ToolInfo>, Failure> {
    dispatch::decode("tools", &host::list_tools()).map_err(|failure| Failure::failed(failure.message()))
}
