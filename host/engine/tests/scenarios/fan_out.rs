//! Branches and iterations.

use serde_json::{Value, json};
use weir_engine::{execution::Status, failure::FailureCode};

use super::{items, looped, parallel, tool, with, world, world_of};

#[test]
fn a_loop_opens_no_more_iterations_than_its_window() {
    let mut world = world_of(json!({ "steps": [looped("l", 7, json!([tool("t")]), json!({}))] }), items(200));
    assert_eq!(world.waiting().len(), 7);
    world.settle();
    assert_eq!(world.tracker.scopes_max, 1 + 7);
    assert_eq!(world.output()["count"], 200);
}

#[test]
fn results_keep_the_order_of_the_items_whatever_ends_first() {
    let mut world = world_of(json!({ "steps": [looped("l", 3, json!([tool("t")]), json!({}))] }), items(3));
    for path in ["l[2].t", "l[0].t", "l[1].t"] {
        world.succeed(path, json!(path));
    }
    let results = json!([{ "t": "l[0].t" }, { "t": "l[1].t" }, { "t": "l[2].t" }]);
    assert_eq!(world.output(), json!({ "results": results, "count": 3 }));
}

#[test]
fn failed_iterations_leave_their_error_where_the_loop_continues() {
    let more = json!({ "on_error": "continue" });
    let mut world = world_of(json!({ "steps": [looped("l", 1, json!([tool("t")]), more)] }), items(3));
    world.succeed("l[0].t", json!(0));
    world.fail("l[1].t", FailureCode::Denied);
    world.succeed("l[2].t", json!(2));
    let output = world.output();
    assert_eq!(output["results"][1]["error"]["code"], "denied");
    assert_eq!(output["results"][1]["error"]["path"], "l[1].t");
    assert_eq!((&output["results"][0]["t"], &output["count"]), (&json!(0), &json!(3)));
}

#[test]
fn more_items_than_max_iterations_are_left_out_and_counted() {
    let more = json!({ "max_iterations": 2 });
    let mut world = world_of(json!({ "steps": [looped("l", 1, json!([tool("t")]), more)] }), items(5));
    let omitted = world.log.iter().find_map(|record| match &record.event {
        weir_engine::event::Event::StepStarted { work: weir_engine::event::Work::Loop { omitted, .. }, .. } => {
            Some(*omitted)
        }
        _ => None,
    });
    assert_eq!(omitted, Some(3));
    world.settle();
    assert_eq!(world.output()["count"], 2);
}

#[test]
fn nothing_to_loop_over_is_an_empty_list_and_a_text_is_a_failure() {
    for (input, output) in [(json!({}), 0), (json!({ "items": null }), 0), (json!({ "items": [] }), 0)] {
        let world = world_of(json!({ "steps": [looped("l", 1, json!([tool("t")]), json!({}))] }), input);
        assert_eq!(world.output(), json!({ "results": [], "count": output }));
    }
    let steps = json!([looped("l", 1, json!([tool("t")]), json!({}))]);
    let world = world_of(json!({ "steps": steps }), json!({ "items": "text" }));
    assert_eq!(world.live.summary().failure.unwrap().code, FailureCode::NotAnArray);
}

#[test]
fn fail_fast_gives_the_siblings_up_at_once() {
    let branches = json!([tool("a"), [tool("b"), tool("c")]]);
    let mut world = world(json!([parallel("p", "fail_fast", branches)]));
    world.fail("p.a", FailureCode::Denied);
    assert_eq!(world.fates("p.b"), [("cancelled", &Value::Null)]);
    assert_eq!(world.fates("p"), [("failed", &json!("denied"))]);
    assert_eq!(world.live.status(), Status::Failed);
}

#[test]
fn wait_all_lets_the_siblings_end_and_fails_with_the_first_by_order() {
    let branches = json!([tool("a"), tool("b"), tool("c")]);
    let mut world = world(json!([parallel("p", "wait_all", branches)]));
    world.fail("p.c", FailureCode::Denied);
    world.fail("p.a", FailureCode::InvalidInput);
    assert_eq!(world.waiting(), ["p.b"]);
    world.succeed("p.b", json!(1));
    assert_eq!(world.fates("p"), [("failed", &json!("invalid_input"))]);
}

