//! The plugin and the workflows that are measured.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Api;

/// What a chain is given; the echo answers it three times.
pub(crate) const MESSAGE: &str = "the quick brown fox jumps over the lazy dog";

/// Installs the plugin and every workflow.
pub(crate) async fn install(api: &Api, component: &Path) -> Result<()> {
    let bytes = fs::read(component).with_context(|| format!("reading {}", component.display()))?;
    api.upload(&bytes).await?;
    for definition in [chain3(), each("loop", 1), each("loop_window", 16), approval()] {
        api.post("/api/workflows", &definition).await?;
    }
    Ok(())
}

/// What the echo tool is given, as it writes it itself.
pub(crate) fn message() -> String {
    json!({ "message": MESSAGE }).to_string()
}

/// The body of a request to start a chain or an approval.
pub(crate) fn message_body() -> String {
    json!({ "input_data": { "message": MESSAGE } }).to_string()
}

/// Three tool steps, each fed by the one before.
fn chain3() -> Value {
    let echo = |id: &str, from: &str| json!({ "id": id, "type": "tool", "tool": "echo.echo", "tool_args": { "message": from } });
    json!({
        "name": "chain3",
        "steps": [echo("first", "$.input.message"), echo("second", "$.first.message"), echo("third", "$.second.message")]
    })
}

/// A loop with one tool step in its body.
fn each(name: &str, window: u32) -> Value {
    json!({
        "name": name,
        "guardrails": { "max_steps": 1_000_000, "tool_calls_limit": 1_000_000, "timeout_seconds": 600 },
        "steps": [{
            "id": "each",
            "type": "loop",
            "loop_config": {
                "items_path": "$.input.items",
                "max_iterations": 100_000,
                "max_concurrency": window,
                "steps": [{ "id": "body", "type": "tool", "tool": "echo.echo", "tool_args": { "message": "$.item" } }]
            }
        }],
        "output": { "count": "$.each.count" }
    })
}

/// One question to a person.
fn approval() -> Value {
    json!({
        "name": "approval",
        "steps": [{
            "id": "ask",
            "type": "human",
            "human_config": {
                "notification": "Is this right: {{ $.input.message }}?",
                "options": [{ "id": "yes", "label": "Yes" }, { "id": "no", "label": "No" }]
            }
        }]
    })
}
