//! The scripts that the stored logs were made with.

use serde_json::{Value, json};
use weir_engine::{
    event::{LogLine, Report},
    execution::{Ask, Input},
    failure::FailureCode,
    id::EffectId,
    json::Json,
    limits::{Amounts, Limits},
};

use crate::support::{
    plan::Plan,
    world::{World, decided_by, reassign},
};

/// Name, definition, input, and what happens.
type Script = (&'static str, Value, Value, fn(&mut World));

/// Name, definition, and the execution as it stands at the end of the script.
pub(super) fn samples() -> Vec<(&'static str, Value, World)> {
    let scripts: [Script; 10] = [
        ("chain", chain(), json!({ "text": "héllo \u{1F980} \"quoted\"" }), run_chain),
        ("approval", approval(), json!({ "items": ["first", "second"] }), run_approval),
        ("fan_out", fan_out(), json!({ "items": [1, 2, 3], "limit": 2.50 }), run_fan_out),
        ("budget", budget(), Value::Null, run_budget),
        ("deadline", deadline(), Value::Null, run_deadline),
        ("cancelled", approval(), json!({ "items": ["only"] }), run_cancelled),
        ("failed", failed(), json!({}), run_failed),
        ("waiting", waiting(), json!({ "n": 7 }), run_waiting),
        ("quorum", quorum(), json!({ "sum": 12.5 }), run_quorum),
        ("deferred", deferred(), Value::Null, run_deferred),
    ];
    let made = scripts.into_iter().map(|(name, definition, input, run)| {
        let mut world = World::new(&definition, input, Plan { seed: 1, failing_percent: 0 });
        run(&mut world);
        (name, definition, world)
    });
    made.collect()
}

fn chain() -> Value {
    let retry = json!({ "max_attempts": 3, "initial_interval_ms": 200, "backoff": 2, "max_interval_ms": 60_000 });
    json!({
        "name": "chain",
        "steps": [
            { "id": "read", "type": "tool", "tool": "data.read", "tool_args": { "text": "$.input.text" }, "retry": retry },
            { "id": "check", "type": "condition",
              "condition": { "field": "$.read.rows", "operator": "gt", "value": 0, "then_step": "think" } },
            { "id": "unused", "type": "tool", "tool": "data.unused" },
            { "id": "think", "type": "agent", "agent": "triage.judge", "agent_prompt": "rows: {{ $.read.rows }}",
              "agent_config": { "tone": "kind" } },
        ],
        "output": { "verdict": "$.think.verdict", "rows": "$.read.rows" },
    })
}

fn run_chain(world: &mut World) {
    let call = world.call("read");
    let report = Report {
        fuel: Some(1_234),
        logs: vec![LogLine { level: "warn".to_owned(), message: "slow".to_owned() }],
        warnings: vec!["the log was cut".to_owned()],
        ..Report::default()
    };
    let failure =
        weir_engine::failure::Failure::new(FailureCode::Unavailable, "no answer").with_details(json!({ "n": 1 }));
    world.feed(Input::CallFailed { call, attempt: 0, failure, report: report.clone() });
    world.pass_time();
    world.crash(0);
    let output = json!({ "rows": 3, "of": 1e3, "text": "ü\n\u{7f}" }).into();
    world.feed(Input::CallSucceeded { call, attempt: 2, output, report });
    world.succeed("think", json!({ "verdict": "good" }));
}

fn approval() -> Value {
    let options = json!([{ "id": "yes", "label": "Yes" }, { "id": "no", "label": "No", "next_step": null }]);
    json!({
        "name": "approval",
        "steps": [
            { "id": "each", "type": "loop", "loop_config": { "items_path": "$.input.items", "max_concurrency": 2, "steps": [
                { "id": "ask", "type": "human", "human_config": {
                    "notification": "Take {{ $.item }}?", "notification_channels": ["ui"], "options": options,
                    "timeout_minutes": 1.5, "on_timeout": "skip", "approvers": ["pat"],
                    "form_schema": { "type": "object" } } },
                { "id": "take", "type": "tool", "tool": "data.take", "args": { "item": "$.item", "n": "$.loop_index" } },
            ] } },
        ],
    })
}

fn run_approval(world: &mut World) {
    world.decide("each[1].ask", Some("no"));
    world.pass_time();
    world.succeed("each[0].take", json!(["taken", null, true, 0.1]));
}

fn fan_out() -> Value {
    json!({
        "name": "fan out",
        "steps": [
            { "id": "both", "type": "parallel", "on_error": "continue", "parallel_config": { "on_error": "fail_fast" },
              "parallel_steps": [
                { "id": "left", "type": "tool", "tool": "data.left" },
                [{ "id": "right", "type": "loop", "loop_config": { "items_path": "$.input.items", "steps": [
                    { "id": "deep", "type": "tool", "tool": "data.deep" } ] } }],
              ] },
            { "id": "each", "type": "loop", "loop_config": {
                "items_path": "$.input.items", "item_variable": "number", "max_iterations": 2, "max_concurrency": 2,
                "on_error": "continue", "steps": [
                    { "id": "work", "type": "tool", "tool": "data.work", "tool_args": { "n": "$.number" } } ] } },
        ],
    })
}

fn run_fan_out(world: &mut World) {
    world.succeed("both.right[0].deep", json!(1));
    world.fail("both.left", FailureCode::PluginTrap);
    world.fail("each[1].work", FailureCode::FuelExhausted);
    world.succeed("each[0].work", json!({ "n": 18_446_744_073_709_551_615_u64 }));
}

fn budget() -> Value {
    json!({
        "name": "budget",
        "guardrails": { "tool_calls_limit": 3, "max_cost_dollars": 0.5, "request_limit": 9, "on_exceeded": "pause" },
        "steps": [
            { "id": "think", "type": "agent", "agent": "triage.judge", "agent_prompt": { "about": "money" },
              "guardrails": { "tool_calls_limit": 5, "on_exceeded": "pause", "memory_limit_mb": 16, "fuel_limit": 1000 } },
        ],
    })
}

fn run_budget(world: &mut World) {
    let call = world.call("think");
    let amounts =
        Amounts { tool_calls: 2, requests: 1, input_tokens: 100, output_tokens: 50, cost_microusd: 90, steps: 0 };
    world.feed(Input::Reserve { call, effect: EffectId::CALL.child(1), amounts });
    world.feed(Input::Settle {
        call,
        effect: EffectId::CALL.child(1),
        used: Amounts { output_tokens: 10, cost_microusd: 40, ..amounts },
    });
    world.feed(Input::Reserve { call, effect: EffectId::CALL.child(2), amounts });
    let limits = Limits { tool_calls: Some(9), ..Limits::default() };
    world.feed(Input::Resume { limits, decided_by: "pat".to_owned() });
    world.feed(Input::Reserve { call, effect: EffectId::CALL.child(2), amounts });
    world.feed(Input::Reserve { call, effect: EffectId::CALL.child(3), amounts });
}

fn deferred() -> Value {
    let agent = |id: &str| json!({ "id": id, "type": "agent", "agent": "triage.judge" });
    json!({ "name": "deferred", "steps": [agent("mail"), agent("pay")] })
}

fn run_deferred(world: &mut World) {
    let ask = |n: u32, due: Option<i64>| Ask {
        effect: EffectId::CALL.child(n),
        request: Json::from_value(json!({
            "notification": format!("tool {n}"), "options": [{ "id": "approve" }, { "id": "reject" }],
        })),
        due: due.map(weir_engine::id::Timestamp),
    };
    let call = world.call("mail");
    world.feed(Input::Reserve {
        call,
        effect: EffectId::CALL.child(1),
        amounts: Amounts { requests: 1, ..Amounts::NONE },
    });
    let due = world.now.plus_ms(60_000).0;
    world.feed(Input::Defer { call, asks: vec![ask(2, None), ask(3, Some(due))] });
    let first = *world.tracker.deferred.keys().next().unwrap();
    world.feed(decided_by("pat", first, Some("approve".to_owned())));
    world.pass_time();
    world.succeed("mail", json!("sent"));
    let call = world.call("pay");
    world.feed(Input::Defer { call, asks: vec![ask(1, None)] });
    world.feed(Input::Cancel { cancelled_by: "pat".to_owned(), reason: None });
}

fn deadline() -> Value {
    json!({
        "name": "deadline",
        "guardrails": { "timeout_seconds": 2.5 },
        "steps": [{ "id": "slow", "type": "tool", "tool": "data.slow", "guardrails": { "timeout_seconds": 60 } }],
    })
}

fn run_deadline(world: &mut World) {
    world.pass_time();
}

fn run_cancelled(world: &mut World) {
    world.decide("each[0].ask", Some("yes"));
    world.feed(Input::Cancel { cancelled_by: "pat".to_owned(), reason: Some("a mistake".to_owned()) });
}

fn failed() -> Value {
    json!({
        "name": "failed",
        "steps": [
            { "id": "passed_over", "type": "tool", "tool": "data.first", "on_error": { "goto": "last" } },
            { "id": "never", "type": "tool", "tool": "data.second" },
            { "id": "last", "type": "tool", "tool": "data.third", "tool_args": { "x": "$.input.nothing" } },
        ],
    })
}

fn run_failed(world: &mut World) {
    world.fail("passed_over", FailureCode::Denied);
}

fn waiting() -> Value {
    json!({
        "name": "waiting",
        "steps": [
            { "id": "compare", "type": "condition", "condition": { "field": "$.input.n", "operator": "gt", "value": "text" } },
            { "id": "both", "type": "parallel", "parallel_steps": [
                { "id": "ask", "type": "human", "human_config": { "notification": "?", "timeout_minutes": 60 } },
                { "id": "again", "type": "tool", "tool": "data.again", "retry": { "max_attempts": 9 } },
            ] },
        ],
    })
}

fn run_waiting(world: &mut World) {
    world.fail("both.again", FailureCode::Unavailable);
}

fn quorum() -> Value {
    let approvers = json!({ "roles": ["approver"], "users": ["pat"], "quorum": 2, "requester_may_decide": false });
    json!({
        "name": "quorum",
        "steps": [{ "id": "ask", "type": "human", "human_config": {
            "notification": { "pay": "$.input.sum" }, "options": [{ "id": "yes" }, { "id": "no" }],
            "approvers": approvers } }],
    })
}

fn run_quorum(world: &mut World) {
    let call = world.call("ask");
    let choose = |person, option: &str| decided_by(person, call, Some(option.to_owned()));
    world.feed(choose("user:pat", "yes"));
    world.feed(choose("link:pat", "no"));
    world.feed(choose("user:sam", "no"));
    world.feed(reassign(call));
    world.feed(choose("admin", "yes"));
}
