//! Agents that call agents and tools that need leave, while what they are granted changes.

use serde_json::{Value, json};
use weir_engine::{
    event::{Event, Record},
    failure::FailureCode,
    id::CallId,
};
use weir_host::{
    driver::Answer,
    grants::Granted,
    store::{StepCursor, StepStatus},
};

use super::{
    effects::bench_with,
    support::{Bench, answer},
};

async fn bench() -> Bench {
    let bench = bench_with(json!([{ "answer": { "text": "yes" } }]), json!({})).await;
    for guest in ["echo", "h9_sleep", "orders"] {
        bench.install(guest).await;
    }
    bench
}

impl Bench {
    /// Grants the agent `orders` this and nothing else.
    async fn grant(&self, granted: Value) {
        let plugin = self.store.plugins().await.unwrap().into_iter().find(|plugin| &*plugin.name == "orders").unwrap();
        self.store.grant(&plugin, Granted::read(&granted).unwrap(), "test".to_owned()).await.unwrap();
    }

    async fn allow(&self, id: &str, question: CallId) {
        let allow = Answer { approval_id: Some(question), ..answer("approve") };
        self.driver.decide(id, allow).await.unwrap();
    }

    async fn status(&self, id: &str) -> StepStatus {
        self.store.steps(id, StepCursor::default(), 10).await.unwrap().rows[0].status
    }
}

fn questions(log: &[Record]) -> Vec<CallId> {
    let asks = log.iter().filter(|record| matches!(record.event, Event::Deferred { .. }));
    asks.map(|record| CallId(record.seq)).collect()
}

fn workflow(order: &str, tools: Value) -> Value {
    json!({ "name": "nested", "steps": [{ "id": "act", "type": "agent", "agent": "orders.act",
        "agent_prompt": { "order": order }, "agent_config": { "tools": tools } }] })
}

/// What the only step answered, once it has.
async fn output(bench: &Bench, id: &str) -> Value {
    let over = |log: &[Record]| {
        let last = &log.last().unwrap().event;
        matches!(last, Event::ExecutionCompleted { .. } | Event::ExecutionFailed { .. })
    };
    let log = bench.log_until(id, over).await;
    let last = &log.last().unwrap().event;
    let Event::ExecutionCompleted { output, .. } = last else { panic!("{last:?}") };
    output.value().clone()
}

fn asked_for_leave() -> Value {
    json!({ "models": ["*"], "tools": [{ "tool": "echo.run", "approval": "required" }, { "tool": "h9_sleep.run" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sees_the_same_tools_when_it_runs_again_whatever_was_granted_meanwhile() {
    let bench = bench().await;
    bench.grant(asked_for_leave()).await;
    // What it asks the model depends on the list of its tools.
    let saved = bench.save(workflow("weigh;call echo.run 1;weigh;call h9_sleep.run;", json!([]))).await;
    let id = bench.start(&saved, json!({})).await;
    let asks = questions(&bench.log_until(&id, |log| questions(log).len() == 1).await);
    bench.until_idle().await;
    bench.grant(json!({ "models": ["*"], "tools": [{ "tool": "echo.run" }] })).await;
    bench.allow(&id, asks[0]).await;
    let told = output(&bench, &id).await;
    assert!(told[0].as_str().unwrap().contains("yes") && told[2].as_str().unwrap().contains("yes"), "{told}");
    assert_eq!(told[1], "1");
    assert!(told[3].as_str().unwrap().starts_with("denied: "), "what was taken away is gone: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_agent_was_allowed_to_go_on_is_shown_as_running() {
    let bench = bench().await;
    bench.grant(asked_for_leave()).await;
    let saved = bench.save(workflow("all 2 echo.run #;call h9_sleep.run;", json!([]))).await;
    let id = bench.start(&saved, json!({})).await;
    let asks = questions(&bench.log_until(&id, |log| questions(log).len() == 2).await);
    assert_eq!(bench.status(&id).await, StepStatus::AwaitingHuman);
    bench.allow(&id, asks[1]).await;
    assert_eq!(bench.status(&id).await, StepStatus::AwaitingHuman, "somebody is asked still");
    bench.allow(&id, asks[0]).await;
    assert_eq!(bench.status(&id).await, StepStatus::Running);
    bench.driver.cancel(&id, "test", None, Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_until_nothing_else_of_its_call_is_under_way() {
    let bench = bench().await;
    bench.grant(asked_for_leave()).await;
    // One of the agents asks a person at once; the other one is not cut short by that.
    let order = "all 2 orders.act if # 1 ask first,call echo.run #,ask one,ask two,;";
    let saved = bench.save(workflow(order, json!(["orders.act"]))).await;
    let id = bench.start(&saved, json!({})).await;
    let log = bench.log_until(&id, |log| questions(log).len() == 2).await;
    let first = log.iter().position(|record| matches!(record.event, Event::Deferred { .. })).unwrap();
    assert!(matches!(log[first + 1].event, Event::Deferred { .. }), "both are asked together");
    for ask in questions(&log) {
        bench.allow(&id, ask).await;
    }
    let told = output(&bench, &id).await;
    let shown = bench.store.journal(&id, CallId(2), 0, 100).await.unwrap();
    let requests = shown.iter().filter(|row| row.kind.as_str() == "model").count();
    assert_eq!(requests, 5, "{told}");
    let execution = bench.store.execution(&id).await.unwrap().unwrap();
    assert_eq!((execution.usage.requests, execution.usage.tool_calls), (5, 4), "nothing was made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_agent_that_is_called_goes_on_while_a_person_is_asked() {
    let bench = bench().await;
    bench.grant(asked_for_leave()).await;
    let called = json!({ "agent": "orders.act", "guardrails": { "timeout_seconds": 2 } });
    let saved = bench.save(workflow("call orders.act call echo.run 1,;", json!([called]))).await;
    let id = bench.start(&saved, json!({})).await;
    let asks = questions(&bench.log_until(&id, |log| questions(log).len() == 1).await);
    let wait = json!({ "id": "wait", "type": "tool", "tool": "h9_sleep.run", "guardrails": { "timeout_seconds": 2 } });
    let waited = bench.run(json!({ "name": "waits", "steps": [wait] }), json!({})).await;
    assert_eq!(waited.execution.row.failure.unwrap().code, FailureCode::Timeout);
    bench.allow(&id, asks[0]).await;
    let told = output(&bench, &id).await;
    assert_eq!(told[0], "timeout: orders.act took longer than its own timeout of 2000 ms");
}
