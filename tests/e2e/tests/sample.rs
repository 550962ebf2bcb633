//! Workflows that several tests run.

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Api, Host, api::Answer, program};

/// Every type of step, nested, with calls that take a while; it asks a person.
pub(crate) fn everything() -> Value {
    let slow = |id: &str, seconds: f64| {
        json!({ "id": id, "type": "tool", "tool": "h9_sleep.run", "on_error": "continue",
                "guardrails": { "timeout_seconds": seconds } })
    };
    let feel = |id: &str, text: &str| json!({ "id": id, "type": "tool", "tool": "text.sentiment", "tool_args": { "text": text } });
    json!({
        "name": "everything",
        "steps": [
            { "id": "language", "type": "tool", "tool": "text.detect_language", "tool_args": { "text": "$.input.text" } },
            { "id": "together", "type": "parallel", "parallel_steps": [
                feel("one", "$.input.text"),
                [feel("two", "$.input.text"), feel("three", "$.input.text")],
                slow("slow", 0.2),
                { "id": "echo", "type": "tool", "tool": "echo.run", "tool_args": { "log": "$.input.n" } },
            ] },
            { "id": "each", "type": "loop", "loop_config": {
                "items_path": "$.input.items", "max_concurrency": 2,
                "steps": [feel("felt", "$.item"), slow("pause", 0.05)],
            } },
            { "id": "check", "type": "condition", "condition": {
                "field": "$.language.code", "operator": "eq", "value": "en", "then_step": "triage", "else_step": "$end" } },
            { "id": "triage", "type": "agent", "agent": "triage.triage", "agent_prompt": { "message": "$.input.text" } },
            { "id": "ask", "type": "human", "human_config": {
                "notification": "{{ $.triage.category }}?", "options": [ { "id": "yes" }, { "id": "no" } ] } },
            slow("rest", 0.1),
            { "id": "last", "type": "tool", "tool": "echo.run", "tool_args": { "n": "$.input.n", "option": "$.ask.option_id" } },
        ],
    })
}

/// What [`everything`] is given: `n` tells one start from another.
pub(crate) fn input(n: u64) -> Value {
    let text = "Where is my order? It was supposed to arrive on Tuesday and nobody answers me.";
    json!({ "n": n, "text": text, "items": ["fine", "bad", "good", "terrible", "fine"] })
}

/// Asks a person, and ends.
pub(crate) fn asking() -> Value {
    json!({
        "name": "asking",
        "steps": [ { "id": "ask", "type": "human", "human_config": {
            "notification": "Is {{ $.input.n }} fine?", "options": [ { "id": "yes" }, { "id": "no" } ] } } ],
        "output": { "n": "$.input.n", "option": "$.ask.option_id" },
    })
}

/// Three calls of a tool in a row.
pub(crate) fn chain() -> Value {
    let call = |id: &str, n: &str| json!({ "id": id, "type": "tool", "tool": "echo.run", "tool_args": { "n": n } });
    json!({ "name": "chain", "steps": [call("a", "$.input.n"), call("b", "$.a.n"), call("c", "$.b.n")] })
}

/// Sleeps for some seconds, and is content that it did not end.
pub(crate) fn sleeping(seconds: f64) -> Value {
    json!({ "name": "sleeping", "steps": [ { "id": "sleep", "type": "tool", "tool": "h9_sleep.run",
        "on_error": "continue", "guardrails": { "timeout_seconds": seconds } } ] })
}

/// Installs the guest programs that the workflows of this module call.
pub(crate) async fn install_guests(host: &Host) -> Result<()> {
    for name in ["echo", "h9_sleep"] {
        host.api.install(&program::guest(name)?).await?;
    }
    Ok(())
}

/// A webhook, as its sender knows it.
#[derive(Clone)]
pub(crate) struct Hook {
    /// With the secret as its token.
    api: Api,
}

/// Saves a workflow that a webhook starts and that waits for a person: where deliveries are known by the header `x-id`.
pub(crate) async fn hook(host: &Host) -> Result<Hook> {
    let mut definition = asking();
    definition["name"] = json!("hooked");
    definition["trigger"] = json!({ "type": "webhook", "config": { "path": "hook", "dedupe_header": "x-id" } });
    let saved = host.api.post("/api/workflows", &definition).await?;
    let secret = saved["secrets"][0]["secret"].as_str().context("no secret was made")?;
    Ok(Hook { api: Api::new(&host.api.url, secret) })
}

impl Hook {
    /// The same webhook of the host that came after.
    pub(crate) fn at(&self, host: &Host) -> Self {
        Self { api: Api::new(&host.api.url, &self.api.token) }
    }

    /// The host, for its senders.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Its secret.
    pub(crate) fn secret(&self) -> &str {
        &self.api.token
    }

    /// Sends a delivery with this id.
    pub(crate) async fn send(&self, id: &str, body: &Value) -> Result<Answer> {
        let headers = [("content-type", "application/json"), ("x-id", id)];
        self.api.send_with(Method::POST, "/webhooks/hook", &headers, body.to_string()).await
    }
}
