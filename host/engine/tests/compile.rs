//! Definitions to graphs: what is accepted, and that all problems are reported at once.

mod fields;
mod odd;
mod schema;

use std::collections::BTreeMap;

use schema::schema_allows;
use serde_json::{Value, json};
use weir_engine::{
    compile::{ArgumentProblem, Catalog, Checked, Found, check},
    definition::{Severity, TriggerType, definition_schema, parse_guardrails},
    graph::{Jump, Kind, OnError, OnTimeout, Target},
    limits::{Limits, OnExceeded, OnUnknownPrice},
};

/// Everything is installed.
struct Everything;

fn target(name: &str, agent: bool) -> Target {
    Target {
        plugin: "plugin".into(),
        version: "1.0.0".into(),
        digest: "00".into(),
        name: name.into(),
        agent,
        wants: weir_engine::graph::Wants::default(),
        tools: BTreeMap::new(),
    }
}

impl Catalog for Everything {
    fn find(&self, name: &str, agent: bool) -> Found {
        Found::One(target(name, agent))
    }
    fn check_arguments(&self, _: &Target, _: &Value) -> Vec<ArgumentProblem> {
        Vec::new()
    }
}

/// `text.echo` and `ask` are installed; `echo` is offered twice; arguments may not hold `bad`.
struct Few;

impl Catalog for Few {
    fn find(&self, name: &str, agent: bool) -> Found {
        match (name, agent) {
            ("text.echo", false) | ("ask", true) => Found::One(target(name, agent)),
            ("echo", false) => Found::Ambiguous(vec!["text.echo".into(), "other.echo".into()]),
            _ => Found::Missing,
        }
    }
    fn similar(&self, name: &str, _: bool) -> Vec<String> {
        if name == "text.ecko" { vec!["text.echo".into()] } else { Vec::new() }
    }
    fn check_arguments(&self, _: &Target, arguments: &Value) -> Vec<ArgumentProblem> {
        let bad = |pointer: &str| ArgumentProblem { pointer: pointer.into(), message: "is bad".into() };
        let place = |pointer: &str| arguments.pointer(pointer).is_some_and(|value| value == "bad");
        ["/bad", "/prompt"].into_iter().filter(|pointer| place(pointer)).map(bad).collect()
    }
}

fn echo(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "tool", "tool": "text.echo", "tool_args": {"text": text}})
}

fn workflow(steps: Value) -> Value {
    json!({"name": "test", "steps": steps})
}

fn with(mut value: Value, member: &str, content: Value) -> Value {
    value[member] = content;
    value
}

/// `code field` for each problem.
fn problems(definition: &Value) -> Vec<String> {
    let checked = check(definition, &Few);
    let has_errors = checked.diagnostics.iter().any(|d| d.is_error());
    assert_eq!(checked.graph.is_none(), has_errors, "{:?}", checked.diagnostics);
    checked
        .diagnostics
        .iter()
        .map(|d| format!("{} {}", serde_json::to_value(d.code).unwrap().as_str().unwrap(), d.field))
        .collect()
}

fn expect(definition: &Value, expected: &[&str]) {
    assert_eq!(problems(definition), expected, "{definition:#}");
}

fn accept(definition: &Value) -> Checked {
    let checked = check(definition, &Everything);
    assert!(checked.graph.is_some(), "{:#?}", checked.diagnostics);
    checked
}

#[test]
fn predecessor_definitions_load_as_they_were_meant() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/workflows/predecessor");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let definition: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let checked = check(&definition, &Everything);
        let problems: Vec<String> =
            checked.diagnostics.iter().map(|d| format!("{:?} {}: {}", d.severity, d.field, d.message)).collect();
        assert_eq!(problems, Vec::<String>::new(), "{}", path.display());
        assert!(checked.graph.is_some());
        schema_allows(&definition, &definition_schema(), &definition_schema(), "");
        count += 1;
    }
    assert!(count >= 7);
}

