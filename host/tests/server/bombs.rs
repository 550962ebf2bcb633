//! A8: texts that are small to send and could cost much to read: references, schedules, schemas, patterns. Each is refused
//! within a moment, and what is taken costs little to apply.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::support::{Answer, TestHost, quick};

/// How long an answer may take; a host that is compiled for debugging is many times slower.
const ANSWER_WITHIN: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(2) } else { Duration::from_millis(100) };

/// References that are no good, or that would cost too much.
fn references() -> Vec<String> {
    let nested = |open: &str, middle: &str, close: &str, depth: usize| {
        format!("$.input[?{}{middle}{}]", open.repeat(depth), close.repeat(depth))
    };
    vec![
        nested("(", "@.a", ")", 1_000),
        nested("(", "@.a", ")", 100),
        nested("@[?", "@.a", "]", 100),
        nested("@[?", "@.a", "]", 1_000),
        nested("$..[?", "@.a", "]", 60),
        nested("count(", "@.*", ")", 60),
        nested("!(", "@.a", ")", 100),
        nested("!", "@.a", "", 400),
        nested("@.a&&(", "@.a", ")", 60),
        "$.input[".repeat(60),
        "$.input..*..*".to_owned(),
        format!("$.input{}", "..*".repeat(100)),
        "$.input[?search(@.a, '(a+)+$')]".to_owned(),
        "$.input[?match(@, '((a{1000}){1000}){1000}')]".to_owned(),
        "$.input[99999999999999999999999]".to_owned(),
        format!("$.input[{}]", "9".repeat(500)),
        format!("$.input['{}", "\\".repeat(400)),
        format!("$.input[?@.a == {}1]", "-".repeat(400)),
        format!("$.{}", "a".repeat(100_000)),
        format!("$.input{}", ".a".repeat(100_000)),
    ]
}

/// Schedules that are no good, or that name no instant.
fn schedules() -> Vec<String> {
    let mut all: Vec<String> = [
        ", * * * *",
        "* , * * *",
        ",,,,, * * * *",
        "*/0 * * * *",
        "0-59/0 * * * *",
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "59-0 * * * *",
        "99999999999999999999 * * * *",
        "-1 * * * *",
        "1--2 * * * *",
        "*/99999999999999999999 * * * *",
        "1.5 * * * *",
        "@every 1ns",
        "\u{661} * * * *",
        "",
    ]
    .map(str::to_owned)
    .into();
    all.push("* ".repeat(30_000));
    all.push(format!("{}0 * * * *", "1,".repeat(100_000)));
    all.push(format!("{}0 * * * *", "0-59/1,".repeat(50_000)));
    all.push(format!("{} * * * *", "9".repeat(100_000)));
    all.push(format!("0 0 {} * *", "L".repeat(100_000)));
    all
}

/// Definitions where each refers to the next twice, by what `reference` makes of the next one's name.
fn doubled(reference: impl Fn(&str) -> Value, part: impl Fn(&str, Value) -> Value) -> Map<String, Value> {
    let mut all = Map::new();
    for n in 0..26 {
        let next = reference(&format!("d{}", n + 1));
        let name = format!("d{n}");
        let content = part(&name, json!({ "allOf": [next, next] }));
        all.insert(name, content);
    }
    all.insert("d26".to_owned(), part("d26", json!({ "type": "string" })));
    all
}

/// Schemas that grow, lead away, or hold patterns that cost too much.
fn schemas() -> Vec<Value> {
    let by_pointer = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    let in_disguise = |name: &str| json!({ "$ref": format!("#/%24defs/{name}") });
    let by_anchor = |name: &str| json!({ "$ref": format!("#{name}") });
    let by_dynamic_anchor = |name: &str| json!({ "$dynamicRef": format!("#{name}") });
    let with = |keyword: &'static str| {
        move |name: &str, mut part: Value| {
            part[keyword] = json!(name);
            part
        }
    };
    let as_it_is = |_: &str, part: Value| part;
    let mut deep = json!({});
    for _ in 0..50 {
        deep = json!({ "not": deep });
    }
    let left_over = (0..20).fold(json!({}), |part, _| json!({ "unevaluatedItems": false, "anyOf": [part] }));
    let patterns: Map<String, Value> = (0..1_000).map(|n| (format!("\\w{{90}}{n}"), json!({}))).collect();
    let mut all = vec![
        json!({ "$ref": "#/$defs/d0", "$defs": doubled(by_pointer, as_it_is) }),
        json!({ "$ref": "#/$defs/d0", "$defs": doubled(in_disguise, as_it_is) }),
        json!({ "$ref": "#d0", "$defs": doubled(by_anchor, with("$anchor")) }),
        json!({ "$dynamicRef": "#d0", "$defs": doubled(by_dynamic_anchor, with("$dynamicAnchor")) }),
        deep,
        json!({ "patternProperties": patterns }),
        json!({ "enum": vec!["x"; 30_000] }),
        left_over,
    ];
    for away in ["http://127.0.0.1:1/x", "file:///etc/passwd", "//127.0.0.1/x", "other.json", "urn:x:y", "data:,{}"] {
        all.push(json!({ "$ref": away }));
        all.push(json!({ "properties": { "a": { "$dynamicRef": away } } }));
        all.push(json!({ "$schema": away }));
        all.push(json!({ "$id": away }));
    }
    for pattern in ["((a{1000}){1000}){1000}", "(?=a)b", "(a)\\1", "(?<=a)b", "((((", "[", "\\w{100000}", "(?P<n>a"] {
        all.push(json!({ "pattern": pattern }));
        all.push(json!({ "patternProperties": { pattern: true } }));
    }
    all
}

