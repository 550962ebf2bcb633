//! G1: so many calls as a limit names reach the other side, by the other side's own count: of fifty that begin at once, and
//! through `kill -9`.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weir_e2e::{Api, Asked, Data, Event, Host, Model, Said, log, program};

use crate::follow::{until, until_status};

/// How many begin at once, and how many may.
const CALLS: usize = 50;
const LIMIT: usize = 10;
/// The longest answer that an agent wants.
const MAX_TOKENS: u64 = 100;
/// Millionths of a dollar for a token.
const DOLLAR_A_THOUSAND: u64 = 1_000;

/// Fifty agents at once, under limits of the workflow.
fn crowd(name: &str, guardrails: Value) -> Value {
    let ask = json!({ "id": "ask", "type": "agent", "agent": "agent.agent", "agent_prompt": "Say {{ $.n }}.",
        "agent_config": { "max_tokens": MAX_TOKENS } });
    each(name, guardrails, ask)
}

/// Fifty tools at once, each of which does something outside.
fn tools(name: &str, model: &Model, guardrails: Value) -> Value {
    let url = format!("http://{}/effects/{{{{ $.n }}}}", model.address);
    let send = json!({ "id": "send", "type": "tool", "tool": "http.request",
        "tool_args": { "method": "POST", "url": url, "json": { "n": "$.n" } } });
    each(name, guardrails, send)
}

fn each(name: &str, guardrails: Value, step: Value) -> Value {
    let looped =
        json!({ "items_path": "$.input.items", "item_variable": "n", "max_concurrency": CALLS, "steps": [step] });
    json!({ "name": name, "guardrails": guardrails, "steps": [{ "id": "each", "type": "loop", "loop_config": looped }] })
}

async fn start(api: &Api, workflow: &Value) -> Result<String> {
    api.post("/api/workflows", workflow).await?;
    let name = workflow["name"].as_str().context("a workflow without a name")?;
    let items: Vec<usize> = (0..CALLS).collect();
    let body = json!({ "input_data": { "items": items } });
    let accepted = api.post(&format!("/api/workflows/{name}/execute"), &body).await?;
    Ok(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned())
}

async fn until_completed(api: &Api, id: &str, steps: usize) -> Result<()> {
    until(api, id, steps, |event| event.kind == "step_completed").await
}

/// Waits until nothing runs any more and a person is asked whether the limit is raised; shows the execution.
async fn until_paused(api: &Api, id: &str) -> Result<Value> {
    until_status(api, id, "awaiting_human").await
}

async fn decide(api: &Api, id: &str, answer: &Value) -> Result<()> {
    api.post(&format!("/api/executions/{id}/approve"), answer).await.map(drop)
}

/// Whether room was promised to a request.
fn is_promise(event: &Event) -> bool {
    event.kind == "reserved" && event.data["amounts"]["requests"] == 1
}

fn requests_reserved(events: &[Event]) -> usize {
    events.iter().filter(|event| is_promise(event)).count()
}

async fn host(model: &Model, more: &Value) -> Result<(Data, Host)> {
    let data = Data::with_bundled().await?;
    data.configure(&model.config(more).to_string())?;
    let host = data.start().await?;
    host.api.install(&program::guest("orders")?).await?;
    Ok((data, host))
}

