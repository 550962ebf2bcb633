//! News that counts, and news that does not.

use serde_json::{Value, json};
use weir_engine::{
    event::Event,
    execution::{Command, Input, Status},
    failure::FailureCode,
    id::CallId,
};

use super::{items, looped, tool, with, world, world_of};
use crate::support::world::{World, decided, failure, success};

fn cancel(world: &mut World) {
    world.feed(Input::Cancel { cancelled_by: "pat".to_owned(), reason: Some("enough".to_owned()) });
    assert_eq!(world.live.status(), Status::Cancelled);
    assert!(world.live.commands().is_empty());
    assert_eq!(world.feed(Input::Cancel { cancelled_by: "sam".to_owned(), reason: None }), 0);
}

#[test]
fn a_running_execution_is_cancelled_with_all_that_runs() {
    let mut world = world_of(json!({ "steps": [looped("l", 4, json!([tool("t")]), json!({}))] }), items(9));
    cancel(&mut world);
    assert_eq!(world.fates("l[3].t"), [("cancelled", &Value::Null)]);
    assert_eq!(world.fates("l"), [("cancelled", &Value::Null)]);
}

#[test]
fn a_question_a_retry_and_a_pause_can_be_cancelled() {
    cancel(&mut world(json!([{ "id": "h", "type": "human", "human_config": { "notification": "?" } }])));
    let mut retried = world(json!([with(tool("a"), json!({ "retry": { "max_attempts": 3 } }))]));
    retried.fail("a", FailureCode::Failed);
    cancel(&mut retried);
    let guardrails = json!({ "tool_calls_limit": 0, "on_exceeded": "pause" });
    let mut paused = world_of(json!({ "steps": [tool("a")], "guardrails": guardrails }), Value::Null);
    assert!(paused.tracker.paused);
    cancel(&mut paused);
}

#[test]
fn late_and_doubled_news_is_ignored() {
    let retry = json!({ "retry": { "max_attempts": 3, "initial_interval_ms": 1 } });
    let mut world = world(json!([with(tool("a"), retry), tool("b")]));
    let call = world.call("a");
    world.feed(failure(call, 0, FailureCode::Failed));
    assert_eq!(world.feed(success(call, 0, json!("late"))), 0, "the attempt is over");
    assert_eq!(world.feed(success(call, 1, json!("early"))), 0, "the attempt has not begun");
    world.pass_time();
    assert_eq!(world.feed(success(call, 0, json!("late"))), 0, "another attempt runs");
    assert!(world.feed(success(call, 1, json!("good"))) > 0);
    assert_eq!(world.feed(success(call, 1, json!("again"))), 0);
    assert_eq!(world.fates("a"), [("completed", &json!("good"))]);
}

#[test]
fn an_answer_that_was_not_offered_is_ignored() {
    let human = json!({ "id": "h", "type": "human", "human_config": {
        "notification": "?", "options": [{ "id": "yes", "label": "Yes", "next_step": "b" }, { "id": "no", "label": "No" }] } });
    let mut world = world(json!([human, tool("a"), tool("b")]));
    assert_eq!(world.decide("h", Some("maybe")), 0);
    assert_eq!(world.decide("h", None), 0);
    let call = world.call("h");
    assert!(world.decide("h", Some("yes")) > 0);
    assert_eq!(world.feed(decided(call, Some("no".to_owned()))), 0, "the first answer counts");
    assert_eq!(world.waiting(), ["b"]);
}

#[test]
fn a_call_cut_short_by_a_stop_is_made_again_under_a_new_attempt_and_the_same_call() {
    let mut world = world(json!([tool("a")]));
    let call = world.call("a");
    for attempt in 1..=3 {
        world.crash(0);
        assert_eq!(world.live.commands(), [Command::RunPlugin { call, attempt }]);
        assert_eq!(world.feed(success(call, attempt - 1, Value::Null)), 0, "the interrupted attempt is over");
    }
    assert!(world.feed(success(call, 3, json!("done"))) > 0);
    assert_eq!(world.output(), json!("done"));
}

#[test]
fn stops_do_not_use_up_retries_but_a_call_is_not_made_again_for_ever() {
    let mut world =
        world(json!([with(tool("a"), json!({ "retry": { "max_attempts": 2, "initial_interval_ms": 1 } }))]));
    for _ in 0..5 {
        world.crash(0);
    }
    world.fail("a", FailureCode::Failed);
    assert!(matches!(world.log.last().unwrap().event, Event::RetryScheduled { attempt: 6, .. }));
    world.pass_time();
    for _ in 0..200 {
        world.crash(0);
    }
    assert_eq!(world.fates("a"), [("failed", &json!("interrupted"))]);
}

#[test]
fn what_was_not_committed_is_decided_again() {
    let mut world = world(json!([tool("a"), tool("b")]));
    world.succeed("a", json!(1));
    world.crash(1);
    assert_eq!(world.waiting(), ["a"]);
    world.succeed("a", json!(1));
    world.succeed("b", json!(2));
    assert_eq!(world.output(), json!(2));
}

#[test]
fn news_about_calls_that_never_were_is_ignored() {
    let mut world = world(json!([tool("a")]));
    for call in [0, 1, 99].map(CallId) {
        assert_eq!(world.feed(success(call, 0, Value::Null)), 0);
        assert_eq!(world.feed(decided(call, None)), 0);
    }
    assert_eq!(world.decide("a", None), 0, "a tool is not asked");
}
