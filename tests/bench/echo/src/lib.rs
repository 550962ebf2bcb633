//! The plugin that the bench calls: one tool that answers its input, so that what is measured is the host.

use weir_sdk::prelude::*;

weir_sdk::plugin! {
    name: "echo",
    title: "Echo",
    tools: [echo],
}

/// A message, or the item of a loop.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Message {
    /// What to answer.
    message: Value,
}

/// Answers its input unchanged.
#[tool(idempotent, read_only)]
fn echo(input: Message) -> Result<Message> {
    Ok(input)
}