#[tokio::test]
async fn g1_of_fifty_agents_at_once_exactly_ten_reach_the_model() -> Result<()> {
    let model = Model::start(|_| Said::text("yes")).await?;
    let (_data, host) = host(&model, &json!({ "free": true })).await?;
    // All that come are held until as many have come as may, so that they are at once.
    model.answer_only(0);
    let id = start(&host.api, &crowd("paused", json!({ "request_limit": LIMIT, "on_exceeded": "pause" }))).await?;
    model.until_asked(LIMIT).await?;
    model.answer_only(usize::MAX);
    until_completed(&host.api, &id, LIMIT).await?;
    let paused = until_paused(&host.api, &id).await?;
    ensure!(paused["paused"] == json!({ "limit": "request_limit", "value": LIMIT }), "{paused:#}");
    ensure!(model.asked().len() == LIMIT, "{} requests were sent", model.asked().len());
    // Two more are two more.
    decide(&host.api, &id, &json!({ "option_id": "raise", "data": { "request_limit": LIMIT + 2 } })).await?;
    until_completed(&host.api, &id, LIMIT + 2).await?;
    let paused = until_paused(&host.api, &id).await?;
    ensure!(paused["paused"]["value"] == LIMIT + 2, "{paused:#}");
    decide(&host.api, &id, &json!({ "option_id": "stop" })).await?;
    let ended = host.api.ended(&id).await?;
    ensure!(ended["status"] == "cancelled" && ended["usage"]["requests"] == LIMIT + 2, "{ended:#}");
    ensure!(model.asked().len() == LIMIT + 2, "{} requests were sent", model.asked().len());

    // Without a pause the first that is too much ends it.
    let id = start(&host.api, &crowd("failed", json!({ "request_limit": LIMIT }))).await?;
    let ended = host.api.ended(&id).await?;
    let error = &ended["error"];
    ensure!(error["code"] == "guardrail_exceeded" && error["details"]["limit"] == "request_limit", "{ended:#}");
    ensure!(
        error["details"]["value"] == LIMIT && error["message"].to_string().contains("request_limit = 10"),
        "{error}"
    );
    let events = log::read(&host.api, &id).await?;
    ensure!(requests_reserved(&events) == LIMIT, "{} were promised", requests_reserved(&events));
    ensure!(model.asked().len() <= 2 * LIMIT + 2, "{} requests were sent", model.asked().len());
    Ok(())
}

#[tokio::test]
async fn g1_of_fifty_tools_at_once_exactly_ten_do_something() -> Result<()> {
    let model = Model::start(|_| Said::text("yes")).await?;
    let (_data, host) = host(&model, &json!({ "free": true })).await?;
    let limits = json!({ "tool_calls_limit": LIMIT, "on_exceeded": "pause" });
    let id = start(&host.api, &tools("tools", &model, limits)).await?;
    until_completed(&host.api, &id, LIMIT).await?;
    let paused = until_paused(&host.api, &id).await?;
    ensure!(paused["paused"] == json!({ "limit": "tool_calls_limit", "value": LIMIT }), "{paused:#}");
    ensure!(model.effects().len() == LIMIT, "{} calls were made", model.effects().len());

    // One agent that wants fifty calls at once gets none of them, and goes on with ten.
    let url = format!("http://{}/effects/#", model.address);
    let all = |times: usize| format!("all {times} http.request {{\"method\":\"POST\",\"url\":\"{url}\"}};");
    let act = json!({ "id": "act", "type": "agent", "agent": "orders.act", "guardrails": { "tool_calls_limit": LIMIT },
        "on_error": "continue", "agent_prompt": { "order": format!("{}{}", all(LIMIT), all(CALLS)) },
        "agent_config": { "tools": ["http.request"] } });
    let id = start(&host.api, &json!({ "name": "batch", "steps": [act] })).await?;
    let ended = host.api.ended(&id).await?;
    let error = &ended["step_outputs"]["act"]["error"];
    ensure!(error["details"] == json!({ "limit": "tool_calls_limit", "value": LIMIT }), "{ended:#}");
    ensure!(model.effects().len() == 2 * LIMIT, "{} calls were made", model.effects().len() - LIMIT);
    Ok(())
}

/// When the host is killed.
#[derive(Debug, Clone, Copy)]
enum When {
    /// A request was promised room.
    Reserved,
    /// As many have been sent as may, and none is answered.
    Held,
    /// Some are answered and settled.
    Settled,
}

