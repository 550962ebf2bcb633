//! Each field is checked, and every size has a limit.

use serde_json::{Value, json};

use super::{echo, expect, problems, with, workflow};

/// Each definition has one problem.
fn expect_each(table: &[(Value, &str)]) {
    for (definition, expected) in table {
        assert_eq!(problems(definition), [*expected], "{definition:#}");
    }
}

fn one(step: Value) -> Value {
    workflow(json!([step]))
}

fn human(config: Value) -> Value {
    one(json!({"id": "a", "type": "human", "human_config": config}))
}

fn looped(config: Value) -> Value {
    one(json!({"id": "a", "type": "loop", "loop_config": config}))
}

fn parallel(steps: Value, config: Value) -> Value {
    one(json!({"id": "a", "type": "parallel", "parallel_steps": steps, "parallel_config": config}))
}

#[test]
fn each_field_of_a_workflow_is_checked() {
    expect_each(&[
        (json!([]), "invalid_type "),
        (json!({"name": "a", "steps": {}}), "invalid_type /steps"),
        (json!({"name": "a"}), "missing_field /steps"),
        (json!({"name": "a", "steps": []}), "empty /steps"),
        (json!({"steps": [echo("a", "")]}), "missing_field /name"),
        (json!({"name": "n".repeat(129), "steps": [echo("a", "")]}), "invalid_value /name"),
        (json!({"name": "a\u{0}", "steps": [echo("a", "")]}), "invalid_value /name"),
        (
            json!({"name": "a", "steps": [echo("a", "")], "active": true, "is_active": true}),
            "duplicate_field /is_active",
        ),
        (json!({"name": "a", "steps": [echo("a", "")], "trigger": {"config": {}}}), "missing_field /trigger/type"),
        (
            json!({"name": "a", "steps": [echo("a", "")], "trigger": vec![json!({"type": "manual"}); 33]}),
            "too_many /trigger",
        ),
    ]);
}

#[test]
fn each_field_of_a_step_is_checked() {
    expect_each(&[
        (one(echo("loop_index", "")), "reserved_name /steps/0/id"),
        (one(echo("été", "")), "invalid_id /steps/0/id"),
        (one(echo(&"a".repeat(65), "")), "invalid_id /steps/0/id"),
        (one(with(echo("a", ""), "id", json!(5))), "invalid_type /steps/0/id"),
        (one(with(echo("a", ""), "tool_args", json!([1]))), "invalid_type /steps/0/tool_args"),
        (one(with(echo("a", ""), "tool", json!(" "))), "invalid_value /steps/0/tool"),
        (one(with(echo("a", ""), "next_step", json!(5))), "invalid_type /steps/0/next_step"),
        (one(with(echo("a", ""), "agent", json!("x"))), "unknown_field /steps/0/agent"),
        (one(with(echo("a", ""), "on_error", json!("retry"))), "invalid_value /steps/0/on_error"),
        (one(with(echo("a", ""), "on_error", json!({"goto": "b"}))), "unknown_step /steps/0/on_error/goto"),
        (one(with(echo("a", ""), "retry", json!({"max_attempts": 0}))), "invalid_value /steps/0/retry/max_attempts"),
        (one(with(echo("a", ""), "retry", json!({}))), "missing_field /steps/0/retry/max_attempts"),
        (
            one(with(echo("a", ""), "retry", json!({"max_attempts": 2, "backoff": 0.5}))),
            "invalid_value /steps/0/retry/backoff",
        ),
        (one(with(echo("a", ""), "tool_args", json!({"bad": "bad"}))), "invalid_arguments /steps/0/tool_args/bad"),
        (one(json!({"id": "a", "type": "tool", "tool": "echo"})), "ambiguous_name /steps/0/tool"),
        (one(json!({"id": "a", "type": "tool", "tool": "ask"})), "wrong_kind /steps/0/tool"),
        (one(json!({"id": "a", "type": "agent", "agent": "text.echo"})), "wrong_kind /steps/0/agent"),
        (one(json!({"id": "a", "type": "agent", "agent": "none"})), "unknown_agent /steps/0/agent"),
        (one(json!({"id": "a", "type": "agent", "agent": "ask", "input": "bad"})), "invalid_arguments /steps/0/input"),
        (
            one(json!({"id": "a", "type": "agent", "agent": "ask", "agent_config": 5})),
            "invalid_type /steps/0/agent_config",
        ),
        (one(json!({"id": "a", "type": "condition"})), "missing_field /steps/0/condition"),
    ]);
}