#[test]
fn aliases_and_defaults_mean_what_the_format_says() {
    let checked = accept(&json!({
        "name": "test", "is_active": false, "trigger": {"type": "webhook"},
        "guardrails": {"max_cost_dollars": 0.29, "timeout_seconds": 1.5, "memory_limit_mb": 64, "request_limit": 0,
            "tool_calls_limit": 10.0, "on_exceeded": "pause", "on_unknown_price": "allow"},
        "steps": [
            {"id": "a", "type": "tool", "tool": "x", "args": {"n": 1}, "retry": {"max_attempts": 3}},
            {"id": "b", "type": "agent", "agent_id": "y", "input": "hello"},
            {"id": "c", "type": "agent", "agent": "y", "agent_prompt": {"question": "$.b"}, "agent_config": {"tools": []}},
            {"id": "d", "type": "agent", "agent": "y"},
            {"id": "e", "type": "tool", "tool": "x"},
            {"id": "f", "type": "human", "human_config": {"timeout_minutes": 0.5, "options": [{"id": "ok"}]}}
        ]
    }));
    let definition = &checked.definition;
    assert!(!definition.active);
    assert_eq!(definition.triggers[0].trigger_type, TriggerType::Webhook);
    assert!(definition.triggers[0].config.is_empty());
    let graph = checked.graph.unwrap();
    assert_eq!(
        graph.limits,
        Limits {
            cost_microusd: Some(290_000),
            timeout_ms: Some(1_500),
            memory_bytes: Some(64 << 20),
            requests: Some(0),
            tool_calls: Some(10),
            max_steps: Some(10_000),
            on_exceeded: Some(OnExceeded::Pause),
            on_unknown_price: Some(OnUnknownPrice::Allow),
            ..Limits::default()
        }
    );
    let input = |index: usize| match &graph.steps[index].kind {
        Kind::Tool(invocation) | Kind::Agent(invocation) => invocation.input.literal().cloned(),
        Kind::Condition { .. } | Kind::Human(_) | Kind::Parallel { .. } | Kind::Loop { .. } => None,
    };
    assert_eq!(input(0), Some(json!({"n": 1})));
    assert_eq!(input(1), Some(json!({"prompt": "hello"})));
    assert_eq!(input(2), None);
    assert_eq!(input(3), Some(json!({"prompt": ""})));
    assert_eq!(input(4), Some(json!({})));
    let Kind::Human(human) = &graph.steps[5].kind else { panic!() };
    assert_eq!((human.timeout_ms, human.on_timeout), (Some(30_000), OnTimeout::Fail));
    assert_eq!((human.options[0].label.as_str(), human.options[0].next), ("ok", None));
    let retry = graph.steps[0].retry.clone().unwrap();
    assert_eq!((retry.initial_interval_ms, retry.backoff, retry.max_interval_ms), (1_000, 2.0, 60_000));
    assert_eq!(graph.targets.len(), 2);
}

#[test]
fn jumps_lead_where_the_format_says() {
    let condition = |then: Value, otherwise: Value| json!({"field": "$.input.a", "operator": "exists", "then_step": then, "else_step": otherwise});
    let graph = accept(&workflow(json!([
        {"id": "a", "type": "condition", "condition": condition(json!("c"), Value::Null)},
        with(echo("b", ""), "on_error", json!({"goto": "$end"})),
        with(with(echo("c", ""), "next_step", json!("b")), "on_error", json!("continue")),
        {"id": "d", "type": "condition", "condition": {"field": "$.input", "operator": "exists"}},
        {"id": "e", "type": "parallel", "parallel_steps": [echo("e1", ""), [echo("e2", ""), echo("e3", "")], []]},
        {"id": "f", "type": "loop", "loop_config": {"items_path": "$.input", "steps": [
            with(echo("f1", ""), "on_error", json!({"goto": "f1"}))]}}
    ])))
    .graph
    .unwrap();
    let ids: Vec<&str> = graph.steps.iter().map(|step| &*step.id).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "e", "e1", "e2", "e3", "f", "f1"]);
    let next: Vec<Jump> = graph.steps.iter().map(|step| step.next).collect();
    let (to, end) = (Jump::To, Jump::End);
    assert_eq!(next, [to(1), to(2), to(1), to(4), to(8), end, to(7), end, end, end]);
    let Kind::Condition { then, otherwise, .. } = &graph.steps[0].kind else { panic!() };
    assert_eq!((*then, *otherwise), (to(2), end));
    let Kind::Condition { then, otherwise, .. } = &graph.steps[3].kind else { panic!() };
    assert_eq!((*then, *otherwise), (to(4), to(4)));
    assert_eq!(graph.steps[1].on_error, OnError::Goto(end));
    assert_eq!(graph.steps[2].on_error, OnError::Continue);
    assert_eq!(graph.steps[9].on_error, OnError::Goto(to(9)));
    let blocks: Vec<Vec<usize>> = graph.blocks.iter().map(|block| block.steps.clone()).collect();
    assert_eq!(blocks, [vec![0, 1, 2, 3, 4, 8], vec![5], vec![6, 7], vec![], vec![9]]);
    let Kind::Parallel { max_concurrency, fail_fast, branches } = &graph.steps[4].kind else { panic!() };
    assert_eq!((*max_concurrency, *fail_fast, branches.as_slice()), (3, true, [1, 2, 3].as_slice()));
    let Kind::Loop { body, item_variable, max_iterations, max_concurrency, .. } = &graph.steps[8].kind else {
        panic!()
    };
    assert_eq!((*body, &**item_variable, *max_iterations, *max_concurrency), (4, "item", 10_000, 1));
}