fn asking_for(form: &Value) -> Value {
    let human = json!({ "notification": "go on?", "options": [{ "id": "yes" }], "form_schema": form });
    json!({ "name": "bomb", "steps": [{ "id": "ask", "type": "human", "human_config": human }] })
}

/// Every place where one of those texts can stand.
fn definitions() -> Vec<Value> {
    let mut all = Vec::new();
    for reference in references() {
        let mut output = quick("bomb");
        output["output"] = json!({ "seen": reference });
        let test = json!({ "field": reference, "operator": "exists" });
        let condition = json!({ "name": "bomb", "steps": [{ "id": "a", "type": "condition", "condition": test }] });
        all.extend([output, condition]);
    }
    for schedule in schedules() {
        let mut definition = quick("bomb");
        definition["trigger"] = json!({ "type": "cron", "config": { "schedule": schedule } });
        all.push(definition);
    }
    for schema in schemas() {
        let mut definition = quick("bomb");
        definition["input_schema"] = schema.clone();
        all.extend([definition, asking_for(&schema)]);
    }
    all
}

/// Posts, and sees that the answer comes in time.
async fn post_in_time(host: &TestHost, path: &str, body: &Value) -> Answer {
    let began = Instant::now();
    let answer = host.post(path, body).await;
    let took = began.elapsed();
    assert!(took < ANSWER_WITHIN, "{took:?} for {:.300}: {:.300}", body.to_string(), answer.body);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_bombs_are_refused_in_a_moment() {
    let host = TestHost::start().await;
    let mut taken = Vec::new();
    for definition in definitions() {
        let answer = post_in_time(&host, "/api/workflows/validate", &definition).await;
        if answer.status == 200 && answer.json()["valid"] == true {
            taken.push(format!("{:.400}", definition.to_string()));
        }
        let answer = post_in_time(&host, "/api/workflows", &definition).await;
        if [400, 422].contains(&answer.status) {
            answer.assert_problem();
        } else {
            taken.push(format!("{}: {:.400}", answer.status, definition.to_string()));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    assert_eq!(host.get("/healthz").await.status, 200);
    host.running.stop().await;
}

/// Patterns that are poison to engines that try again and again are matched in linear time.
#[tokio::test(flavor = "multi_thread")]
async fn a8_patterns_that_are_taken_cost_little() {
    let host = TestHost::start().await;
    for (n, pattern) in ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "^([a-zA-Z]+)*$", "^(.*a){20}$"].into_iter().enumerate() {
        let mut definition = quick(&format!("patient{n}"));
        definition["input_schema"] = json!({ "properties": { "a": { "pattern": pattern } } });
        host.save(definition).await;
        let input = json!({ "input_data": { "a": "a".repeat(30_000) + "!" } });
        let answer = post_in_time(&host, &format!("/api/workflows/patient{n}/execute"), &input).await;
        assert_eq!(answer.status, 422, "{pattern}: {answer:?}");
    }
    host.running.stop().await;
}

/// A schema that refers to itself is applied once for each level of a value, or far more often.
#[tokio::test(flavor = "multi_thread")]
async fn a8_values_that_would_take_long_to_check_are_refused() {
    let host = TestHost::start().await;
    let items = json!({ "items": { "$ref": "#/$defs/n" } });
    let schemas = [
        (json!({ "$ref": "#" }), 202),
        (json!({ "allOf": [{ "$ref": "#" }, { "not": { "not": { "$ref": "#" } } }] }), 202),
        (json!({ "properties": { "a": { "$ref": "#/$defs/n" } }, "$defs": { "n": items } }), 202),
        (json!({ "properties": { "a": { "$ref": "#/$defs/n" } }, "$defs": { "n": { "allOf": [items, items] } } }), 422),
        (json!({ "properties": { "a": { "$ref": "#/$defs/n" } }, "$defs": { "n": { "oneOf": [items, items] } } }), 422),
    ];
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    for (n, (schema, status)) in schemas.into_iter().enumerate() {
        let mut definition = quick(&format!("recursive{n}"));
        definition["input_schema"] = schema.clone();
        host.save(definition).await;
        let input = json!({ "input_data": { "a": deep } });
        let answer = post_in_time(&host, &format!("/api/workflows/recursive{n}/execute"), &input).await;
        assert_eq!(answer.status, status, "{schema}: {answer:?}");
    }
    host.running.stop().await;
}
