//! Retries, timeouts and deadlines.

use serde_json::{Value, json};
use weir_engine::{
    event::Event,
    execution::{Input, Status},
    failure::FailureCode,
};

use super::{parallel, tool, with, world, world_of};
use crate::support::{setup::EPOCH, world::World};

#[test]
fn attempts_wait_ever_longer_up_to_the_longest_and_then_the_step_fails() {
    let retry =
        json!({ "retry": { "max_attempts": 4, "initial_interval_ms": 100, "backoff": 3.0, "max_interval_ms": 400 } });
    let mut world = world(json!([with(tool("a"), retry)]));
    for wait_ms in [100, 300, 400] {
        world.fail("a", FailureCode::Unavailable);
        assert!(world.waiting().is_empty());
        assert_eq!(world.due(), Some(world.now.plus_ms(wait_ms)));
        assert_eq!(world.feed(Input::TimeReached), 0, "an attempt began too early");
        world.pass_time();
        assert_eq!(world.waiting(), ["a"]);
    }
    world.fail("a", FailureCode::Unavailable);
    assert_eq!(world.live.status(), Status::Failed);
}

#[test]
fn what_the_same_input_will_always_cause_is_not_tried_again() {
    let mut world = world(json!([with(tool("a"), json!({ "retry": { "max_attempts": 4 } }))]));
    world.fail("a", FailureCode::InvalidInput);
    assert_eq!(world.live.status(), Status::Failed);
}

fn asked(on_timeout: &str) -> World {
    let human = json!({ "id": "ask", "type": "human",
        "human_config": { "notification": "?", "timeout_minutes": 0.5, "on_timeout": on_timeout } });
    let mut world = world(json!([human, tool("next")]));
    assert_eq!(world.due(), Some(EPOCH.plus_ms(30_000)));
    world.pass_time();
    world
}

#[test]
fn nobody_answers_and_the_execution_goes_on() {
    let world = asked("continue");
    assert_eq!(world.fates("ask"), [("completed", &json!({ "timed_out": true }))]);
    assert_eq!(world.waiting(), ["next"]);
}

#[test]
fn nobody_answers_and_the_step_is_skipped() {
    let world = asked("skip");
    assert_eq!(world.fates("ask"), [("skipped", &Value::Null)]);
    assert_eq!(world.waiting(), ["next"]);
}

#[test]
fn nobody_answers_and_the_execution_fails() {
    let world = asked("fail");
    assert_eq!(world.fates("ask"), [("failed", &json!("approval_timeout"))]);
    assert_eq!(world.live.status(), Status::Failed);
}

#[test]
fn an_answer_in_time_stops_the_clock() {
    let human = json!({ "id": "ask", "type": "human", "human_config": { "notification": "?", "timeout_minutes": 1 } });
    let mut world = world(json!([human, tool("next")]));
    assert!(world.decide("ask", None) > 0);
    assert_eq!(world.due(), None);
    assert_eq!(world.fates("ask")[0].1["decided_by"], "pat");
}

#[test]
fn a_step_that_takes_too_long_fails_with_everything_inside_it() {
    let step = with(
        parallel("p", "wait_all", json!([tool("a"), tool("b")])),
        json!({ "guardrails": { "timeout_seconds": 2 }, "on_error": "continue" }),
    );
    let mut world = world(json!([step, tool("next")]));
    world.succeed("p.a", json!(1));
    let call = world.call("p.b");
    assert_eq!(world.live.plugin_call(call).unwrap().deadline, Some(EPOCH.plus_ms(2_000)));
    world.pass_time();
    assert_eq!(world.fates("p.b"), [("cancelled", &Value::Null)]);
    assert_eq!(world.fates("p"), [("failed", &json!("timeout"))]);
    assert_eq!(world.waiting(), ["next"]);
}

#[test]
fn the_deadline_ends_the_execution_and_survives_a_crash() {
    let definition = json!({ "steps": [tool("a")], "guardrails": { "timeout_seconds": 1.5 } });
    let mut world = world_of(definition, Value::Null);
    world.crash(0);
    assert_eq!(world.due(), Some(EPOCH.plus_ms(1_500)));
    world.pass_time();
    assert_eq!(world.live.status(), Status::Timeout);
    assert_eq!(world.fates("a"), [("cancelled", &Value::Null)]);
    let failure = world.live.summary().failure.unwrap();
    assert_eq!(failure.code, FailureCode::Timeout);
    assert!(failure.message.contains("1500"), "{}", failure.message);
}

#[test]
fn news_at_the_deadline_is_too_late() {
    let definition = json!({ "steps": [tool("a")], "guardrails": { "timeout_seconds": 1 } });
    let mut world = world_of(definition, Value::Null);
    world.now = EPOCH.plus_ms(1_000);
    world.succeed("a", json!(1));
    assert_eq!(world.live.status(), Status::Timeout);
    assert!(!world.log.iter().any(|record| matches!(record.event, Event::StepCompleted { .. })));
}
