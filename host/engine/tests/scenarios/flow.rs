//! Where a scope goes.

use serde_json::{Value, json};
use weir_engine::{execution::Status, failure::FailureCode};

use super::{items, looped, parallel, tool, with, world, world_of};

fn condition(id: &str, then: Value, otherwise: Value) -> Value {
    let condition = json!({ "field": "$.input.go", "operator": "eq", "value": true,
                            "then_step": then, "else_step": otherwise });
    json!({ "id": id, "type": "condition", "condition": condition })
}

#[test]
fn a_jump_to_end_leaves_the_block_and_lists_the_skipped_steps() {
    let steps = json!([with(tool("a"), json!({ "next_step": "$end" })), tool("b"), tool("c")]);
    let mut world = world_of(json!({ "steps": [parallel("p", "wait_all", json!([steps])), tool("last")] }), json!({}));
    world.succeed("p.a", json!(1));
    assert_eq!(world.fates("p.b"), [("skipped", &Value::Null)]);
    assert_eq!(world.fates("p.c"), [("skipped", &Value::Null)]);
    assert_eq!(world.fates("p"), [("completed", &json!({ "a": 1 }))]);
    assert_eq!(world.waiting(), ["last"]);
}

#[test]
fn a_null_else_step_in_a_loop_goes_on_with_the_next_item() {
    let body = json!([condition("c", json!("t"), Value::Null), tool("t")]);
    let mut world =
        world_of(json!({ "steps": [looped("l", 1, body, json!({}))] }), json!({ "go": false, "items": [1, 2, 3] }));
    world.settle();
    let result = json!({ "c": { "result": false, "next_step": null } });
    assert_eq!(world.output(), json!({ "results": [result, result, result], "count": 3 }));
    assert_eq!(world.fates("l[2].t"), [("skipped", &Value::Null)]);
}

#[test]
fn a_failure_that_is_passed_over_leaves_its_error_as_output() {
    let steps = json!([
        with(tool("a"), json!({ "on_error": "continue" })),
        with(tool("b"), json!({ "tool_args": { "code": "$.a.error.code" } }))
    ]);
    let mut world = world(steps);
    world.fail("a", FailureCode::Denied);
    let call = world.call("b");
    assert_eq!(world.live.plugin_call(call).unwrap().input.value(), &json!({ "code": "denied" }));
    world.succeed("b", json!("done"));
    assert_eq!(world.output(), json!("done"));
}

#[test]
fn a_failure_goes_to_where_goto_points() {
    let steps = json!([with(tool("a"), json!({ "on_error": { "goto": "c" } })), tool("b"), tool("c")]);
    let mut world = world(steps);
    world.fail("a", FailureCode::Denied);
    assert_eq!(world.waiting(), ["c"]);
    world.succeed("c", json!(3));
    assert_eq!(world.fates("b"), [("skipped", &Value::Null)]);
    assert_eq!(world.output(), json!(3));
}

#[test]
fn a_failure_nobody_catches_ends_the_execution_where_it_began() {
    let mut world = world_of(
        json!({ "steps": [looped("l", 1, json!([tool("t")]), json!({ "on_error": "fail" })), tool("b")] }),
        items(2),
    );
    world.succeed("l[0].t", json!(1));
    world.fail("l[1].t", FailureCode::Failed);
    let failure = world.live.summary().failure.unwrap();
    assert_eq!((world.live.status(), failure.code), (Status::Failed, FailureCode::Failed));
    assert_eq!((failure.step_id.as_deref(), failure.path.as_deref()), (Some("t"), Some("l[1].t")));
}

#[test]
fn each_visit_has_a_path_of_its_own_and_max_steps_stops_a_cycle() {
    let steps = json!([tool("a"), with(tool("b"), json!({ "next_step": "a" })), tool("c")]);
    let definition = json!({ "steps": steps, "guardrails": { "max_steps": 5 } });
    let Ok(graph) = crate::support::setup::try_graph(&with(definition.clone(), json!({ "name": "cycle" }))) else {
        panic!("a cycle is allowed");
    };
    assert_eq!(graph.limits.max_steps, Some(5));
    let mut world = world_of(definition, json!({}));
    for path in ["a", "b", "a#2", "b#2", "a#3"] {
        world.succeed(path, Value::Null);
    }
    let failure = world.live.summary().failure.unwrap();
    assert_eq!(failure.code, FailureCode::GuardrailExceeded);
    assert_eq!(failure.details.unwrap().value(), &json!({ "limit": "max_steps", "value": 5 }));
    assert_eq!(failure.path.as_deref(), Some("b#3"));
}

