//! Definitions that nobody would write.

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_engine::compile::check;

use super::{Everything, Few, echo, problems, with, workflow};

const WORDS: &[&str] = &[
    "a",
    "b",
    "c",
    "$end",
    "$.a",
    "$.input.x",
    "$.a[?@.b]",
    "text $.b.c {{ $.c }}",
    "tool",
    "agent",
    "condition",
    "human",
    "parallel",
    "loop",
    "eq",
    "contains",
    "fail",
    "continue",
    "item",
    "",
    "$..a..b",
    "\\$.a",
];

const NAMES: &[&str] = &[
    "name",
    "steps",
    "id",
    "type",
    "tool",
    "args",
    "tool_args",
    "agent",
    "input",
    "condition",
    "field",
    "operator",
    "value",
    "all",
    "any",
    "not",
    "then_step",
    "else_step",
    "next_step",
    "human_config",
    "options",
    "notification",
    "timeout_minutes",
    "parallel_steps",
    "parallel_config",
    "loop_config",
    "items_path",
    "item_variable",
    "max_iterations",
    "max_concurrency",
    "on_error",
    "goto",
    "retry",
    "max_attempts",
    "backoff",
    "guardrails",
    "max_cost_dollars",
    "trigger",
    "triggers",
    "config",
    "output",
    "$path",
    "default",
    "x",
];

/// Values that look like definitions in part.
fn odd_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 120, 8, move |inner| {
        let name = prop::sample::select(NAMES).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Steps with sound types, whose contents are odd.
fn odd_steps() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(vec!["tool", "agent", "condition", "human", "parallel", "loop"]);
    let ids = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    let step = (ids.clone(), types, odd_values(), ids, odd_values()).prop_map(|(id, kind, odd, next, arguments)| {
        json!({"id": id, "type": kind, "tool": "text.echo", "agent": "ask", "tool_args": {"x": arguments}, "next_step": next,
            "condition": {"field": "$.a.x", "operator": "eq", "value": odd, "then_step": next},
            "human_config": {"notification": odd, "options": [{"id": "o", "next_step": next}]},
            "on_error": odd})
    });
    let steps = prop::collection::vec(step, 1..4);
    steps.prop_map(Value::from).prop_recursive(3, 40, 4, |inner| {
        (inner.clone(), inner, any::<bool>()).prop_map(|(mut steps, body, is_loop)| {
            if let Some(step) = steps.get_mut(0) {
                step["type"] = json!(if is_loop { "loop" } else { "parallel" });
                step["loop_config"] = json!({"items_path": "$.b", "steps": body});
                step["parallel_steps"] = json!([body]);
            }
            steps
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn a7_no_value_hurts_the_compiler(value in odd_values()) {
        for definition in [value.clone(), workflow(value)] {
            let checked = check(&definition, &Few);
            prop_assert_eq!(checked.graph.is_none(), checked.diagnostics.iter().any(|d| d.is_error()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn a7_no_steps_hurt_the_compiler(steps in odd_steps()) {
        let checked = check(&workflow(steps), &Everything);
        let has_errors = checked.diagnostics.iter().any(|d| d.is_error());
        prop_assert_eq!(checked.graph.is_none(), has_errors);
    }
}

#[test]
fn long_names_around_many_references_stay_cheap_to_tell() {
    let long = "k".repeat(100_000);
    let sound: Vec<&str> = vec!["$.nobody"; 5_000];
    let broken: Vec<&str> = vec!["$.a["; 5_000];
    for (texts, code) in [(sound, "unknown_reference"), (broken, "invalid_reference")] {
        let arguments = json!({ "near": { &long: texts } });
        let found = problems(&workflow(json!([with(echo("a", ""), "tool_args", arguments)])));
        assert!(found.len() >= 1_000, "{}", found.len());
        assert!(found.iter().all(|problem| problem.len() < 2_000), "a pointer is very long");
        assert_eq!(found[0], format!("{code} /steps/0/tool_args/near"));
    }
}

#[test]
fn one_value_holds_a_bounded_number_of_references() {
    let references: Vec<&str> = vec!["$.input.x"; 10_001];
    let found = problems(&workflow(json!([with(echo("a", ""), "tool_args", json!({ "list": references }))])));
    assert_eq!(found, ["invalid_reference /steps/0/tool_args/list/10000"]);
}

#[test]
fn only_the_first_wrong_names_are_answered_with_what_may_be_meant() {
    let step = |n: usize| with(echo(&format!("s{n}"), ""), "next_step", json!(format!("s{n}x")));
    let checked = check(&workflow(Value::Array((0..100).map(step).collect())), &Few);
    let hints = checked.diagnostics.iter().filter(|d| d.message.contains("did you mean"));
    assert_eq!(hints.count(), 20);
    let step = |n: usize| with(echo(&format!("s{n}"), ""), "tool", json!("text.ecko"));
    let checked = check(&workflow(Value::Array((0..100).map(step).collect())), &Few);
    let hints = checked.diagnostics.iter().filter(|d| d.message.contains("did you mean"));
    assert_eq!(hints.count(), 20);
}