#[test]
fn a_parallel_step_that_is_tried_again_begins_anew() {
    let step = with(
        parallel("p", "wait_all", json!([tool("a"), tool("b")])),
        json!({ "retry": { "max_attempts": 2, "initial_interval_ms": 10 } }),
    );
    let mut world = world(json!([step]));
    world.succeed("p.a", json!("old"));
    world.fail("p.b", FailureCode::Failed);
    assert!(world.waiting().is_empty());
    world.pass_time();
    assert_eq!(world.waiting(), ["p.a", "p.b"]);
    world.succeed("p.a", json!("new"));
    world.succeed("p.b", json!(2));
    assert_eq!(world.output(), json!({ "a": "new", "b": 2 }));
}

#[test]
fn people_are_asked_in_each_iteration_at_once_and_answer_in_any_order() {
    let ask = json!({ "id": "ask", "type": "human", "human_config": {
        "notification": "take {{ $.item }}?", "options": [{ "id": "yes", "label": "Yes" }] } });
    let mut world = world_of(json!({ "steps": [looped("l", 3, json!([ask, tool("t")]), json!({}))] }), items(3));
    assert_eq!(world.live.status(), Status::AwaitingHuman);
    assert_eq!(world.waiting(), ["l[0].ask", "l[1].ask", "l[2].ask"]);
    assert!(world.decide("l[1].ask", Some("yes")) > 0);
    assert_eq!(world.live.status(), Status::Running);
    world.succeed("l[1].t", json!(1));
    world.decide("l[2].ask", Some("yes"));
    world.decide("l[0].ask", Some("yes"));
    world.settle();
    assert_eq!(world.output()["results"][2]["ask"]["option_id"], "yes");
}

#[test]
fn a_hundred_thousand_items_in_a_window_of_one() {
    let definition = json!({ "name": "many", "guardrails": { "max_steps": 1_000_000 }, "steps": [
        looped("l", 1, json!([tool("t")]), json!({ "max_iterations": 100_000 })) ] });
    let graph = crate::support::setup::graph(&definition);
    let started = crate::support::setup::started(&graph, items(100_000), crate::support::setup::EPOCH);
    let (mut execution, mut records) =
        weir_engine::execution::Execution::start(graph, started, crate::support::setup::EPOCH);
    while let Some(call) = records.iter().rev().find_map(|record| match record.event {
        weir_engine::event::Event::StepStarted { kind: weir_engine::event::StepType::Tool, .. } => Some(record.seq),
        _ => None,
    }) {
        let input = crate::support::world::success(weir_engine::id::CallId(call), 0, json!(1));
        records = execution.step(input, crate::support::setup::EPOCH);
    }
    assert_eq!(execution.summary().output.unwrap().value()["count"], 100_000);
}

#[test]
fn thirty_two_loops_and_parallel_steps_may_stand_around_a_step() {
    for loops in [32, 16, 0] {
        let mut step = tool("t");
        for depth in 0..32 {
            step = if depth < loops {
                let variable = json!({ "item_variable": format!("item{depth}") });
                looped(&format!("l{depth}"), 1, json!([step]), variable)
            } else {
                parallel(&format!("p{depth}"), "fail_fast", json!([[step]]))
            };
        }
        let text = json!({ "name": "deep", "steps": [step] }).to_string();
        let definition = weir_engine::json::Json::parse_within(text, weir_engine::definition::JSON_DEPTH_MAX).unwrap();
        let mut world = world_of(definition.value().clone(), items(1));
        world.settle();
        assert_eq!(world.live.status(), Status::Completed, "{loops} loops");
        assert!(!world.output().is_null());
    }
}

#[test]
fn results_too_deep_to_be_read_again_fail_the_step_rather_than_turn_to_null() {
    let mut step = tool("t");
    for depth in 0..25 {
        let variable = json!({ "item_variable": format!("item{depth}") });
        step = looped(&format!("l{depth}"), 1, json!([step]), variable);
    }
    let mut world = world_of(json!({ "steps": [step] }), items(1));
    let deep = (0..60).fold(json!(1), |inside, _| json!([inside]));
    let path = world.waiting()[0].clone();
    world.succeed(&path, deep);
    assert_eq!(world.live.summary().failure.unwrap().code, FailureCode::OutputTooLarge);
}