#[test]
fn a_cycle_without_calls_works_a_bounded_time_per_step_and_asks_to_go_on() {
    let mut back = condition("c", json!("c"), json!("c"));
    back["id"] = json!("c");
    let mut world = world_of(json!({ "steps": [back], "guardrails": { "max_steps": 3_000 } }), json!({}));
    let mut rounds = 0;
    while world.has_more() {
        let records = world.feed(weir_engine::execution::Input::Continue);
        assert!(records <= 1_100, "{records} records of one step");
        rounds += 1;
    }
    assert!(rounds >= 5, "{rounds} rounds");
    assert_eq!(world.live.summary().failure.unwrap().code, FailureCode::GuardrailExceeded);
}

#[test]
fn a_step_with_a_missing_reference_fails_and_is_not_tried_again() {
    let step = json!({ "tool_args": { "x": "$.input.nothing" }, "retry": { "max_attempts": 5 } });
    let world = world_of(json!({ "steps": [with(tool("a"), step)] }), json!({}));
    let failure = world.live.summary().failure.unwrap();
    assert_eq!(failure.code, FailureCode::ReferenceNotFound);
    assert!(failure.message.contains("$.input.nothing"), "{}", failure.message);
    assert_eq!(world.fates("a"), [("failed", &json!("reference_not_found"))]);
}

#[test]
fn the_default_output_is_what_the_last_completed_step_made() {
    let human = json!({ "id": "ask", "type": "human",
        "human_config": { "notification": "?", "timeout_minutes": 1, "on_timeout": "skip" } });
    let mut world = world(json!([tool("a"), human]));
    world.succeed("a", json!("made"));
    world.pass_time();
    assert_eq!(world.fates("ask"), [("skipped", &Value::Null)]);
    assert_eq!(world.output(), json!("made"));
}

#[test]
fn steps_of_a_parallel_step_are_seen_by_name_after_the_join() {
    let inner = parallel("inner", "wait_all", json!([tool("x"), tool("y")]));
    let outer = parallel("outer", "wait_all", json!([[inner], tool("z")]));
    let after = with(tool("after"), json!({ "tool_args": { "x": "$.x", "z": "$.outer.z" } }));
    let mut world = world(json!([outer, after]));
    for (path, output) in [("outer.inner.x", 1), ("outer.inner.y", 2), ("outer.z", 3)] {
        world.succeed(path, json!(output));
    }
    // What is inside the inner step stands there alone, or the output would double with every level.
    assert_eq!(world.fates("outer"), [("completed", &json!({ "inner": { "x": 1, "y": 2 }, "z": 3 }))]);
    let call = world.call("after");
    assert_eq!(world.live.plugin_call(call).unwrap().input.value(), &json!({ "x": 1, "z": 3 }));
}

#[test]
fn an_agents_text_becomes_an_object_and_a_tools_stays_a_text() {
    let ask = json!({ "id": "ask", "type": "agent", "agent": "sim.think", "agent_prompt": "why?" });
    let mut world = world_of(
        json!({ "steps": [ask, tool("t")], "output": { "said": "$.ask.result", "told": "$.ask.content", "t": "$.t" } }),
        json!({}),
    );
    world.succeed("ask", json!("because"));
    world.succeed("t", json!("text"));
    assert_eq!(world.output(), json!({ "said": "because", "told": "because", "t": "text" }));
}

#[test]
fn step_outputs_are_those_of_the_workflows_own_steps() {
    let steps = json!([parallel("p", "wait_all", json!([tool("a"), tool("b")])), tool("last")]);
    let mut world = world(steps);
    world.succeed("p.a", json!(1));
    world.succeed("p.b", json!(2));
    world.succeed("last", json!(3));
    let outputs: Vec<&str> = world.live.step_outputs().map(|(step, _)| &**step).collect();
    assert_eq!(outputs, ["p", "last"]);
}