#[test]
fn all_problems_are_reported_at_once() {
    let definition = json!({
        "name": "",
        "colour": "red",
        "active": "yes",
        "triggers": [{"type": "cron"}, {"type": "moon"}],
        "guardrails": {"request_limit": -1, "max_cost_dollars": "1", "timeout_seconds": 1e300},
        "input_schema": 5,
        "steps": [
            {"id": "1a", "type": "tool", "tool": "text.ecko", "tool_args": "$.a["},
            {"id": "b", "type": "teapot"},
            {"id": "b", "type": "agent", "agent": "text.echo", "next_step": "zz"},
            {"type": "condition", "condition": {"field": "$.nobody", "operator": "like"}},
            7
        ],
        "output": "$.b.x"
    });
    expect(
        &definition,
        &[
            "invalid_value /name",
            "invalid_type /active",
            "unknown_trigger_type /triggers/1/type",
            "invalid_guardrail /guardrails/request_limit",
            "invalid_guardrail /guardrails/max_cost_dollars",
            "invalid_guardrail /guardrails/timeout_seconds",
            "invalid_type /input_schema",
            "invalid_id /steps/0/id",
            "unknown_step_type /steps/1/type",
            "duplicate_id /steps/2/id",
            "missing_field /steps/3/id",
            "invalid_type /steps/4",
            "unknown_step /steps/2/next_step",
            "unknown_tool /steps/0/tool",
            "invalid_reference /steps/0/tool_args",
            "wrong_kind /steps/2/agent",
            "unknown_operator /steps/3/condition/operator",
            "unknown_field /colour",
        ],
    );
}

#[test]
fn jumps_stay_in_their_block() {
    let definition = workflow(json!([
        with(echo("a", ""), "next_step", json!("inner")),
        {"id": "l", "type": "loop", "loop_config": {"items_path": "$.input", "steps": [
            with(echo("inner", ""), "next_step", json!("a"))]}},
        {"id": "p", "type": "parallel", "parallel_steps": [
            with(echo("left", ""), "next_step", json!("right")),
            echo("right", "")]}
    ]));
    expect(
        &definition,
        &[
            "step_in_other_block /steps/0/next_step",
            "step_in_other_block /steps/1/loop_config/steps/0/next_step",
            "step_in_other_block /steps/2/parallel_steps/0/next_step",
        ],
    );
}

#[test]
fn steps_that_nothing_leads_to_are_warned_of() {
    let definition = workflow(json!([
        with(echo("a", ""), "next_step", json!("c")),
        echo("b", "$.a.x"),
        with(echo("c", "$.a.x"), "next_step", Value::Null),
        with(echo("d", "$.e.x"), "next_step", json!("e")),
        with(echo("e", "$.d.x"), "next_step", json!("d"))
    ]));
    expect(&definition, &["unreachable_step /steps/1", "unreachable_step /steps/3", "unreachable_step /steps/4"]);
}

