//! Limits: reserve, settle, fail or pause.

use serde_json::{Value, json};
use weir_engine::{
    execution::{Input, Status},
    failure::FailureCode,
    id::{CallId, EffectId},
    limits::{Amounts, Limits},
};

use super::{looped, parallel, tool, with, world_of};
use crate::support::world::World;

fn agent(id: &str) -> Value {
    json!({ "id": id, "type": "agent", "agent": "sim.think" })
}

fn agents(count: usize, guardrails: Value) -> World {
    let branches: Vec<Value> = (0..count).map(|n| agent(&format!("a{n}"))).collect();
    world_of(json!({ "steps": [parallel("p", "wait_all", json!(branches))], "guardrails": guardrails }), Value::Null)
}

fn reserve(world: &mut World, call: CallId, n: u32) -> bool {
    world.feed(Input::Reserve { call, effect: EffectId::CALL.child(n), amounts: Amounts::TOOL_CALL });
    world.live.is_admitted(call, &EffectId::CALL.child(n))
}

fn resume(world: &mut World, limits: Limits) {
    assert!(world.feed(Input::Resume { limits, decided_by: "pat".to_owned() }) > 0);
}

#[test]
fn fifty_parallel_asks_under_a_limit_of_ten_let_exactly_ten_through() {
    let mut world = agents(50, json!({ "tool_calls_limit": 10, "on_exceeded": "pause" }));
    let calls: Vec<CallId> = world.tracker.running().into_iter().map(|(call, _)| call).collect();
    let admitted = calls.iter().filter(|call| reserve(&mut world, **call, 1)).count();
    assert_eq!((calls.len(), admitted), (50, 10));
    assert_eq!(world.live.summary().usage.tool_calls, 10);
    assert_eq!(world.tracker.running().len(), 10, "the forty others wait");
}

#[test]
fn a_batch_is_admitted_as_a_whole_or_not_at_all_and_the_execution_says_why() {
    let mut world = agents(2, json!({ "tool_calls_limit": 3 }));
    let call = world.call("p.a0");
    let batch = Amounts { tool_calls: 4, ..Amounts::NONE };
    world.feed(Input::Reserve { call, effect: EffectId::CALL.child(1), amounts: batch });
    let failure = world.live.summary().failure.unwrap();
    assert_eq!((world.live.status(), failure.code), (Status::Failed, FailureCode::GuardrailExceeded));
    assert_eq!(failure.details.unwrap().value(), &json!({ "limit": "tool_calls_limit", "value": 3 }));
    assert_eq!(failure.path.as_deref(), Some("p.a0"));
    assert_eq!(world.live.summary().usage.tool_calls, 0);
}

#[test]
fn what_is_settled_below_its_promise_gives_room_back() {
    let mut world = agents(1, json!({ "tool_calls_limit": 3 }));
    let call = world.call("p.a0");
    world.feed(Input::Reserve {
        call,
        effect: EffectId::CALL.child(1),
        amounts: Amounts { tool_calls: 3, ..Amounts::NONE },
    });
    world.feed(Input::Settle { call, effect: EffectId::CALL.child(1), used: Amounts::TOOL_CALL });
    assert_eq!(
        world.feed(Input::Settle { call, effect: EffectId::CALL.child(1), used: Amounts::TOOL_CALL }),
        0,
        "settled once"
    );
    assert!(reserve(&mut world, call, 2) && reserve(&mut world, call, 3));
    assert!(!reserve(&mut world, call, 4));
}

#[test]
fn a_repeated_ask_is_admitted_already_and_counts_once_even_after_a_crash() {
    let mut world = agents(1, json!({ "tool_calls_limit": 1 }));
    let call = world.call("p.a0");
    assert!(reserve(&mut world, call, 1));
    world.crash(0);
    assert_eq!(world.feed(Input::Reserve { call, effect: EffectId::CALL.child(1), amounts: Amounts::TOOL_CALL }), 0);
    assert!(world.live.is_admitted(call, &EffectId::CALL.child(1)));
    assert_eq!(world.live.summary().usage.tool_calls, 1);
}

