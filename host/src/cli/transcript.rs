//! `weir executions transcript`: what an agent did in a step.

use serde_json::Value;

use super::out::{Out, brief, brief_or_nothing, clean, text_of, took};
use crate::client::{Client, segment};

/// The most pages that are read; there is the API for more.
const PAGES_MAX: usize = 50;
/// The most characters of a text.
const TEXT_CHARS_MAX: usize = 200;

/// Reads all that there is, and shows it.
pub(super) async fn show(
    client: &Client,
    out: Out,
    execution: &str,
    step: &str,
    visit: Option<u32>,
) -> anyhow::Result<()> {
    let base = format!("/api/executions/{}/steps/{}/transcript?limit=199", segment(execution), segment(step));
    let base = visit.map_or_else(|| base.clone(), |visit| format!("{base}&visit={visit}"));
    let mut transcript = client.get(&base).await?;
    for _ in 1..PAGES_MAX {
        let Some(cursor) = transcript["next_cursor"].as_str() else { break };
        let page = client.get(&format!("{base}&cursor={}", segment(cursor))).await?;
        let more = page["items"].as_array().cloned().unwrap_or_default();
        if let Some(items) = transcript["items"].as_array_mut() {
            items.extend(more);
        }
        transcript["next_cursor"] = page["next_cursor"].clone();
    }
    out.show(&transcript, || told(out, &transcript));
    Ok(())
}

/// The transcript in words.
fn told(out: Out, transcript: &Value) -> String {
    let items = transcript["items"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = items.flat_map(|item| effect(out, item)).collect();
    for waiting in transcript["waiting_for"].as_array().into_iter().flatten() {
        let (tool, arguments) = (text_of(waiting, "tool"), brief(&waiting["arguments"], TEXT_CHARS_MAX));
        let effect = text_of(waiting, "effect");
        lines.push(format!("{effect} {} {tool} {arguments}", out.status("awaiting_human")));
        lines.push(format!("    approval {}", text_of(waiting, "approval_id")));
    }
    for model in transcript["step"]["usage"]["models"].as_array().into_iter().flatten() {
        lines.push(usage(model));
    }
    if !transcript["next_cursor"].is_null() {
        lines.push("(more: use the API)".to_owned());
    }
    lines.join("\n")
}

/// One effect: what it is and how it ended, then what was said.
fn effect(out: Out, item: &Value) -> Vec<String> {
    let effect = text_of(item, "effect");
    let indent = "  ".repeat(effect.matches('/').count());
    let (kind, name) = (text_of(item, "kind"), text_of(item, "name"));
    let latency = item["latency_ms"].as_f64().map(|ms| took(ms / 1_000.0)).unwrap_or_default();
    let head = [effect, kind, name, out.status(&text_of(item, "status")), latency, tokens(item)];
    let head: Vec<String> = head.into_iter().filter(|word| !word.is_empty()).collect();
    let mut lines = vec![format!("{indent}{}", head.join(" "))];
    lines.extend(said(item).into_iter().map(|line| format!("{indent}    {line}")));
    lines
}

/// What was asked and answered.
fn said(item: &Value) -> Vec<String> {
    let (request, answer) = (&item["request"], &item["answer"]);
    let mut lines = Vec::new();
    if item["kind"] == "model" {
        let messages = request["messages"].as_array().into_iter().flatten();
        lines.extend(messages.map(|message| format!("> {}", brief(message, TEXT_CHARS_MAX))));
        if let Some(text) = answer["text"].as_str().filter(|text| !text.is_empty()) {
            lines.push(format!("< {}", brief(&clean(text).into(), TEXT_CHARS_MAX)));
        }
        let calls = answer["tool_calls"].as_array().into_iter().flatten();
        lines.extend(calls.map(|call| format!("< call {}", brief(call, TEXT_CHARS_MAX))));
    } else {
        lines.push(format!("> {}", brief(request, TEXT_CHARS_MAX)));
        lines.extend((!answer.is_null()).then(|| format!("< {}", brief(answer, TEXT_CHARS_MAX))));
    }
    let failure = brief_or_nothing(&item["error"]["message"], TEXT_CHARS_MAX);
    lines.extend((!failure.is_empty()).then(|| format!("! {failure}")));
    lines
}

fn tokens(item: &Value) -> String {
    let details = &item["details"];
    match (details["input_tokens"].as_u64(), details["output_tokens"].as_u64()) {
        (Some(input), Some(output)) => format!("{input}+{output} tokens"),
        (None, _) | (_, None) => String::new(),
    }
}

fn usage(model: &Value) -> String {
    let number = |name: &str| model[name].as_u64().unwrap_or_default();
    format!(
        "{} ({} {}): {} requests, {}+{} tokens, ${:.6}",
        text_of(model, "alias"),
        text_of(model, "provider"),
        text_of(model, "model"),
        number("requests"),
        number("input_tokens"),
        number("output_tokens"),
        model["estimated_cost_dollars"].as_f64().unwrap_or_default()
    )
}