#[test]
fn references_must_be_able_to_have_a_value() {
    let choose = |id: &str, then: Value, otherwise: Value| {
        json!({"id": id, "type": "condition",
            "condition": {"field": "$.input.x", "operator": "exists", "then_step": then, "else_step": otherwise}})
    };
    let definition = workflow(json!([
        echo("a", "$.later.x and $.a.x and $.inputs.x and $.nothing.like.it"),
        choose("c", json!("yes"), json!("no")),
        with(echo("yes", "$.a.x $.no.x"), "next_step", json!("later")),
        echo("no", "$.c.result"),
        with(echo("later", "$.yes.x $.a.x"), "tool_args", json!({"x": {"$path": "$.no.x", "default": 1}, "y": "$.yes.x"})),
        {"id": "l", "type": "loop", "loop_config": {"items_path": "$.later.x", "item_variable": "row", "steps": [
            echo("in1", "$.row $.loop_index $.in2.x"), echo("in2", "$.in1 $.l $.a")]}},
        echo("after", "$.l.results $.in1.x $.row $.loop_count"),
        {"id": "p", "type": "parallel", "parallel_steps": [
            [echo("p1", "$.after $.p3"), choose("p2", Value::Null, json!("p3")), echo("p3", "$.p1")], echo("p4", "$.p1")]},
        echo("end", "$.p.p1 $.p1 $.p4 $.p3")
    ]));
    let definition = with(definition, "output", json!({"a": "$.end", "b": "$.in1", "c": "$.no"}));
    let text = |n: usize| format!("/steps/{n}/tool_args/text");
    let never = |field: &str| format!("reference_never_available {field}");
    let maybe = |field: &str| format!("reference_maybe_unavailable {field}");
    let unknown = |field: &str| format!("unknown_reference {field}");
    let expected = [
        never(&text(0)),
        never(&text(0)),
        unknown(&text(0)),
        unknown(&text(0)),
        never(&text(2)),
        never("/steps/5/loop_config/steps/0/tool_args/text"),
        never("/steps/5/loop_config/steps/1/tool_args/text"),
        never(&text(6)),
        never(&text(6)),
        never(&text(6)),
        never("/steps/7/parallel_steps/0/0/tool_args/text"),
        never("/steps/7/parallel_steps/1/tool_args/text"),
        never("/output/b"),
        maybe("/steps/4/tool_args/y"),
        maybe(&text(8)),
        maybe("/output/c"),
    ];
    assert_eq!(problems(&definition), expected, "{:#?}", check(&definition, &Few).diagnostics);
}

#[test]
fn a_step_may_refer_to_what_ran_in_an_earlier_round() {
    let definition = workflow(json!([
        with(echo("draft", ""), "tool_args", json!({"old": {"$path": "$.review.x", "default": null}})),
        {"id": "review", "type": "human", "human_config": {
            "notification": "$.draft.x", "timeout_minutes": 1, "on_timeout": "skip",
            "options": [{"id": "again", "next_step": "draft"}, {"id": "ok"}]}},
        echo("send", "$.draft.x, $.review.comment")
    ]));
    expect(&definition, &["reference_maybe_unavailable /steps/2/tool_args/text"]);
}

#[test]
fn names_in_filters_are_checked_too() {
    let definition = workflow(json!([echo("a", "{{ $.input.rows[?@.id == $.nobody.id] }}")]));
    expect(&definition, &["unknown_reference /steps/0/tool_args/text"]);
}

#[test]
fn messages_help() {
    let definition = workflow(json!([
        {"id": "scrape_url", "type": "tool", "tool": "text.ecko", "next_step": "sumarize"},
        echo("summarize", "$.scrape-url.text")
    ]));
    let messages: Vec<String> = check(&definition, &Few).diagnostics.into_iter().map(|d| d.message).collect();
    insta::assert_debug_snapshot!(messages, @r#"
    [
        "no step has the id \"sumarize\": did you mean `summarize`?",
        "no plugin offers the tool `text.ecko`: did you mean `text.echo`?",
        "`$.scrape-url.text` refers to \"scrape-url\", which is no step and no other name: did you mean `scrape_url`?",
    ]
    "#);
    let json = serde_json::to_value(&check(&definition, &Few).diagnostics[0]).unwrap();
    assert_eq!(json["step_id"], "scrape_url");
    assert_eq!(json["severity"], "error");
}

#[test]
fn a_callers_guardrails_are_read_strictly() {
    let (limits, problems) = parse_guardrails(&json!({"tool_calls_limit": 3, "timeout_seconds": 0.25}), "/guardrails");
    assert_eq!(limits, Limits { tool_calls: Some(3), timeout_ms: Some(250), ..Limits::default() });
    assert_eq!(problems, []);
    for odd in [json!({"tool_call_limit": 3}), json!({"max_steps": 1.5}), json!([]), json!({"on_exceeded": "sleep"})] {
        let (_, problems) = parse_guardrails(&odd, "/guardrails");
        assert_eq!(problems.len(), 1, "{odd}");
        assert_eq!(problems[0].severity, Severity::Error);
        assert!(problems[0].field.starts_with("/guardrails"));
    }
}
