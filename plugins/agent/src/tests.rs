use super::*;
use weir_sdk::context::Budget;
use weir_sdk::model::{Answer, Stop, Usage};
use weir_sdk::testing::{Host, Ran, describe};

fn host(config: Value) -> Host {
    let adds = |input: Value| match input.as_array() {
        Some(numbers) => Ok(numbers.iter().filter_map(Value::as_i64).sum::<i64>().into()),
        None => Err(Failure::invalid_input("give a list of numbers")),
    };
    Host::new().config(config).tool("math.add", adds).tool("math.long", |_| Ok("x".repeat(100_000).into()))
}

fn run(host: &Host, input: Value) -> Ran<Result<Value>> {
    host.call::<Plugin>("agent", &input)
}

fn text(text: &str) -> Answer {
    Answer::of_text(text)
}

fn add(input: Value) -> Answer {
    Answer::of_tool("math.add", input)
}

/// What the model was told in a turn, the last message.
fn said(ran: &Ran<Result<Value>>, turn: usize) -> &str {
    ran.turns[turn].turn.last_text()
}

#[test]
fn a_text_answer_has_both_names() {
    let ran = run(
        &host(json!({ "system": "Be kind.", "temperature": 0.5, "max_tokens": 9 })).answers([text("Hi")]),
        json!("Hello"),
    );
    assert_eq!(ran.result, Ok(json!({ "result": "Hi", "content": "Hi" })));
    let turn = &ran.turns[0].turn;
    let options = json!({ "model": "default", "system": "Be kind.", "tools": ["math.add", "math.long"], "temperature": 0.5, "max_tokens": 9 });
    assert_eq!((&turn.options, turn.last_text()), (&options, "Hello"));
}

#[test]
fn a_task_may_be_a_document() {
    let ran = run(&host(json!({ "model": "fast", "tools": [] })).answers([text("4")]), json!({ "sum": [2, 2] }));
    assert_eq!(ran.turns[0].turn.last_text(), "{\"sum\":[2,2]}");
    assert_eq!(ran.turns[0].turn.options, json!({ "model": "fast" }));
    for nothing in [json!(null), json!(" ")] {
        assert_eq!(run(&host(json!({})), nothing).result.unwrap_err().code(), "invalid_input");
    }
}

#[test]
fn tools_are_called_together_and_failures_are_told() {
    let both = add(json!([1, 2])).and_tool("math.add", json!("one")).and_tool("math.mul", json!([2, 2]));
    let ran = run(&host(json!({})).answers([both, text("3")]), json!("Add"));
    assert_eq!(ran.result.as_ref().unwrap()["result"], json!("3"));
    assert_eq!(ran.calls.len(), 2);
    let told: Vec<&str> = ran.turns[1].turn.messages[2..].iter().filter_map(|m| m["content"].as_str()).collect();
    let wrong = r#"{"error":{"code":"invalid_input","message":"give a list of numbers"}}"#;
    assert_eq!(told[..2], ["3", wrong]);
    assert!(told[2].contains("there is no tool \\\"math.mul\\\"; there are: math.add, math.long"), "{}", told[2]);
    assert_eq!(ran.turns[1].turn.messages[4]["tool_call_id"], json!("math.mul-2"));
}

#[test]
fn long_tool_answers_are_shortened() {
    let ran = run(&host(json!({})).answers([Answer::of_tool("math.long", json!({})), text("ok")]), json!("Go"));
    let told = said(&ran, 1);
    assert!(told.len() < 41_000 && told.ends_with("(the rest of 100000 bytes is left out)"), "{}", told.len());
}

#[test]
fn the_step_lists_the_tools() {
    let listed = host(json!({ "tools": ["math.add", { "tool": "math.long", "approval": "required" }] }));
    let ran = run(&listed.answers([text("ok")]), json!("Go"));
    assert_eq!(ran.turns[0].turn.options["tools"], json!(["math.add", "math.long"]));
    let agent = host(json!({ "tools": [{ "agent": "math.add", "guardrails": { "request_limit": 2 } }] }));
    assert_eq!(run(&agent.answers([text("ok")]), json!("Go")).turns[0].turn.options["tools"], json!(["math.add"]));
    let ran = run(&host(json!({ "tools": ["math.mul"] })), json!("Go"));
    let failure = ran.result.unwrap_err();
    assert_eq!((failure.code(), ran.turns.len()), ("denied", 0));
    assert!(failure.message().contains("math.mul; it may use: math.add, math.long"), "{failure}");
}