#[tokio::test]
async fn g1_ten_are_ten_also_through_kills() -> Result<()> {
    let model = Model::start(|_| Said::text("yes")).await?;
    let (data, mut host) = host(&model, &json!({ "free": true })).await?;
    let mut before = 0;
    for when in [When::Reserved, When::Held, When::Settled] {
        model.answer_only(before);
        let limits = json!({ "request_limit": LIMIT, "on_exceeded": "pause" });
        let id = start(&host.api, &crowd(&format!("{when:?}"), limits)).await?;
        match when {
            When::Reserved => until(&host.api, &id, 1, is_promise).await?,
            When::Held => model.until_asked(before + LIMIT).await?,
            When::Settled => {
                model.answer_only(before + 3);
                until_completed(&host.api, &id, 3).await?;
            }
        }
        host.kill().await?;
        model.answer_only(usize::MAX);
        host = data.start().await?;
        let paused = until_paused(&host.api, &id).await?;
        ensure!(paused["paused"] == json!({ "limit": "request_limit", "value": LIMIT }), "{when:?}: {paused:#}");
        ensure!(paused["usage"]["requests"] == LIMIT, "{when:?}: {paused:#}");
        let sent = model.asked().len() - before;
        ensure!(sent <= LIMIT, "{when:?}: {sent} requests were sent");
        ensure!(matches!(when, When::Reserved) || sent == LIMIT, "{when:?}: only {sent} requests were sent");
        let events = log::read(&host.api, &id).await?;
        ensure!(requests_reserved(&events) == LIMIT, "{when:?}: {} were promised", requests_reserved(&events));
        // Whoever was answered before the kill is not asked again.
        let answered = events.iter().filter(|event| event.kind == "step_completed").count();
        ensure!(!matches!(when, When::Settled) || answered == 3, "{when:?}: {answered} were answered");
        decide(&host.api, &id, &json!({ "option_id": "stop" })).await?;
        before = model.asked().len();
    }
    Ok(())
}

/// What a request costs in millionths of a dollar, as the provider counts it: a dollar a thousand tokens.
fn cost(asked: &Asked) -> u64 {
    (asked.body["messages"].to_string().len() as u64 / 4 + asked.max_tokens()) * DOLLAR_A_THOUSAND
}

/// Checks that no more dollars were spent than may be, and that the host told of them all; gives what it told.
fn ensure_within(model: &Model, paused: &Value, limit: f64) -> Result<f64> {
    let spent = model.asked().iter().map(cost).sum::<u64>() as f64 / 1e6;
    ensure!(spent <= limit, "{spent} dollars were spent of {limit}: overshoot");
    let told = paused["usage"]["estimated_cost_dollars"].as_f64().context("no cost")?;
    ensure!(spent <= told && told <= limit, "{spent} of {limit} dollars were spent, and the host says {told}");
    Ok(told)
}

#[tokio::test]
async fn g1_money_is_not_overspent_by_answers_as_long_as_they_may_be() -> Result<()> {
    // The model says as much as it may, and counts it.
    let model = Model::start(|asked| {
        let tokens = (asked.body["messages"].to_string().len() as u64 / 4, asked.max_tokens());
        Said { tokens, ..Said::text("as long as it may be") }
    })
    .await?;
    let price = json!({ "price": { "input": 1_000.0, "output": 1_000.0 } });
    let (data, host) = host(&model, &price).await?;
    model.answer_only(4);
    let limits = json!({ "max_cost_dollars": 2, "on_exceeded": "pause" });
    let id = start(&host.api, &crowd("dear", limits)).await?;
    until_completed(&host.api, &id, 4).await?;
    host.kill().await?;
    model.answer_only(usize::MAX);
    let host = data.start().await?;
    let paused = until_paused(&host.api, &id).await?;
    ensure!(paused["paused"] == json!({ "limit": "max_cost_dollars", "value": 2.0 }), "{paused:#}");
    let (told, sent) = (ensure_within(&model, &paused, 2.0)?, model.asked().len());
    ensure!(sent > 4, "only {sent} requests were sent");
    // Where half an answer of the longest is left, an answer is half as long.
    let events = log::read(&host.api, &id).await?;
    let promised = events
        .iter()
        .filter(|event| is_promise(event))
        .filter_map(|event| event.data["amounts"]["cost_microusd"].as_u64());
    let dearest = promised.max().context("no promise")?;
    let raised = told + (dearest - MAX_TOKENS * DOLLAR_A_THOUSAND / 2) as f64 / 1e6;
    decide(&host.api, &id, &json!({ "option_id": "raise", "data": { "max_cost_dollars": raised } })).await?;
    let answered = events.iter().filter(|event| event.kind == "step_completed").count();
    until_completed(&host.api, &id, answered + 1).await?;
    ensure_within(&model, &until_paused(&host.api, &id).await?, raised)?;
    let clamped = model.asked()[sent..].iter().filter(|asked| asked.max_tokens() < MAX_TOKENS).count();
    ensure!(clamped > 0, "no answer was shortened to what was left");
    Ok(())
}
