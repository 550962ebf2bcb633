//! Definitions of the predecessor run as they were meant.

use serde_json::{Value, json};
use weir_engine::execution::Status;

use super::BY_HAND;
use crate::support::world::World;

/// A world of one of the predecessor's definitions.
fn world(name: &str, input: Value) -> World {
    let path = format!("{}/../../tests/workflows/predecessor/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let definition: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    World::new(&definition, input, BY_HAND)
}

/// What the open call at `path` was given.
fn given(world: &World, path: &str) -> Value {
    world.tracker.open[&world.call(path)].input().value().clone()
}

#[test]
fn loops_in_loops_with_conditions_and_people_go_on_item_by_item() {
    let mut world = world("nested_loops", json!({ "month": "2026-10" }));
    assert_eq!(given(&world, "load"), json!({ "month": "2026-10" }));
    let shops = json!([{ "name": "A", "revenue": 5 }, { "name": "B", "revenue": 20 }]);
    let north = json!({ "name": "North", "target": 10, "shops": shops });
    world.succeed("load", json!({ "regions": [north, { "name": "South", "target": 1, "shops": [] }] }));

    assert_eq!(world.waiting(), ["regions[0].shops[0].explain"]);
    assert_eq!(given(&world, "regions[0].shops[0].explain"), json!({ "prompt": "Why is A in North below 10?" }));
    world.succeed("regions[0].shops[0].explain", json!({ "result": "rain" }));
    world.decide("regions[0].shops[0].ask_manager", Some("stop"));
    // Shop B is above its target: `else_step: null` goes on with the next shop, and there is none.
    assert_eq!(world.waiting(), ["regions[0].sum_up"]);
    world.succeed("regions[0].sum_up", json!({ "result": "wet" }));
    assert_eq!(given(&world, "regions[1].sum_up"), json!({ "prompt": "Region South (1): []" }));
    world.succeed("regions[1].sum_up", json!({ "result": "dry" }));
    assert_eq!(given(&world, "publish"), json!({ "regions": [{ "result": "wet" }, { "result": "dry" }], "count": 2 }));
    world.succeed("publish", json!("done"));
    assert_eq!((world.live.summary().status, world.output()), (Status::Completed, json!("done")));
}

#[test]
fn a_question_in_a_loop_that_nobody_answers_goes_on() {
    let mut world = world("nested_loops", json!({ "month": "2026-10" }));
    let shops = json!([{ "name": "A", "revenue": 5 }]);
    world.succeed("load", json!({ "regions": [{ "name": "North", "target": 10, "shops": shops }] }));
    world.succeed("regions[0].shops[0].explain", json!({ "result": "rain" }));
    assert!(world.pass_time(), "half a minute is a time-out");
    assert_eq!(world.waiting(), ["regions[0].sum_up"]);
}

#[test]
fn a_jump_back_refines_until_it_is_good() {
    let mut world = world("refine_until_good", json!({ "task": "Write", "reader": "a@example.com" }));
    world.succeed("draft", json!({ "result": "first" }));
    assert_eq!(given(&world, "critique"), json!({ "text": null, "draft": "first" }));
    world.succeed("critique", json!({ "score": 5, "remarks": null }));
    assert_eq!(given(&world, "refine"), json!({ "prompt": "Improve by: null" }));
    world.succeed("refine", json!({ "result": "second" }));
    assert_eq!(given(&world, "critique#2"), json!({ "text": "second", "draft": "first" }));
    world.succeed("critique#2", json!({ "score": 9, "remarks": null }));
    let mail = json!({ "to": "a@example.com", "body": "first", "score": 9 });
    assert_eq!(given(&world, "deliver"), mail);
    world.succeed("deliver", json!({ "sent": true }));
    assert_eq!(world.output(), json!({ "sent": true }));
}

#[test]
fn an_option_leads_where_it_says_and_next_step_null_ends() {
    let mut world = world("document_approval", json!({ "file_id": 7, "author": "b@example.com" }));
    world.succeed("extract", json!({ "text": "…", "title": "Lease" }));
    world.succeed("assess", json!({ "risk_score": 0.7, "reason": "old" }));
    world.decide("review", Some("revise"));
    world.succeed("assess#2", json!({ "risk_score": 0.9, "reason": "older" }));
    world.decide("review#2", Some("approve"));
    world.succeed("file_document", json!({ "stored": true }));
    assert_eq!((world.live.summary().status, world.output()), (Status::Completed, json!({ "stored": true })));
    assert!(world.fates("notify_author").iter().all(|(fate, _)| *fate == "skipped"), "nobody was rejected");
}
