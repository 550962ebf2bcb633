//! A host that is killed while plugins send requests and write documents: what was answered once is not sent again, and a
//! document that was compared and set was set once.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::json;
use weir_e2e::{Data, Model, Said, program};

use crate::follow::{ended, start, until};

/// Requests of one call.
const REQUESTS: usize = 6;
/// Agents that write the same document, and how often each.
const WRITERS: usize = 4;
const WRITES: usize = 12;

#[tokio::test]
async fn r2_a_request_is_not_sent_again_after_its_answer_was_recorded() -> Result<()> {
    let model = Model::start(|_| Said::text("")).await?;
    let data = Data::new()?;
    data.configure(&model.config(&json!({ "free": true })).to_string())?;
    let mut host = data.start().await?;
    host.api.install(&program::guest("h24_requests")?).await?;
    let order = format!("weir POST {REQUESTS} 3 1 0 http://{}/effects/all", model.address);
    let send = json!({ "id": "send", "type": "tool", "tool": "h24_requests.run", "tool_args": { "order": order } });
    model.answer_only(0);
    let id = start(&host.api, &json!({ "name": "sends", "steps": [send] }), json!({})).await?;
    for number in 0..REQUESTS {
        // The first is held, and comes again after the kill; its answer is recorded before the next one is sent.
        model.until_asked(2 * number + 1).await?;
        host.kill().await?;
        model.answer_only(2 * number + 2);
        host = data.start().await?;
    }
    let end = ended(&host.api, &id).await?;
    ensure!(end["status"] == "completed", "{end:#}");
    let mut counts = BTreeMap::<String, usize>::new();
    for effect in model.effects() {
        *counts.entry(effect.idempotency_key().to_owned()).or_default() += 1;
    }
    ensure!(counts.len() == REQUESTS && counts.values().all(|count| *count == 2), "{counts:?}");
    ensure!(model.effects().len() == 2 * REQUESTS, "{counts:?}");
    let shown = host.api.get(&format!("/api/executions/{id}/steps/send/transcript")).await?;
    let items = shown["items"].as_array().map_or(0, Vec::len);
    ensure!(items == REQUESTS, "{shown:#}");
    Ok(())
}

#[tokio::test]
async fn r2_a_document_is_compared_and_set_once_through_kills() -> Result<()> {
    let data = Data::new()?;
    let mut host = data.start().await?;
    host.api.install(&program::guest("orders")?).await?;
    let write = json!({ "id": "write", "type": "agent", "agent": "orders.act",
        "agent_prompt": { "order": format!("fill n {WRITES};") } });
    let each = json!({ "id": "each", "type": "loop", "loop_config": { "items_path": "$.input.items",
        "max_concurrency": WRITERS, "steps": [write] } });
    let items: Vec<usize> = (0..WRITERS).collect();
    let id = start(&host.api, &json!({ "name": "writes", "steps": [each] }), json!({ "items": items })).await?;
    for settled in [5, 17, 30, 45, 60] {
        until(&host.api, &id, settled, |event| event.kind == "settled").await?;
        host.kill().await?;
        host = data.start().await?;
    }
    let end = ended(&host.api, &id).await?;
    ensure!(end["status"] == "completed", "{end:#}");
    let results = end["output"]["results"].as_array().cloned().unwrap_or_default();
    let set: Vec<usize> = results.iter().filter_map(|one| one["write"][0].as_str()?.parse().ok()).collect();
    ensure!(set.len() == WRITERS, "{end:#}");
    let read = json!({ "id": "read", "type": "agent", "agent": "orders.act", "agent_prompt": { "order": "get n;" } });
    let id = start(&host.api, &json!({ "name": "reads", "steps": [read] }), json!({})).await?;
    let end = ended(&host.api, &id).await?;
    let value: usize = end["output"][0].as_str().unwrap_or_default().parse()?;
    ensure!(value == set.iter().sum::<usize>(), "{value} is written, and the writers say {set:?}");
    ensure!(value >= WRITES, "too little was written: {value}");
    Ok(())
}