#[test]
fn a_promise_that_was_never_settled_counts_as_spent() {
    let definition = json!({ "steps": [agent("a"), tool("t")], "guardrails": { "tool_calls_limit": 1 } });
    let mut world = world_of(definition, Value::Null);
    let call = world.call("a");
    assert!(reserve(&mut world, call, 1));
    world.succeed("a", json!(1));
    assert_eq!(world.live.status(), Status::Failed, "the tool had no room left");
}

#[test]
fn between_two_attempts_a_call_is_promised_nothing() {
    let step = with(agent("a"), json!({ "retry": { "max_attempts": 2 } }));
    let mut world = world_of(json!({ "steps": [step] }), Value::Null);
    let call = world.call("a");
    world.fail("a", FailureCode::Failed);
    assert!(!reserve(&mut world, call, 1));
}

#[test]
fn at_a_limit_everything_pauses_until_a_person_raises_it() {
    let guardrails = json!({ "max_steps": 2, "on_exceeded": "pause" });
    let definition = json!({ "steps": [tool("a"), tool("b"), tool("c")], "guardrails": guardrails });
    let mut world = world_of(definition, Value::Null);
    world.succeed("a", json!(1));
    world.succeed("b", json!(2));
    assert_eq!(world.live.status(), Status::AwaitingHuman);
    assert_eq!(world.live.summary().paused.unwrap().limit, "max_steps");
    world.crash(0);
    resume(&mut world, Limits::default());
    assert!(world.tracker.paused, "nothing was raised");
    resume(&mut world, Limits { max_steps: Some(3), ..Limits::default() });
    world.succeed("c", json!(3));
    assert_eq!(world.output(), json!(3));
}

#[test]
fn a_limit_of_a_step_pauses_and_is_raised_for_that_step_alone() {
    let body = looped("l", 1, json!([tool("t")]), json!({}));
    let step = with(body, json!({ "guardrails": { "tool_calls_limit": 2, "on_exceeded": "pause" } }));
    let mut world = world_of(json!({ "steps": [step] }), json!({ "items": [1, 2, 3] }));
    world.succeed("l[0].t", json!(1));
    world.succeed("l[1].t", json!(1));
    assert_eq!(world.live.summary().paused.unwrap().value, 2);
    resume(&mut world, Limits { tool_calls: Some(3), ..Limits::default() });
    assert_eq!(world.live.budget().0.tool_calls, None, "the execution has no such limit");
    world.succeed("l[2].t", json!(1));
    assert_eq!(world.output()["count"], 3);
}

#[test]
fn a_limit_of_a_step_fails_that_step_with_all_inside_and_can_be_passed_over() {
    let body = looped("l", 2, json!([tool("t")]), json!({}));
    let step = with(body, json!({ "guardrails": { "tool_calls_limit": 2 }, "on_error": "continue" }));
    let mut world = world_of(json!({ "steps": [step, tool("next")] }), json!({ "items": [1, 2, 3] }));
    world.succeed("l[0].t", json!(1));
    assert_eq!(world.fates("l[1].t"), [("cancelled", &Value::Null)]);
    assert_eq!(world.fates("l"), [("failed", &json!("guardrail_exceeded"))]);
    assert_eq!(world.waiting(), ["next"]);
}

#[test]
fn a_call_that_meets_a_limit_is_parked_and_made_again_after_the_pause() {
    let mut world = agents(2, json!({ "tool_calls_limit": 1, "on_exceeded": "pause" }));
    let (first, second) = (world.call("p.a0"), world.call("p.a1"));
    assert!(reserve(&mut world, first, 1));
    assert!(!reserve(&mut world, second, 1));
    assert_eq!(world.waiting(), ["p.a0"], "the other one runs on");
    assert_eq!(world.live.status(), Status::Running);
    resume(&mut world, Limits { tool_calls: Some(2), ..Limits::default() });
    assert_eq!(world.waiting(), ["p.a0", "p.a1"]);
    assert!(reserve(&mut world, second, 1));
}

