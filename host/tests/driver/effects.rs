//! Agents at work: models that a script plays, tools, limits, questions, and what the journal keeps of it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_engine::{
    event::{Event, Record},
    execution::Status,
    failure::FailureCode,
    id::CallId,
};
use weir_host::{
    driver::{Answer, DriverConfig, Finished, Reach},
    egress::{Egress, EgressConfig},
    models::{Gateway, Keys, ModelConfig, NoKeys, PriceTable},
    store::JournalRow,
};

use super::support::{Bench, answer};

/// A bench whose model `default` answers by these rules.
pub(super) async fn bench(rules: Value, model: Value) -> Bench {
    let bench = bench_with(rules, model).await;
    for name in ["agent", "text"] {
        bench.install_plugin(name).await;
    }
    bench
}

/// The same without plugins.
pub(crate) async fn bench_with(rules: Value, model: Value) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory, &rules, model);
    Bench::open(directory, config).await
}

pub(super) fn config(directory: &TempDir, rules: &Value, model: Value) -> DriverConfig {
    let script = directory.path().join("script.yaml");
    std::fs::write(&script, json!({ "rules": rules }).to_string()).unwrap();
    let mut settings = json!({ "provider": "scripted", "script": script, "free": true });
    settings.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
    let model: ModelConfig = serde_json::from_value(settings).unwrap();
    let models = BTreeMap::from([("default".to_owned(), model)]);
    let egress = Egress::new(EgressConfig::default());
    let keys: Arc<dyn Keys> = Arc::new(NoKeys);
    let models = Gateway::new(&models, &PriceTable::load(None).unwrap(), &egress, &keys).unwrap();
    DriverConfig { reach: Reach { models, ..Reach::default() }, ..DriverConfig::default() }
}

pub(super) fn workflow(agent_config: Value, guardrails: Value) -> Value {
    json!({ "name": "ask", "guardrails": guardrails, "steps": [{
        "id": "think", "type": "agent", "agent": "agent.agent", "agent_prompt": "Count the words.",
        "agent_config": agent_config,
    }] })
}

/// Calls a tool twice, then answers.
fn two_calls() -> Value {
    json!([
        { "when": { "turn": 1 }, "answer": { "tool_calls": [
            { "tool": "text.render", "input": { "template": "one", "data": {} } },
            { "tool": "text.render", "input": { "template": "two", "data": {} } } ] } },
        { "when": { "turn": 2 }, "answer": { "text": "2 and 3" } },
    ])
}

async fn journal(bench: &Bench, finished: &Finished) -> Vec<JournalRow> {
    let id = &finished.execution.row.id;
    bench.store.journal(id, CallId(2), 0, 100).await.unwrap()
}

