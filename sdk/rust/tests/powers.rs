//! Tests of what the SDK reaches through the host: models, tools, the web, documents, and what is left to spend.

use weir_sdk::context::Budget;
use weir_sdk::kv::Space;
use weir_sdk::model::{Answer, Chat, Stop, Usage};
use weir_sdk::prelude::*;
use weir_sdk::testing::{Host, describe};

#[derive(Deserialize, JsonSchema)]
struct Question {
    question: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Reply {
    reply: String,
    sure: bool,
}

/// Answers a question.
#[agent]
fn answer(input: Question) -> Result<Reply> {
    let mut chat = Chat::new("fast")
        .system("Be brief.")
        .tools(["math.add"])
        .output_schema::<Reply>()
        .max_tokens(100)
        .temperature(0.0)
        .top_p(0.5)
        .stop(["END"])
        .seed(7);
    chat.push_user(input.question);
    let mut answer = chat.send()?;
    while answer.stop == Stop::ToolCalls {
        let calls = answer.tool_calls.iter().map(|call| (call.tool.as_str(), &call.input));
        let results: Vec<Result<Value>> = tools::call_all(calls);
        for (call, result) in answer.tool_calls.iter().zip(results) {
            chat.push_tool_result(&call.id, result.unwrap_or_else(|failure| failure.to_string().into()).to_string());
        }
        answer = chat.send()?;
    }
    answer.json()
}

weir_sdk::plugin! {
    name: "powers",
    description: "For tests",
    agents: [answer],
    asks: {
        hosts: ["api.example.com", { host: "*.example.org:8443", methods: ["GET", "POST"] }],
        models: ["fast", "*"],
        tools: ["math.add"],
        secrets: ["api_key"],
        kv: { bytes: 4_096 },
    },
}

#[test]
fn the_descriptor_says_what_is_asked_for() {
    let expected = json!({
        "hosts": ["api.example.com", { "host": "*.example.org:8443", "methods": ["GET", "POST"] }],
        "models": ["fast", "*"],
        "tools": ["math.add"],
        "secrets": ["api_key"],
        "kv": { "bytes": 4096 },
    });
    assert_eq!(describe::<Plugin>()["asks"], expected);
}

#[test]
fn a_plugin_that_asks_for_nothing_says_so() {
    mod plain {
        use weir_sdk::prelude::*;

        /// Does nothing.
        #[tool]
        fn nothing(_: Value) -> Result<()> {
            Ok(())
        }
        weir_sdk::plugin! { name: "plain", tools: [nothing] }
    }
    assert_eq!(describe::<plain::Plugin>()["asks"], json!({}));
}

#[test]
fn an_agent_talks_to_a_model_and_calls_tools() {
    let asks = Answer::of_tool("math.add", json!([1, 2])).and_tool("math.add", json!("x"));
    let host =
        Host::new().answers([asks, Answer::of_text(r#"{"reply": "3", "sure": true}"#)]).tool("math.add", |input| {
            match input.as_array() {
                Some(numbers) => Ok(numbers.iter().filter_map(Value::as_i64).sum::<i64>().into()),
                None => Err(Failure::invalid_input("no numbers")),
            }
        });
    let ran = host.call::<Plugin>("answer", &json!({ "question": "1 + 2?" }));
    assert_eq!(ran.result, Ok(json!({ "reply": "3", "sure": true })));
    assert_eq!((ran.turns.len(), ran.calls.len()), (2, 2));
    let options = &ran.turns[0].turn.options;
    assert_eq!(options["output_schema"]["required"], json!(["reply", "sure"]));
    let rest = json!({ "model": "fast", "system": "Be brief.", "tools": ["math.add"], "max_tokens": 100,
        "temperature": 0.0, "top_p": 0.5, "stop": ["END"], "seed": 7, "output_schema": options["output_schema"] });
    assert_eq!(*options, rest);
    let last = &ran.turns[1].turn.messages;
    assert_eq!(last[0], json!({ "role": "user", "content": "1 + 2?" }));
    assert_eq!(last[1]["tool_calls"][0]["tool"], json!("math.add"));
    assert_eq!(last[2], json!({ "role": "tool", "tool_call_id": "math.add-0", "content": "3" }));
    assert_eq!(last[3]["content"], json!("\"invalid_input: no numbers\""));
}

#[test]
fn a_model_that_is_not_granted_or_answers_nonsense_fails() {
    let ask = |host: Host| host.call::<Plugin>("answer", &json!({ "question": "?" })).result.unwrap_err();
    assert_eq!(ask(Host::new()).code(), "denied");
    assert_eq!(ask(Host::new().answers([])).code(), "unavailable");
    let failure = ask(Host::new().answers([Answer::of_text("well")]));
    assert_eq!(failure.code(), "failed");
    assert!(failure.message().starts_with("could not read the model's answer: "), "{failure}");
}

#[test]
fn options_are_set_before_the_first_request() {
    let ran = Host::new().answers([Answer::default(), Answer::default()]).run(|| {
        let mut chat = Chat::new("fast");
        chat.push_user("a");
        chat.send()?;
        let mut chat = chat.seed(1);
        chat.push_user("b");
        chat.send()
    });
    assert!(ran.result.unwrap_err().message().contains("\"seed\" of a chat was set after its first request"));
}

#[test]
fn what_is_left_shrinks_with_what_is_spent() {
    let usage =
        Usage { input_tokens: Some(10), output_tokens: Some(5), cost_microdollars: Some(7), ..Usage::default() };
    let given = Budget { requests: Some(2), total_tokens: Some(20), cost_microdollars: Some(5), ..Budget::default() };
    let host = Host::new().model(move |_| Ok(Answer { usage, ..Answer::default() })).budget(given);
    let ran = host.run(|| {
        let before = context::budget();
        Chat::new("fast").send()?;
        Ok::<_, Failure>((before, context::budget()))
    });
    let left = Budget { requests: Some(1), total_tokens: Some(5), cost_microdollars: Some(0), ..Budget::default() };
    assert_eq!(ran.result, Ok((given, left)));
}

#[test]
fn requests_and_answers_keep_their_shape() {
    let host = Host::new().http(|request| match request.method.as_str() {
        "GET" => Ok(http::Response::of(503, "text/plain", "busy")),
        _ => Ok(http::Response::of_json(201, &json!({ "id": 4 }))),
    });
    let ran = host.run(|| {
        let made = http::post_json("https://a.example/", &json!([1]))?.header("x", "y").timeout_ms(50).send()?;
        assert_eq!((made.header("Content-Type"), made.is_success()), (Some("application/json"), true));
        assert!(
            made.json::<Vec<u8>>().unwrap_err().message().contains("could not read the answer of https://a.example/")
        );
        Ok::<_, Failure>((made.json::<Value>()?, http::get("https://b.example/").send()?.success().unwrap_err()))
    });
    let (made, busy) = ran.result.unwrap();
    assert_eq!(made, json!({ "id": 4 }));
    assert_eq!(busy, Failure::unavailable("https://b.example/ answered 503: busy"));
    let sent = &ran.requests[0];
    assert_eq!((sent.body.as_slice(), sent.timeout_ms), (b"[1]".as_slice(), Some(50)));
    assert_eq!(sent.headers, [("content-type".into(), "application/json".into()), ("x".into(), "y".into())]);
    assert_eq!(http::secret("k"), "{{secret:k}}");
    let denied = Host::new().run(|| http::get("https://a.example/").send());
    assert_eq!(denied.result.unwrap_err().code(), "denied");
}

#[test]
fn documents_stay_and_are_compared() {
    let host = Host::new().document(Space::Plugin, "n", &json!(1));
    let ran = host.run(|| {
        assert!(!kv::compare_and_set(Space::Plugin, "n", Some(&2), Some(&3))?);
        assert!(kv::compare_and_set(Space::Plugin, "n", Some(&1), Some(&3))?);
        assert_eq!(kv::update(Space::Plugin, "n", |n: Option<i32>| n.map(|n| n + 1))?, Some(4));
        assert!(kv::get::<String>(Space::Plugin, "n").unwrap_err().message().contains("document \"n\""));
        kv::set(Space::Workflow, "a/1", "x")?;
        kv::set(Space::Workflow, "a/2", "y")?;
        kv::set(Space::Workflow, "b", "z")?;
        assert_eq!(kv::keys(Space::Workflow, "a/", None)?, ["a/1", "a/2"]);
        assert_eq!(kv::keys(Space::Workflow, "a/", Some("a/1"))?, ["a/2"]);
        assert!(kv::delete(Space::Workflow, "b")? && !kv::delete(Space::Workflow, "b")?);
        kv::get::<i32>(Space::Workflow, "n")
    });
    assert_eq!(ran.result, Ok(None));
    assert_eq!(host.run(|| kv::get(Space::Plugin, "n")).result, Ok(Some(4)));
    assert_eq!(host.documents(Space::Workflow).into_values().collect::<Vec<_>>(), [json!("x"), json!("y")]);
}