#[test]
fn every_call_that_met_a_limit_during_a_pause_runs_again_after_it() {
    let mut world = agents(3, json!({ "tool_calls_limit": 0, "on_exceeded": "pause" }));
    for path in ["p.a2", "p.a0", "p.a1"] {
        let call = world.call(path);
        assert!(!reserve(&mut world, call, 1));
    }
    assert_eq!(world.live.status(), Status::AwaitingHuman);
    resume(&mut world, Limits { tool_calls: Some(3), ..Limits::default() });
    assert_eq!(world.waiting(), ["p.a0", "p.a1", "p.a2"]);
}

#[test]
fn a_pause_is_over_when_the_step_it_was_about_is() {
    let body = looped("l", 1, json!([tool("t")]), json!({}));
    let guardrails = json!({ "tool_calls_limit": 0, "on_exceeded": "pause", "timeout_seconds": 1 });
    let step = with(body, json!({ "guardrails": guardrails, "on_error": "continue" }));
    let mut world = world_of(json!({ "steps": [step, agent("next")] }), json!({ "items": [1] }));
    assert!(world.tracker.paused);
    world.pass_time();
    assert_eq!(world.fates("l"), [("failed", &json!("timeout"))]);
    assert_eq!(world.waiting(), ["next"]);
}

#[test]
fn a_tool_step_counts_one_call_however_often_it_is_tried() {
    let step = with(tool("t"), json!({ "retry": { "max_attempts": 3, "initial_interval_ms": 1 } }));
    let mut world = world_of(json!({ "steps": [step], "guardrails": { "tool_calls_limit": 1 } }), Value::Null);
    world.fail("t", FailureCode::Failed);
    world.pass_time();
    world.crash(0);
    world.succeed("t", json!(1));
    assert_eq!(world.output(), json!(1));
    assert_eq!(world.live.summary().usage.tool_calls, 1);
}

mod sharing {
    use std::sync::Arc;

    use weir_engine::limits::{Shared, Whose};

    use super::*;

    /// A limit of 10 tool calls for all together, of which so many are left.
    fn left(tool_calls: u64) -> [Shared; 1] {
        let limits = |n| Limits { tool_calls: Some(n), ..Limits::default() };
        let whose = Whose { name: "budget \"team\"".to_owned(), details: json!({ "budget": "team" }) };
        [Shared { whose: Arc::new(whose), limits: limits(10), left: limits(tool_calls) }]
    }

    #[test]
    fn a_limit_that_is_shared_lets_nothing_begin_that_would_pass_it() {
        let mut world = agents(2, json!({ "on_exceeded": "pause" }));
        let now = world.now;
        let (call, effect) = (world.call("p.a0"), EffectId::CALL.child(1));
        let three = Amounts { tool_calls: 3, ..Amounts::NONE };
        let ask = Input::Reserve { call, effect: effect.clone(), amounts: three };
        let records = world.live.step_sharing(ask.clone(), now, &left(3));
        assert_eq!((records.len(), world.live.is_admitted(call, &effect)), (1, true));
        assert_eq!(world.live.budget().1.spent().tool_calls, 3);
        let other = Input::Reserve { call, effect: EffectId::CALL.child(2), amounts: Amounts::TOOL_CALL };
        let _ = world.live.step_sharing(other, now, &left(0));
        let failure = world.live.summary().failure.expect("nothing pauses at what others share");
        assert_eq!(failure.code, FailureCode::GuardrailExceeded);
        assert!(failure.message.contains("tool_calls_limit = 10 of budget \"team\""), "{}", failure.message);
        assert_eq!(
            failure.details.unwrap().value(),
            &json!({ "limit": "tool_calls_limit", "value": 10, "budget": "team" })
        );
    }

    #[test]
    fn what_one_step_of_the_engine_begins_is_counted_together() {
        let branches: Vec<Value> = (0..4).map(|n| tool(&format!("t{n}"))).collect();
        let definition = json!({ "steps": [agent("first"), parallel("p", "wait_all", json!(branches))] });
        let mut world = world_of(definition, Value::Null);
        let now = world.now;
        let call = world.call("first");
        let done = Input::CallSucceeded { call, attempt: 0, output: json!(1).into(), report: Default::default() };
        let records = world.live.step_sharing(done, now, &left(3));
        assert!(!records.is_empty());
        assert_eq!(world.live.status(), Status::Failed, "the fourth had no room");
        assert_eq!(world.live.budget().1.spent().tool_calls, 3);
    }
}
