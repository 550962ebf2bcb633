//! What the engine promises, one promise a test.

mod budget;
mod fan_out;
mod flow;
mod limits;
mod news;
mod people;
mod predecessor;
mod time;

use serde_json::{Value, json};

use crate::support::{plan::Plan, world::World};

/// A plan for worlds that are told everything by hand.
const BY_HAND: Plan = Plan { seed: 1, failing_percent: 0 };

/// A world of these steps.
fn world(steps: Value) -> World {
    world_of(json!({ "steps": steps }), Value::Null)
}

/// A world of this definition, which needs no name.
fn world_of(mut definition: Value, input: Value) -> World {
    definition["name"] = json!("scenario");
    World::new(&definition, input, BY_HAND)
}

fn tool(id: &str) -> Value {
    json!({ "id": id, "type": "tool", "tool": "sim.work" })
}

/// The step with more members.
fn with(mut step: Value, more: Value) -> Value {
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

fn looped(id: &str, width: u32, steps: Value, more: Value) -> Value {
    let config = json!({ "items_path": "$.input.items", "steps": steps, "max_concurrency": width });
    json!({ "id": id, "type": "loop", "loop_config": with(config, more) })
}

fn parallel(id: &str, on_error: &str, branches: Value) -> Value {
    let config = json!({ "on_error": on_error });
    json!({ "id": id, "type": "parallel", "parallel_steps": branches, "parallel_config": config })
}

fn items(count: usize) -> Value {
    json!({ "items": (0..count).collect::<Vec<_>>() })
}
