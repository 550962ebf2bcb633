//! Uses every power once, in the way that its input names, and answers what came of it.

use weir_guests::{
    Call, Failure, context, described, http, json_array,
    kv::{self, Space},
    model::Chat,
    order, tools,
};

type Outcome = Result<String, Failure>;

fn run(call: Call) -> Outcome {
    let told = match &*order(&call.input) {
        "budget" => budget(),
        "kv" => documents(),
        "chat" => chat(),
        "long chat" => long_chat(),
        "batch" => batch(),
        "everything" => everything(),
        _ => return Err(Failure::InvalidInput("no such way".to_owned())),
    };
    Ok(json_array(&told))
}

fn told_of(outcome: Outcome) -> String {
    outcome.unwrap_or_else(|failure| described(&failure))
}

fn budget() -> Vec<String> {
    let left = context::budget();
    let amounts = [
        left.requests,
        left.input_tokens,
        left.output_tokens,
        left.total_tokens,
        left.tool_calls,
        left.cost_microdollars,
    ];
    amounts.iter().map(|amount| format!("{amount:?}")).collect()
}

fn documents() -> Vec<String> {
    let space = Space::Plugin;
    let mut told = Vec::new();
    told.push(format!("{:?}", kv::get(space, "a")));
    told.push(format!("{:?}", kv::set(space, "a", "null")));
    told.push(format!("{:?}", kv::get(space, "a")));
    told.push(format!("{:?}", kv::get(Space::Workflow, "a")));
    told.push(format!("{:?}", kv::compare_and_set(space, "a", None, Some("2"))));
    told.push(format!("{:?}", kv::compare_and_set(space, "a", Some(" null "), Some("[2]"))));
    told.push(format!("{:?}", kv::get(space, "a")));
    told.push(format!("{:?}", kv::set(space, "ab", "{}")));
    told.push(format!("{:?}", kv::keys(space, "a", None)));
    told.push(format!("{:?}", kv::keys(space, "a", Some("a"))));
    told.push(format!("{:?}", kv::delete(space, "a")));
    told.push(format!("{:?}", kv::delete(space, "a")));
    told.push(told_kind(&kv::set(space, "a", "{")));
    told.push(told_kind(&kv::set(space, "a", &format!("\"{}\"", "x".repeat(64 << 10)))));
    told.push(told_kind(&kv::set(space, &"k".repeat(513), "1")));
    told
}

fn told_kind<T>(result: &Result<T, Failure>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(failure) => described(failure).split(':').next().unwrap_or_default().to_owned(),
    }
}

fn chat() -> Vec<String> {
    let chat = Chat::new(r#"{"model":"fast"}"#);
    let mut told = vec![format!("{:?}", chat.push(r#"{"role":"user","content":"hello"}"#))];
    told.push(told_kind(&chat.push("[]")));
    told.push(told_kind(&chat.push("{")));
    told.push(told_of(chat.send()));
    told.push(format!("{:?}", chat.push(r#"{"role":"tool","tool_call_id":"1","content":"done"}"#)));
    told.push(told_of(chat.send()));
    told.push(told_kind(&Chat::new("nothing").send()));
    told
}

/// Fills one conversation with messages, and another one with bytes.
fn long_chat() -> Vec<String> {
    let many = Chat::new("{}");
    let taken = (0..2_100).take_while(|_| many.push("{}").is_ok()).count();
    drop(many);
    let large = Chat::new("{}");
    let message = format!("{{\"content\":\"{}\"}}", "x".repeat(1 << 20));
    let bytes = (0..20).take_while(|_| large.push(&message).is_ok()).count();
    let other = Chat::new("{}");
    let beside = told_kind(&other.push(&message));
    drop(large);
    vec![taken.to_string(), bytes.to_string(), beside, told_kind(&other.push(&message))]
}

fn batch() -> Vec<String> {
    let call = |input: &str| tools::ToolCall { tool: "echo.run".to_owned(), input: input.to_owned() };
    let mut told: Vec<String> =
        tools::call_all(&[call("1"), call("{"), call("3"), call("[4]")]).into_iter().map(told_of).collect();
    let many: Vec<_> = (0..65).map(|_| call("1")).collect();
    let refused = tools::call_all(&many);
    told.push(format!("{} {}", refused.len(), told_kind(&refused[64])));
    told.push(tools::call_all(&[]).len().to_string());
    told
}

/// One of each.
fn everything() -> Vec<String> {
    let request = http::Request {
        method: "GET".to_owned(),
        url: "http://127.0.0.1/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: None,
    };
    vec![
        told_kind(&http::send(&request)),
        told_kind(&kv::get(Space::Plugin, "a")),
        told_kind(&Chat::new("{}").send()),
        told_kind(&tools::call("echo.run", "1")),
        told_kind(&tools::call_all(&[tools::ToolCall { tool: "echo.run".to_owned(), input: "1".to_owned() }])[0]),
        tools::list(),
    ]
}

weir_guests::guest!("h10_powers", run, r#"{"kv":true}"#);