#[test]
fn each_field_of_a_human_step_is_checked() {
    let options: Vec<Value> = (0..33).map(|n| json!({"id": n.to_string()})).collect();
    expect_each(&[
        (human(json!({"timeout_minutes": -1})), "invalid_value /steps/0/human_config/timeout_minutes"),
        (human(json!({"on_timeout": "never"})), "invalid_value /steps/0/human_config/on_timeout"),
        (human(json!({"options": options})), "too_many /steps/0/human_config/options"),
        (human(json!({"options": [{"id": "a"}, {"id": "a"}]})), "duplicate_id /steps/0/human_config/options/1/id"),
        (human(json!({"options": [{"label": "a"}]})), "missing_field /steps/0/human_config/options/0/id"),
        (
            human(json!({"options": [{"id": "a", "next_step": "b"}]})),
            "unknown_step /steps/0/human_config/options/0/next_step",
        ),
        (human(json!({"notification": "{{ $.input[ }}"})), "invalid_reference /steps/0/human_config/notification"),
        (human(json!({"approvers": "pat"})), "invalid_type /steps/0/human_config/approvers"),
        (human(json!({"approvers": {"roles": ["boss"]}})), "invalid_value /steps/0/human_config/approvers/roles/0"),
        (human(json!({"approvers": {"quorum": 0}})), "invalid_value /steps/0/human_config/approvers/quorum"),
        (
            human(json!({"approvers": {"users": ["pat", "pat"], "quorum": 2}})),
            "invalid_value /steps/0/human_config/approvers/quorum",
        ),
        (
            human(json!({"approvers": {"requester_may_decide": "no"}})),
            "invalid_type /steps/0/human_config/approvers/requester_may_decide",
        ),
        (human(json!({"approvers": [1]})), "invalid_type /steps/0/human_config/approvers/0"),
        (human(json!({"form_schema": []})), "invalid_type /steps/0/human_config/form_schema"),
    ]);
}

#[test]
fn each_field_of_loops_and_parallel_steps_is_checked() {
    let branches: Vec<Value> = (0..65).map(|n| echo(&format!("b{n}"), "")).collect();
    expect_each(&[
        (
            looped(json!({"items_path": "input.x", "steps": [echo("b", "")]})),
            "implied_reference /steps/0/loop_config/items_path",
        ),
        (
            looped(json!({"items_path": "$.input", "steps": [echo("b", "")], "max_iterations": 1e9})),
            "invalid_value /steps/0/loop_config/max_iterations",
        ),
        (
            looped(json!({"items_path": "$.input", "steps": [echo("b", "")], "max_concurrency": 65})),
            "invalid_value /steps/0/loop_config/max_concurrency",
        ),
        (
            looped(json!({"items_path": "$.input", "steps": [echo("b", "")], "item_variable": "a"})),
            "reserved_name /steps/0/loop_config/item_variable",
        ),
        (
            looped(json!({"items_path": "$.input", "steps": [echo("b", "")], "item_variable": "input"})),
            "reserved_name /steps/0/loop_config/item_variable",
        ),
        (looped(json!({"items_path": "$.input"})), "missing_field /steps/0/loop_config/steps"),
        (looped(json!({"items_path": "$.input", "steps": []})), "empty /steps/0/loop_config/steps"),
        (parallel(json!([]), json!({})), "empty /steps/0/parallel_steps"),
        (parallel(json!(branches), json!({})), "too_many /steps/0/parallel_steps"),
        (
            parallel(json!([echo("b", "")]), json!({"max_concurrency": 0})),
            "invalid_value /steps/0/parallel_config/max_concurrency",
        ),
        (
            parallel(json!([echo("b", "")]), json!({"on_error": "fail"})),
            "invalid_value /steps/0/parallel_config/on_error",
        ),
    ]);
}

#[test]
fn a7_sizes_are_limited() {
    let many = |count: usize| workflow((0..count).map(|n| echo(&format!("s{n}"), "")).collect());
    expect(&many(500), &[]);
    expect(&many(10_000), &["too_many /steps/500"]);
    let deep = |depth: usize| {
        let inner = |inner: Value, n: usize| json!({"id": format!("l{n}"), "type": "loop", "loop_config": {"items_path": "$.input", "item_variable": "i", "steps": [inner]}});
        workflow(json!([(0..depth).fold(echo("end", ""), inner)]))
    };
    expect(&deep(32), &[]);
    for too_deep in [33, 38] {
        let found = problems(&deep(too_deep));
        assert_eq!(found.len(), 1, "{found:?}");
        let field = format!("/steps/0{}", "/loop_config/steps/0".repeat(32));
        assert_eq!(found[0], format!("too_deep {field}/loop_config/steps"));
    }
    let odd: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("x{n}"), json!(1))).collect();
    let mut odd = Value::Object(odd);
    odd["name"] = json!("a");
    odd["steps"] = json!([echo("a", "")]);
    assert_eq!(problems(&odd).len(), 1_001);
}

#[test]
fn windows_of_nested_loops_are_multiplied() {
    let nested = |inner: u32| {
        let config = |id: &str, width: u32, steps: Value| {
            json!([{ "id": id, "type": "loop",
                "loop_config": { "items_path": "$.input.items", "max_concurrency": width, "steps": steps } }])
        };
        let deepest = config("c", inner, json!([echo("d", "")]));
        json!({ "name": "w", "steps": config("a", 64, config("b", 64, deepest)) })
    };
    expect(&nested(1), &[]);
    expect(&nested(2), &["too_many /steps/0/loop_config/steps/0/loop_config/steps/0"]);
}