fn failure(finished: &Finished) -> (FailureCode, String) {
    let failure = finished.execution.row.failure.clone().unwrap();
    (failure.code, failure.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_turns_are_journalled_and_counted() {
    let bench = bench(two_calls(), json!({})).await;
    let finished = bench.run(workflow(json!({ "tools": ["text.render"] }), json!({})), json!({})).await;
    assert_eq!(finished.execution.row.status, Status::Completed, "{:?}", finished.execution.row.failure);
    assert_eq!(finished.execution.output.as_ref().unwrap().value()["result"], "2 and 3");
    let usage = &finished.execution.row.usage;
    assert_eq!((usage.requests, usage.tool_calls), (2, 2));
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
    let rows = journal(&bench, &finished).await;
    let shown: Vec<(String, &str, &str)> =
        rows.iter().map(|row| (row.effect.to_string(), row.kind.as_str(), &*row.name)).collect();
    let expected = [
        ("1".to_owned(), "model", "default"),
        ("2".to_owned(), "tool", "text.render"),
        ("3".to_owned(), "tool", "text.render"),
        ("4".to_owned(), "model", "default"),
    ];
    assert_eq!(shown, expected);
    assert!(rows.iter().all(|row| row.ended.as_ref().is_some_and(|ended| &*ended.outcome == "ok")), "{rows:?}");
    assert_eq!(rows[2].ended.as_ref().unwrap().answer.value()["text"], "two", "{:?}", rows[2]);
}

/// An agent that spends whatever it can: `batch` calls of a tool at once, then requests for ever.
pub(super) fn greedy(batch: usize, guardrails: Value) -> Value {
    json!({ "name": format!("greedy {guardrails}"), "guardrails": guardrails, "steps": [{
        "id": "think", "type": "agent", "agent": "h25_greedy.act", "agent_prompt": batch.to_string(),
        "agent_config": { "tools": ["echo.run"] },
    }] })
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn h25_greedy() {
    let rules = json!([{ "answer": { "text": "here is something of some length" } }]);
    let dollars = json!({ "free": false, "price": { "input": 1000, "output": 1000 }, "max_tokens": 500 });
    let bench = bench(rules, dollars).await;
    for guest in ["echo", "h25_greedy"] {
        bench.install(guest).await;
    }
    let limits = [
        ("request_limit", json!({ "request_limit": 3 })),
        ("tool_calls_limit", json!({ "tool_calls_limit": 3 })),
        ("input_tokens_limit", json!({ "input_tokens_limit": 2000 })),
        ("output_tokens_limit", json!({ "output_tokens_limit": 300 })),
        ("total_tokens_limit", json!({ "total_tokens_limit": 2000 })),
        ("max_cost_dollars", json!({ "max_cost_dollars": 1.5 })),
    ];
    for (name, guardrails) in limits {
        let finished = bench.run(greedy(4, guardrails), json!({})).await;
        let (code, message) = failure(&finished);
        assert_eq!(code, FailureCode::GuardrailExceeded, "{name}: {message}");
        assert!(message.contains(name), "{name}: {message}");
        let used = &finished.execution.row.usage;
        let within = match name {
            "request_limit" => used.requests == 3,
            "tool_calls_limit" => used.tool_calls == 0,
            "input_tokens_limit" => used.input_tokens <= 2000 && used.requests > 1,
            "output_tokens_limit" => used.output_tokens <= 300 && used.requests > 1,
            "total_tokens_limit" => used.input_tokens + used.output_tokens <= 2000 && used.requests > 1,
            _ => used.cost_microusd <= 1_500_000 && used.requests > 1,
        };
        assert!(within, "{name}: {used:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_as_long_as_the_limits_leave_room_for() {
    let rules = json!([{ "answer": { "text": "short" } }]);
    let bench = bench(rules, json!({ "max_tokens": 4000 })).await;
    let finished = bench.run(workflow(json!({}), json!({ "output_tokens_limit": 100 })), json!({})).await;
    assert_eq!(finished.execution.row.status, Status::Completed, "{:?}", finished.execution.row.failure);
    let rows = journal(&bench, &finished).await;
    let answer = &rows[0].ended.as_ref().unwrap().answer;
    assert_eq!(answer.value()["max_tokens"], 100, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_price_is_not_zero() {
    let nowhere = json!({ "provider": "openai", "model": "nobody-sells-this", "base_url": "http://127.0.0.1:1/v1", "free": false, "script": null });
    let bench = bench(json!([{ "answer": { "text": "hello" } }]), nowhere).await;
    let limited = workflow(json!({}), json!({ "max_cost_dollars": 1 }));
    let (_, message) = failure(&bench.run(limited, json!({})).await);
    assert!(message.contains("nobody knows what it costs"), "{message}");
    let mut allowed = workflow(json!({}), json!({ "max_cost_dollars": 1, "on_unknown_price": "allow" }));
    allowed["name"] = "allowed".into();
    let (_, message) = failure(&bench.run(allowed, json!({})).await);
    assert!(!message.contains("nobody knows"), "it was sent, and there is nobody: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_goes_round_in_circles_is_told_and_then_stopped() {
    let call = json!({ "answer": { "tool_calls": [{ "tool": "text.render", "input": { "template": "again", "data": {} } }] } });
    let bench = bench(json!([call]), json!({})).await;
    let finished = bench.run(workflow(json!({ "tools": ["text.render"] }), json!({})), json!({})).await;
    assert_eq!(failure(&finished).0, FailureCode::LoopDetected);
    let rows = journal(&bench, &finished).await;
    let nudges = rows.iter().filter(|row| row.request.value().get("nudge").is_some()).count();
    assert_eq!(nudges, 1);
    assert_eq!(finished.execution.row.usage.tool_calls, 6);
}

fn deferred(log: &[Record]) -> Vec<CallId> {
    let asks = log.iter().filter(|record| matches!(record.event, Event::Deferred { .. }));
    asks.map(|record| CallId(record.seq)).collect()
}

fn verdict(approval: CallId, option: &str) -> Answer {
    Answer { approval_id: Some(approval), ..answer(option) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_needs_leave_waits_for_a_person_and_holds_no_memory() {
    let bench = bench(two_calls(), json!({})).await;
    let config = json!({ "tools": [{ "tool": "text.render", "approval": "required" }] });
    let saved = bench.save(workflow(config, json!({}))).await;
    let id = bench.start(&saved, json!({})).await;
    let log = bench.log_until(&id, |log| deferred(log).len() == 2).await;
    bench.until_idle().await;
    assert_eq!(bench.driver.in_memory(), 0, "an agent that waits holds no memory");
    let asks = deferred(&log);
    let mut edited = verdict(asks[1], "edit");
    edited.data = Some(json!({ "template": 7 }).into());
    assert!(bench.driver.decide(&id, edited.clone()).await.is_err(), "arguments that the tool does not take");
    edited.data = Some(json!({ "template": "edited", "data": {} }).into());
    bench.driver.decide(&id, edited).await.unwrap();
    let mut rejected = verdict(asks[0], "reject");
    rejected.comment = Some("not that one".to_owned());
    bench.driver.decide(&id, rejected).await.unwrap();
    let ended = |log: &[Record]| matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. });
    bench.log_until(&id, ended).await;
    let rows = bench.store.journal(&id, CallId(2), 0, 100).await.unwrap();
    let outcome = |effect: &str| {
        let row = rows.iter().find(|row| row.effect.to_string() == effect).unwrap();
        row.ended.clone().unwrap()
    };
    assert_eq!(&*outcome("2").outcome, "denied");
    assert!(outcome("2").answer.text().contains("not that one"));
    assert_eq!(outcome("3").answer.value()["text"], "edited", "the edited arguments count");
    let requests = rows.iter().filter(|row| row.kind.as_str() == "model").count();
    assert_eq!(requests, 2, "what was answered before the question is not asked again");
}