#[test]
fn answers_fit_their_schema_or_are_asked_for_again() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    let config = json!({ "output_schema": schema, "system": "Count." });
    let ran =
        run(&host(config.clone()).answers([text("one"), text("{\"n\": \"1\"}"), text("{\"n\": 1}")]), json!("Go"));
    assert_eq!(ran.result, Ok(json!({ "n": 1 })));
    assert!(said(&ran, 1).contains("not one JSON document"), "{}", said(&ran, 1));
    assert!(said(&ran, 2).contains("at \"/n\""), "{}", said(&ran, 2));
    let options = &ran.turns[0].turn.options;
    assert_eq!(options["output_schema"], schema);
    assert!(options["system"].as_str().unwrap().starts_with("Count.\n\nYour final answer is one JSON document"));

    let wrong = host(config.clone()).model(|_| Ok(text("{}")));
    let ran = run(&wrong, json!("Go"));
    let failure = ran.result.unwrap_err();
    assert_eq!((failure.code(), ran.turns.len()), ("invalid_answer", 3));
    assert!(failure.message().contains("\"n\" is a required property"), "{failure}");

    let one_request = wrong.budget(Budget { requests: Some(1), ..Budget::default() });
    let ran = run(&one_request, json!("Go"));
    assert_eq!((ran.result.unwrap_err().code(), ran.turns.len()), ("invalid_answer", 1));
    assert_eq!(
        run(&host(json!({ "output_schema": { "type": 7 } })), json!("Go")).result.unwrap_err().code(),
        "invalid_input"
    );
}

#[test]
fn turns_end() {
    let endless = |config: Value| run(&host(config).model(|_| Ok(add(json!([1])))), json!("Go"));
    let ran = endless(json!({ "max_turns": 3 }));
    let failure = ran.result.as_ref().unwrap_err();
    assert_eq!((failure.code(), ran.turns.len(), ran.calls.len()), ("max_turns", 3, 2));
    assert!(said(&ran, 2).starts_with("This is your last turn"));
    assert!(!said(&ran, 1).starts_with("This is your last turn"));
    for turns in [0, 201] {
        assert_eq!(endless(json!({ "max_turns": turns })).result.unwrap_err().code(), "invalid_input");
    }
    assert_eq!(endless(json!({})).turns.len(), 20);
}

#[test]
fn a_nearly_empty_purse_ends_with_what_there_is() {
    let usage = Usage { input_tokens: Some(100), output_tokens: Some(50), ..Usage::default() };
    let model = host(json!({})).model(move |turn| {
        let answer =
            if turn.last_text().starts_with("This is your last turn") { text("what I have") } else { add(json!([1])) };
        Ok(Answer { usage, ..answer })
    });
    for budget in [
        Budget { requests: Some(3), ..Budget::default() },
        Budget { total_tokens: Some(700), ..Budget::default() },
        Budget { output_tokens: Some(220), ..Budget::default() },
    ] {
        let ran = run(&model.clone().budget(budget), json!("Go"));
        assert_eq!(ran.result, Ok(json!({ "result": "what I have", "content": "what I have" })));
        assert_eq!(ran.turns.len(), 3, "{budget:?}");
    }
}

#[test]
fn a_batch_takes_no_more_calls_than_are_left() {
    let three = add(json!([1])).and_tool("math.add", json!([2])).and_tool("math.add", json!([3]));
    let few = host(json!({})).answers([three, text("ok")]).budget(Budget { tool_calls: Some(2), ..Budget::default() });
    let ran = run(&few, json!("Go"));
    assert_eq!((ran.result.is_ok(), ran.calls.len()), (true, 2));
    assert!(said(&ran, 1).contains("no tool calls are left"), "{}", said(&ran, 1));
}

#[test]
fn refusals_and_cut_answers_are_failures() {
    let with = |stop: Stop, config: Value| {
        let answer = Answer { stop, ..text("I cannot") };
        run(&host(config).answers([answer]), json!("Go")).result.unwrap_err()
    };
    let refused = with(Stop::Refusal, json!({}));
    assert_eq!((refused.code(), refused.message()), ("refused", "the model refused: I cannot"));
    assert_eq!(with(Stop::MaxTokens, json!({})).code(), "cut_off");
    assert_eq!(with(Stop::MaxTokens, json!({ "output_schema": {} })).code(), "cut_off");
    let calling = Answer { stop: Stop::MaxTokens, ..add(json!([1])) };
    let ran = run(&host(json!({})).answers([calling]), json!("Go"));
    assert_eq!((ran.result.unwrap_err().code(), ran.calls.len()), ("cut_off", 0));
}

#[test]
fn a_model_that_fails_fails_the_agent() {
    let ran = run(&host(json!({})).model(|_| Err(Failure::unavailable("try later"))), json!("Go"));
    assert_eq!(ran.result, Err(Failure::unavailable("try later")));
}

#[test]
fn the_descriptor_asks_for_models_alone() {
    let descriptor = describe::<Plugin>();
    assert_eq!((&descriptor["name"], &descriptor["asks"]), (&json!("agent"), &json!({ "models": ["*"] })));
    assert_eq!(descriptor["agents"][0]["name"], json!("agent"));
    assert_eq!(descriptor["agents"][0]["tools"], json!([]));
}
