//! Every limit that adds up, wherever it is held, lets exactly as much begin as it says, and names itself. `make mutants`
//! switches each off, and something here has to fail.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{
    event::Event,
    execution::Input,
    failure::Failure,
    id::EffectId,
    limits::{Amounts, Limits, Shared, Whose},
};

use super::{parallel, tool, world_of};
use crate::support::world::World;

/// Who holds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Execution,
    StepAround,
    Step,
    Others,
}

const HOLDERS: [Holder; 4] = [Holder::Execution, Holder::StepAround, Holder::Step, Holder::Others];

/// A guardrail, what one effect takes of it, and the engine's unit.
type Row = (&'static str, Amounts, u64);

fn rows() -> [Row; 7] {
    let none = Amounts::NONE;
    [
        ("request_limit", Amounts { requests: 1, ..none }, 1),
        ("input_tokens_limit", Amounts { input_tokens: 1, ..none }, 1),
        ("output_tokens_limit", Amounts { output_tokens: 1, ..none }, 1),
        ("total_tokens_limit", Amounts { input_tokens: 1, ..none }, 1),
        ("total_tokens_limit", Amounts { output_tokens: 1, ..none }, 1),
        ("tool_calls_limit", Amounts::TOOL_CALL, 1),
        ("max_cost_dollars", Amounts { cost_microusd: 1_000_000, ..none }, 1_000_000),
    ]
}

fn limits(name: &str, value: u64) -> Limits {
    let (limits, problems) = weir_engine::definition::parse_guardrails(&json!({ name: value }), "");
    assert!(problems.is_empty(), "{problems:?}");
    limits
}

/// An agent inside a parallel step, with a limit of three somewhere.
fn world(name: &str, holder: Holder) -> World {
    let guardrails = json!({ name: 3 });
    let mut agent = json!({ "id": "a", "type": "agent", "agent": "sim.think" });
    if holder == Holder::Step {
        agent["guardrails"] = guardrails.clone();
    }
    let mut around = parallel("p", "wait_all", json!([agent, { "id": "b", "type": "agent", "agent": "sim.think" }]));
    if holder == Holder::StepAround {
        around["guardrails"] = guardrails.clone();
    }
    let mut definition = json!({ "steps": [around] });
    if holder == Holder::Execution {
        definition["guardrails"] = guardrails;
    }
    world_of(definition, Value::Null)
}

/// What others leave of a limit of three.
fn others(name: &str, holder: Holder, world: &World) -> Vec<Shared> {
    if holder != Holder::Others {
        return Vec::new();
    }
    let limits = limits(name, 3);
    let left = limits.less(&world.live.budget().1.spent());
    vec![Shared { whose: Arc::new(Whose { name: "all".to_owned(), details: json!({}) }), limits, left }]
}

fn failure_of(event: &Event) -> Option<Failure> {
    if let Event::StepFailed { failure, .. } | Event::ExecutionFailed { failure } = event {
        return Some(failure.clone());
    }
    None
}

/// Feeds until something is refused, and answers after how many effects, and why.
fn until_refused(name: &str, ask: Amounts, holder: Holder) -> (u32, Option<Failure>) {
    let mut world = world(name, holder);
    let call = world.call("p.a");
    for n in 1..=5 {
        let effect = EffectId::CALL.child(n);
        let shared = others(name, holder, &world);
        let input = Input::Reserve { call, effect: effect.clone(), amounts: ask };
        let records = world.live.step_sharing(input, world.now, &shared);
        if !world.live.is_admitted(call, &effect) {
            let failure = records.iter().find_map(|record| failure_of(&record.event));
            return (n - 1, failure);
        }
        // What is settled counts as what is promised does.
        if n == 2 {
            let _ = world.live.step_sharing(Input::Settle { call, effect, used: ask }, world.now, &shared);
        }
    }
    (5, None)
}

#[test]
fn g4_each_limit_lets_as_much_begin_as_it_says_wherever_it_is_held() {
    for (name, ask, unit) in rows() {
        for holder in HOLDERS {
            let (begun, failure) = until_refused(name, ask, holder);
            let failure = failure.unwrap_or_else(|| panic!("{name} of {holder:?} stops nothing"));
            assert_eq!(begun, 3, "{name} of {holder:?}");
            let details = failure.details.as_ref().map(|details| details.value().clone()).unwrap_or_default();
            let shown = if name == "max_cost_dollars" { json!((3 * unit) as f64 / 1e6) } else { json!(3 * unit) };
            assert_eq!((&details["limit"], &details["value"]), (&json!(name), &shown), "{holder:?}");
        }
    }
}

#[test]
fn g4_each_limit_counts_only_what_it_names() {
    for (name, _, _) in rows() {
        let others = rows().into_iter().filter(|(other, ask, _)| {
            let tokens = ask.input_tokens + ask.output_tokens > 0;
            *other != name && !(tokens && name == "total_tokens_limit") && !(tokens && *other == "total_tokens_limit")
        });
        for (other, ask, _) in others {
            let (begun, failure) = until_refused(name, ask, Holder::Execution);
            assert_eq!((begun, failure), (5, None), "{name} counts {other}");
        }
    }
}

#[test]
fn g4_as_many_steps_begin_as_max_steps_says() {
    let steps: Vec<Value> = (0..5).map(|n| tool(&format!("t{n}"))).collect();
    let mut world = world_of(json!({ "steps": steps, "guardrails": { "max_steps": 3 } }), Value::Null);
    (0..3).for_each(|n| world.succeed(&format!("t{n}"), json!(n)));
    let failure = world.live.summary().failure.expect("the fourth does not begin");
    assert_eq!(failure.details.unwrap().value(), &json!({ "limit": "max_steps", "value": 3 }));
    assert_eq!(world.live.budget().1.spent().steps, 3);
}

#[test]
fn g4_fuel_and_memory_are_those_of_the_tightest_around_a_call() {
    let inner = json!({ "id": "t", "type": "tool", "tool": "sim.work", "guardrails": { "fuel_limit": 70 } });
    let mut around = parallel("p", "wait_all", json!([inner, tool("u")]));
    around["guardrails"] = json!({ "memory_limit_mb": 2, "fuel_limit": 80 });
    let guardrails = json!({ "fuel_limit": 90, "memory_limit_mb": 3 });
    let mut world = world_of(json!({ "steps": [around, tool("last")], "guardrails": guardrails }), Value::Null);
    let given = |world: &World, path: &str| {
        let call = world.live.plugin_call(world.call(path)).unwrap();
        (call.fuel, call.memory_bytes)
    };
    assert_eq!(given(&world, "p.t"), (Some(70), Some(2 << 20)));
    assert_eq!(given(&world, "p.u"), (Some(80), Some(2 << 20)));
    world.succeed("p.t", json!(1));
    world.succeed("p.u", json!(1));
    assert_eq!(given(&world, "last"), (Some(90), Some(3 << 20)));
}

#[test]
fn g4_what_a_caller_allows_is_never_more_than_what_an_author_allows() {
    for (name, ..) in rows() {
        let tight = limits(name, 3).tightened_by(&limits(name, 5)).by_name(name);
        assert_eq!(tight, limits(name, 5).tightened_by(&limits(name, 3)).by_name(name), "{name}");
        assert_eq!(tight, limits(name, 3).by_name(name), "{name}");
    }
}
