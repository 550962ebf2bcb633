//! Tests of the SDK through its public face: a plugin as an author would write it.

use std::path::Path;
use weir_sdk::prelude::*;
use weir_sdk::testing::{Host, describe};

/// What to repeat.
#[derive(Deserialize, JsonSchema)]
struct RepeatInput {
    /// The lines.
    lines: Vec<Line>,
}

#[derive(Deserialize, JsonSchema)]
struct Line {
    text: String,
    #[serde(default = "once")]
    times: u8,
}

fn once() -> u8 {
    1
}

#[derive(Deserialize, JsonSchema)]
struct RepeatConfig {
    #[serde(default)]
    shout: bool,
}

#[derive(Serialize, JsonSchema)]
struct RepeatOutput {
    text: String,
    attempt: u32,
}

/// Repeats lines.
///
/// As often as each says.
#[tool(idempotent, read_only, timeout_ms = 500, memory_bytes = 1_000_000)]
fn repeat(input: RepeatInput, call: &Call, config: RepeatConfig) -> Result<RepeatOutput> {
    log::info(format!("{} lines", input.lines.len()));
    let text: String = input.lines.iter().map(|line| line.text.repeat(line.times.into())).collect();
    Ok(RepeatOutput { text: if config.shout { text.to_uppercase() } else { text }, attempt: call.attempt })
}

/// Reads a number.
#[tool]
fn number(text: String) -> Result<i32> {
    Ok(text.parse::<i32>()?)
}

/// Where it runs.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Place {
    execution: String,
    step: String,
    remaining_ms: u64,
    tools: Vec<String>,
}

/// Looks around.
#[agent(title = "Look around", tools("other.tool"))]
fn look(input: Value) -> Result<Place> {
    let _: Value = tools::call("other.tool", &input)?;
    Ok(Place {
        execution: context::execution_id(),
        step: context::step_path(),
        remaining_ms: context::remaining_ms(),
        tools: tools::list()?.into_iter().map(|tool| tool.name).collect(),
    })
}

weir_sdk::plugin! { name: "sample", title: "Sample", description: "For tests", tools: [repeat, number], agents: [look] }

#[test]
fn the_descriptor_says_everything() {
    let descriptor = describe::<Plugin>();
    assert_eq!(descriptor["name"], json!("sample"));
    assert_eq!(descriptor["version"], json!(env!("CARGO_PKG_VERSION")));
    let line = json!({
        "type": "object",
        "properties": {
            "text": { "type": "string" },
            "times": { "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255, "default": 1 },
        },
        "required": ["text"],
    });
    let expected = json!({
        "name": "repeat",
        "title": "Repeats lines",
        "description": "Repeats lines.\n\nAs often as each says.",
        "config_schema": { "type": "object", "properties": { "shout": { "type": "boolean", "default": false } } },
        "input_schema": {
            "description": "What to repeat.",
            "type": "object",
            "properties": { "lines": { "description": "The lines.", "type": "array", "items": { "$ref": "#/$defs/Line" } } },
            "required": ["lines"],
            "$defs": { "Line": line },
        },
        "output_schema": {
            "type": "object",
            "properties": {
                "text": { "type": "string" },
                "attempt": { "type": "integer", "format": "uint32", "minimum": 0 },
            },
            "required": ["text", "attempt"],
        },
        "idempotent": true,
        "read_only": true,
        "limits": { "timeout_ms": 500, "memory_bytes": 1_000_000 },
    });
    assert_eq!(descriptor["tools"][0], expected);
    let number = &descriptor["tools"][1];
    assert_eq!((number.get("limits"), number.get("config_schema")), (None, None));
    assert_eq!((&number["idempotent"], &number["read_only"]), (&json!(false), &json!(false)));
    let look = &descriptor["agents"][0];
    assert_eq!((&look["title"], &look["tools"]), (&json!("Look around"), &json!(["other.tool"])));
}

#[test]
fn config_and_call_reach_the_function() {
    let host = Host::new().config(json!({ "shout": true })).attempt(2);
    let ran = host.call::<Plugin>("repeat", &json!({ "lines": [{ "text": "ha", "times": 3 }, { "text": "!" }] }));
    assert_eq!(ran.result, Ok(json!({ "text": "HAHAHA!", "attempt": 2 })));
    assert_eq!(ran.logs[0].message, "2 lines");
}

#[test]
fn bad_input_names_its_place() {
    let fails = |name: &str, input: Value| Host::new().call::<Plugin>(name, &input).result.unwrap_err();
    let cases = [
        (json!({}), "input: missing field `lines`"),
        (json!({ "lines": [{ "text": "a" }, { "times": 1 }] }), "input.lines[1]: missing field `text`"),
        (json!({ "lines": [{ "text": 7 }] }), "input.lines[0].text: invalid type: integer `7`, expected a string"),
        (json!(null), "input: invalid type: null, expected struct RepeatInput"),
    ];
    for (input, message) in cases {
        assert_eq!(fails("repeat", input), Failure::invalid_input(message));
    }
    assert_eq!(fails("nobody", json!(0)), Failure::invalid_input("plugin \"sample\" offers no \"nobody\""));
    let wrong_config = Host::new().config(json!({ "shout": 1 })).call::<Plugin>("repeat", &json!({ "lines": [] }));
    assert!(wrong_config.result.unwrap_err().message().starts_with("config.shout: "));
}

#[test]
fn any_error_is_a_failure() {
    let ran = Host::new().call::<Plugin>("number", &json!("seven"));
    assert_eq!(ran.result, Err(Failure::failed("invalid digit found in string")));
}

#[test]
fn agents_see_the_host() {
    let host = Host::new().tool("other.tool", Ok).execution_id("e1").step_path("loop[3].look").remaining_ms(5);
    let ran = host.run(|| look(json!({ "a": 1 })));
    let tools = vec!["other.tool".to_owned()];
    let place = Place { execution: "e1".into(), step: "loop[3].look".into(), remaining_ms: 5, tools };
    assert_eq!(ran.result, Ok(place));
    assert_eq!(ran.calls[0].input, json!({ "a": 1 }));
    let denied = Host::new().run(|| look(json!(0))).result;
    assert_eq!(denied.unwrap_err().code(), "denied");
}

#[test]
fn a_tool_may_be_a_plugin_of_its_own() {
    let host = Host::new().plugin::<Plugin>();
    let ran = host.run(|| tools::call::<_, i32>("sample.number", "12"));
    assert_eq!(ran.result, Ok(12));
    let wrong = host.run(|| tools::call::<_, String>("sample.number", "12"));
    assert!(wrong.result.unwrap_err().message().contains("could not read the answer of tool \"sample.number\""));
}

#[test]
fn the_wit_in_the_package_is_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).unwrap();
    let same = read("wit/plugin.wit") == read("../../wit/0.1/plugin.wit");
    assert!(same, "copy wit/0.1/plugin.wit to sdk/rust/wit");
}
