//! The driver with real plugins and a real file.

mod budgets;
mod cancel;
pub(crate) mod effects;
pub(crate) mod limits;
mod metrics;
mod nested;
mod people;
mod powers;
pub(crate) mod support;

use serde_json::{Value, json};
use weir_engine::{event::Event, execution::Status, failure::FailureCode, id::CallId, limits::Limits};
use weir_host::driver::{DecideError, Heard, SignalError};

use self::support::{Bench, PATIENCE, answer, start};

fn tool(id: &str, arguments: Value) -> Value {
    json!({ "id": id, "type": "tool", "tool": "echo.run", "tool_args": arguments })
}

fn human(id: &str) -> Value {
    json!({ "id": id, "type": "human", "human_config": {
        "notification": "Go on?", "options": [{ "id": "yes", "label": "Yes" }, { "id": "no", "label": "No" }] } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_tools_is_one_append() {
    let bench = Bench::new(&["echo"]).await;
    let steps = [tool("a", json!({ "n": "$.input.n" })), tool("b", json!("$.a")), tool("c", json!({ "is": "$.b.n" }))];
    let finished = bench.run(json!({ "name": "chain", "steps": steps }), json!({ "n": 7 })).await;
    assert_eq!(finished.execution.row.status, Status::Completed);
    assert_eq!(finished.execution.output.unwrap().value(), &json!({ "is": 7 }));
    assert_eq!(finished.execution.row.usage.tool_calls, 3);
    let id = &finished.execution.row.id;
    let stored = bench.store.execution_with_documents(id).await.unwrap().unwrap();
    assert_eq!(stored.row.status, Status::Completed);
    assert_eq!(stored.output.unwrap().value(), &json!({ "is": 7 }));
    assert_eq!(bench.store.load(id).await.unwrap().len(), 8, "started, three times started and completed, completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_waits_for_a_person_leaves_memory_and_goes_on_after_a_restart() {
    let bench = Bench::new(&["echo"]).await;
    let workflow = bench.save(json!({ "name": "ask", "steps": [tool("a", json!({ "n": 1 })), human("ok"), tool("b", json!({ "option": "$.ok.option_id" }))] })).await;
    let id = bench.start(&workflow, json!({})).await;
    bench.question(&id, "ok").await;
    let bench = bench.restarted().await;
    assert_eq!(bench.driver.in_memory(), 0, "nothing is loaded for a question");
    let unfit = bench.driver.decide(&id, answer("maybe")).await;
    assert!(matches!(unfit, Err(DecideError::Unfit(_))), "{unfit:?}");
    bench.driver.decide(&id, answer("yes")).await.unwrap();
    let log = bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. })).await;
    assert_eq!(log.iter().filter(|r| matches!(r.event, Event::StepStarted { .. })).count(), 3, "no step ran twice");
    let again = bench.driver.decide(&id, answer("yes")).await;
    assert!(matches!(again, Err(DecideError::Signal(SignalError::Ended(Status::Completed)))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_questions_must_be_told_apart() {
    let bench = Bench::new(&[]).await;
    let both = json!({ "id": "both", "type": "parallel", "parallel_steps": [human("left"), human("right")] });
    let workflow = bench.save(json!({ "name": "two", "steps": [both] })).await;
    let id = bench.start(&workflow, json!({})).await;
    let right = bench.question(&id, "both.right").await;
    let several = bench.driver.decide(&id, answer("yes")).await;
    assert!(matches!(&several, Err(DecideError::Several(open)) if open.len() == 2), "{several:?}");
    let mut named = answer("no");
    named.approval_id = Some(right);
    bench.driver.decide(&id, named.clone()).await.unwrap();
    let twice = bench.driver.decide(&id, named).await;
    assert!(matches!(twice, Err(DecideError::NotOpen(call)) if call == right), "{twice:?}");
    bench.driver.decide(&id, answer("yes")).await.unwrap();
    bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_ends_is_cancelled_at_once() {
    let bench = Bench::new(&["h1_spin"]).await;
    let spin = json!({ "id": "spin", "type": "tool", "tool": "h1_spin.run" });
    let workflow = bench.save(json!({ "name": "spin", "steps": [spin] })).await;
    let id = bench.start(&workflow, json!({})).await;
    bench.driver.cancel(&id, "tester", Some("enough".to_owned()), Vec::new()).await.unwrap();
    let log = bench.store.load(&id).await.unwrap();
    assert!(matches!(log.last().unwrap().event, Event::ExecutionCancelled { .. }));
    let again = bench.driver.cancel(&id, "tester", None, Vec::new()).await;
    assert!(matches!(again, Err(SignalError::Ended(Status::Cancelled))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_call_is_made_again_after_a_restart_under_the_same_key() {
    let bench = Bench::new(&["h9_sleep"]).await;
    let sleep = json!({ "id": "sleep", "type": "tool", "tool": "h9_sleep.run" });
    let workflow = bench.save(json!({ "name": "sleep", "steps": [sleep] })).await;
    let id = bench.start(&workflow, json!({})).await;
    let call = bench.question(&id, "sleep").await;
    let bench = bench.restarted().await;
    let log = bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::CallInterrupted { .. })).await;
    assert_eq!(log.last().unwrap().event, Event::CallInterrupted { call, attempt: 1 });
    bench.driver.cancel(&id, "tester", None, Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_tool_calls_are_counted_before_they_begin() {
    let bench = Bench::new(&["echo", "h10_agent"]).await;
    let agent = json!({ "id": "agent", "type": "agent", "agent": "h10_agent.act", "agent_prompt": { "calls": "$.input.calls" },
        "agent_config": { "tools": ["echo.run"] } });
    let definition = json!({ "name": "agent", "steps": [agent], "guardrails": { "tool_calls_limit": 3 } });
    let workflow = bench.save(definition).await;
    for (calls, status, used) in [(3, Status::Completed, 3), (4, Status::Failed, 3)] {
        let request = start(&workflow, json!({ "calls": calls }), Some(PATIENCE));
        let finished = bench.driver.start(request).await.unwrap().finished.unwrap();
        let row = &finished.execution.row;
        assert_eq!((row.status, row.usage.tool_calls), (status, used), "{:?}", row.failure);
        assert_eq!(row.failure.as_ref().map(|f| f.code), (calls > 3).then_some(FailureCode::GuardrailExceeded));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_times_out() {
    let bench = Bench::new(&["h9_sleep"]).await;
    let sleep =
        json!({ "id": "sleep", "type": "tool", "tool": "h9_sleep.run", "guardrails": { "timeout_seconds": 0.1 } });
    let finished = bench.run(json!({ "name": "late", "steps": [sleep] }), json!({})).await;
    let failure = finished.execution.row.failure.unwrap();
    assert_eq!((finished.execution.row.status, failure.code), (Status::Failed, FailureCode::Timeout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_lapses_though_its_execution_left_memory() {
    let bench = Bench::new(&[]).await;
    let mut ask = human("ok");
    ask["human_config"]["timeout_minutes"] = json!(1.0 / 60.0);
    ask["human_config"]["on_timeout"] = json!("continue");
    let workflow = bench.save(json!({ "name": "lapse", "steps": [ask] })).await;
    let id = bench.start(&workflow, json!({})).await;
    let log = bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. })).await;
    let Event::ExecutionCompleted { output, .. } = &log.last().unwrap().event else { panic!("not completed") };
    assert_eq!(output.value(), &json!({ "timed_out": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_goes_on_when_its_limit_is_raised() {
    let bench = Bench::new(&["echo"]).await;
    let guardrails = json!({ "tool_calls_limit": 1, "on_exceeded": "pause" });
    let steps = [tool("a", json!({ "n": 1 })), tool("b", json!({ "n": 2 }))];
    let workflow = bench.save(json!({ "name": "pause", "steps": steps, "guardrails": guardrails })).await;
    let id = bench.start(&workflow, json!({})).await;
    bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::Paused { .. })).await;
    let mut raise = answer("raise");
    for (unfit, field) in [("timeout_seconds", "/data/timeout_seconds"), ("max_steps", "/data/max_steps")] {
        raise.data = Some(json!({ "tool_calls_limit": 2, unfit: 1e9 }).into());
        let refused = bench.driver.decide(&id, raise.clone()).await;
        assert!(matches!(&refused, Err(DecideError::Unfit(p)) if p.len() == 1 && p[0].field == field), "{refused:?}");
    }
    raise.data = Some(json!({ "tool_calls_limit": 2 }).into());
    bench.driver.decide(&id, raise).await.unwrap();
    bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_are_the_log_in_order() {
    let bench = Bench::new(&["echo"]).await;
    let workflow = bench.save(json!({ "name": "live", "steps": [human("ok"), tool("a", json!({ "n": 1 }))] })).await;
    let id = bench.start(&workflow, json!({})).await;
    bench.question(&id, "ok").await;
    let mut live = bench.driver.subscribe(&id);
    let before = bench.store.load(&id).await.unwrap().len();
    bench.driver.decide(&id, answer("yes")).await.unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Event::ExecutionCompleted { .. })) {
        let heard = tokio::time::timeout(PATIENCE, live.recv()).await.unwrap().unwrap();
        let Heard::Events(records) = heard else { continue };
        seen.extend(records.iter().map(|record| record.event.clone()));
    }
    let log = bench.store.load(&id).await.unwrap();
    let stored: Vec<Event> = log[before..].iter().map(|record| record.event.clone()).collect();
    assert_eq!(seen, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_keeps_its_window_and_its_order() {
    let bench = Bench::new(&["echo"]).await;
    let body = [tool("double", json!({ "of": "$.n", "at": "$.loop_index" }))];
    let config = json!({ "items_path": "$.input.items", "item_variable": "n", "max_concurrency": 8, "steps": body });
    let each = json!({ "id": "each", "type": "loop", "loop_config": config });
    let items: Vec<u32> = (0..1_000).collect();
    let finished = bench.run(json!({ "name": "loop", "steps": [each] }), json!({ "items": items })).await;
    let output = finished.execution.output.expect("the loop completes");
    for (index, result) in output.value()["results"].as_array().unwrap().iter().enumerate() {
        assert_eq!(result, &json!({ "double": { "of": index, "at": index } }));
    }
    assert_eq!(output.value()["count"], 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_can_only_tighten_limits() {
    let bench = Bench::new(&["echo"]).await;
    let definition = json!({ "name": "tight", "steps": [tool("a", json!({ "n": 1 })), tool("b", json!({ "n": 2 }))], "guardrails": { "tool_calls_limit": 2 } });
    let workflow = bench.save(definition).await;
    for (limit, status) in [(1, Status::Failed), (5, Status::Completed)] {
        let mut request = start(&workflow, json!({}), Some(PATIENCE));
        request.limits = Limits { tool_calls: Some(limit), ..Limits::default() };
        let finished = bench.driver.start(request).await.unwrap().finished.unwrap();
        assert_eq!(finished.execution.row.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_reach_an_execution_that_is_not_there() {
    let bench = Bench::new(&[]).await;
    let missing = bench.driver.cancel("019aac00-0000-7000-8000-000000000000", "tester", None, Vec::new()).await;
    assert!(matches!(missing, Err(SignalError::NotFound(_))), "{missing:?}");
    let mut odd = answer("yes");
    odd.approval_id = Some(CallId(1));
    assert!(matches!(bench.driver.decide("", odd).await, Err(DecideError::Signal(SignalError::NotFound(_)))));
}
