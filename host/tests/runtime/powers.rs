//! What a call may ask its host for, and how that passes between them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use weir_engine::{
    execution::Status,
    failure::{Failure, FailureCode},
    json::Json,
    limits::Room,
};
use weir_host::{
    driver::effects::kv::{self, Owner},
    grants::Granted,
    runtime::{CallHost, Effect, PluginCall, Powerless},
    store::{Companion, Store},
};

use super::support::{each, failed, request, shared};
use crate::store::made;

async fn asking(way: &str) -> PluginCall {
    let mut call = request("h10_powers", &json!(way).to_string()).await;
    call.name = "act".to_owned();
    call.agent = true;
    call
}

async fn told(way: &str, host: Arc<dyn CallHost>) -> Value {
    shared().call(asking(way).await, host).await.result.unwrap().value().clone()
}

/// Answers each effect with the next document, and remembers what it was asked.
#[derive(Default)]
struct Answering {
    answers: Mutex<VecDeque<Result<Json, Failure>>>,
    asked: Mutex<Vec<Value>>,
}

impl Answering {
    fn with(answers: impl IntoIterator<Item = Result<Value, Failure>>) -> Arc<Self> {
        let answers = answers.into_iter().map(|answer| answer.map(Json::from_value)).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
    }
}

impl CallHost for Answering {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        self.asked.lock().unwrap().push(serde_json::to_value(&effect).unwrap());
        let answer = self.answers.lock().unwrap().pop_front().expect("an effect too many");
        Box::pin(async { answer })
    }

    fn budget(&self) -> BoxFuture<'static, Room> {
        Box::pin(async { Room { requests: Some(3), cost_microusd: Some(1 << 40), ..Room::default() } })
    }
}

#[tokio::test(flavor = "multi_thread")]
pub(super) async fn h10_powers() {
    let left = told("budget", Answering::with([])).await;
    assert_eq!(left, json!(["Some(3)", "None", "None", "None", "None", "Some(1099511627776)"]));
    let unlimited = told("budget", Arc::new(Powerless)).await;
    assert_eq!(unlimited, json!(["None", "None", "None", "None", "None", "None"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_granted_is_denied_and_does_not_trap() {
    let nothing = told("everything", Arc::new(Powerless)).await;
    assert_eq!(nothing, json!(["denied", "denied", "denied", "denied", "denied", "[]"]));
    // A tool neither asks models nor calls tools, whatever its host would do.
    let mut tool = asking("everything").await;
    tool.agent = false;
    let host = Answering::with([Ok(json!({ "status": 200, "headers": [], "url": "", "body": "" })), Ok(Value::Null)]);
    let some = shared().call(tool, host.clone()).await.result.unwrap();
    assert_eq!(*some.value(), json!(["ok", "ok", "denied", "denied", "denied", "[]"]));
    assert_eq!(host.asked.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_keeps_a_conversation() {
    let calls = json!([{ "id": "1", "tool": "a.b", "input": {} }]);
    let first = json!({ "text": null, "tool_calls": calls, "stop": "tool_calls" });
    let second = Failure::new(FailureCode::Unavailable, "busy");
    let host = Answering::with([Ok(first.clone()), Err(second)]);
    let told = told("chat", host.clone()).await;
    let expected = json!([
        "Ok(())",
        "invalid_input",
        "invalid_input",
        first.to_string(),
        "Ok(())",
        "unavailable: busy",
        "invalid_input"
    ]);
    assert_eq!(told, expected);
    let user = json!({ "role": "user", "content": "hello" });
    let said = json!({ "role": "assistant", "content": null, "tool_calls": calls });
    let done = json!({ "role": "tool", "tool_call_id": "1", "content": "done" });
    let turn = |messages: Value, sent: u32| json!({ "model": { "options": { "model": "fast" }, "messages": messages, "sent_before": sent } });
    let asked = host.asked.lock().unwrap().clone();
    assert_eq!(asked, [turn(json!([user]), 0), turn(json!([user, said, done]), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_bounded_together() {
    let told = told("long chat", Arc::new(Powerless)).await;
    assert_eq!(told, json!(["2000", "7", "invalid_input", "ok"]));
}

/// Tools that answer what they are given.
struct Echoes;

impl CallHost for Echoes {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        each(effect, |call| async { Ok(call.input) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_called_beside_each_other_and_answer_in_order() {
    let told = told("batch", Arc::new(Echoes)).await;
    assert!(told[1].as_str().unwrap().starts_with("invalid_input: input of `echo.run`"), "{told}");
    assert_eq!((&told[0], &told[2], &told[3]), (&json!("1"), &json!("3"), &json!("[4]")));
    assert_eq!((&told[4], &told[5]), (&json!("65 invalid_input"), &json!("0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_host_is_bounded() {
    let huge = Json::from_value(json!("x".repeat(9 << 20)));
    let host = Answering::with([Ok(huge.value().clone()), Ok(json!([{ "ok": "x".repeat(8 << 20) }]))]);
    let mut call = request("h10_agent", "1").await;
    call.agent = true;
    for _ in 0..2 {
        let failure = failed(shared().call(call.clone(), host.clone()).await, FailureCode::Failed);
        assert!(failure.message.contains("longer than 8388608 bytes"), "{}", failure.message);
    }
    // What the host garbles is a fault of its own and not the plugin's.
    let garbled = Answering::with([Ok(json!({ "no": "array" }))]);
    let failure = failed(shared().call(call, garbled).await, FailureCode::PluginFailure);
    assert_eq!(failure.details.unwrap().value()["code"], "internal");
}

/// Documents in a real store. What is written rides on an execution of its own.
struct Documents {
    store: Store,
    granted: Arc<Granted>,
}

impl CallHost for Documents {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        let Effect::Kv(operation) = effect else { return Powerless.effect(effect) };
        let (store, granted) = (self.store.clone(), self.granted.clone());
        Box::pin(async move {
            let (plugin, workflow) = ("p".into(), "w".into());
            let owner = Owner { plugin: &plugin, workflow_id: Some(&workflow) };
            let decided = kv::decide(&store, &granted, owner, &operation).await?;
            if let Some(write) = decided.write {
                let mut append = made::begun(&made::id(), "w", Status::Running);
                append.companions.push(Companion::Kv(write));
                store.append(append).await.unwrap();
            }
            Ok(decided.answer)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_and_compared() {
    let (_folder, store) = made::open().await;
    let granted = Arc::new(Granted::read(&json!({ "kv": true })).unwrap());
    let told = told("kv", Arc::new(Documents { store, granted })).await;
    let expected = json!([
        "Ok(None)",
        "Ok(())",
        "Ok(Some(\"null\"))",
        "Ok(None)",
        "Ok(false)",
        "Ok(true)",
        "Ok(Some(\"[2]\"))",
        "Ok(())",
        "Ok([\"a\", \"ab\"])",
        "Ok([\"ab\"])",
        "Ok(true)",
        "Ok(false)",
        "invalid_input",
        "invalid_input",
        "invalid_input"
    ]);
    assert_eq!(told, expected);
}
