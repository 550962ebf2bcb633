//! R21: cancels at any moment.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use weir_engine::{
    event::{Event, Record},
    execution::Status,
    id::CallId,
};
use weir_host::{
    driver::SignalError,
    store::{StepCursor, WorkflowVersion},
};

use super::{
    human,
    support::{Bench, PATIENCE, start},
    tool,
};

/// How long a cancel may take until it is committed.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// How many executions are cancelled.
const CANCELS: usize = 1_000;

async fn cancel(bench: &Bench, id: &str) -> Result<(), SignalError> {
    let cancelling = bench.driver.cancel(id, "tester", None, Vec::new());
    tokio::time::timeout(CANCEL_TIMEOUT, cancelling).await.expect("a cancel is quick")
}

/// Executions that may end by themselves: either the end or the cancel is first, and the other is told so.
#[tokio::test(flavor = "multi_thread")]
async fn r21_of_a_cancel_and_the_end_one_wins() {
    let bench = Bench::new(&["echo"]).await;
    let branch = |n: u32| json!([tool(&format!("x{n}"), json!({ "n": n })), tool(&format!("y{n}"), json!({ "n": n }))]);
    let fan = json!({ "id": "fan", "type": "parallel", "parallel_steps": [branch(0), branch(1), branch(2)] });
    let workflow = bench
        .save(json!({ "name": "race", "steps": [tool("a", json!({ "n": 1 })), fan, tool("z", json!({ "n": 1 }))] }))
        .await;
    let mut cancelled = 0;
    for round in 0..1_000_u32 {
        let id = bench.start(&workflow, json!({})).await;
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        match cancel(&bench, &id).await {
            Ok(()) => cancelled += 1,
            Err(SignalError::Ended(Status::Completed)) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
        let log = bench.store.load(&id).await.unwrap();
        let ends = log
            .iter()
            .filter(|r| matches!(r.event, Event::ExecutionCancelled { .. } | Event::ExecutionCompleted { .. }));
        assert_eq!(ends.count(), 1, "round {round}");
        let last = &log.last().unwrap().event;
        assert_eq!(matches!(last, Event::ExecutionCancelled { .. }), result_is_cancelled(&log), "round {round}");
    }
    assert!(cancelled > 0, "the race is never won by the cancel");
}

fn result_is_cancelled(log: &[weir_engine::event::Record]) -> bool {
    log.iter().any(|record| matches!(record.event, Event::ExecutionCancelled { .. }))
}

/// A call that runs, a question, a retry that waits, loops in branches: never done before somebody answers.
fn busy() -> Value {
    let sleep = |id: &str| {
        json!({ "id": id, "type": "tool", "tool": "h9_sleep.run", "on_error": "continue",
                "guardrails": { "timeout_seconds": 0.02 } })
    };
    let flaky = json!({ "id": "flaky", "type": "tool", "tool": "failures.run", "tool_args": "$.input.failure",
        "on_error": "continue", "retry": { "max_attempts": 3, "initial_interval_ms": 10 } });
    let config = json!({ "items_path": "$.input.items", "max_concurrency": 2,
        "steps": [sleep("pause"), tool("seen", json!({ "item": "$.item" }))] });
    let each = json!({ "id": "each", "type": "loop", "loop_config": config });
    let fan = json!({ "id": "fan", "type": "parallel",
        "parallel_steps": [[sleep("slow"), tool("then", json!({}))], [human("ask")], [flaky], [each]] });
    json!({ "name": "busy", "steps": [tool("a", json!({ "n": 1 })), fan, tool("z", json!({ "n": 1 }))] })
}

fn input() -> Value {
    json!({ "failure": "unavailable", "items": [1, 2, 3, 4] })
}

/// How long the log of [`busy`] is once nothing but the question is open.
async fn length(bench: &Bench, workflow: &Arc<WorkflowVersion>) -> usize {
    let id = bench.start(workflow, input()).await;
    let is_done = |log: &[Record], branch: &str| {
        let started = log.iter().find(|record| is_start(record, branch)).map(|record| CallId(record.seq));
        started.is_some_and(|call| log.iter().any(|record| is_end(record, call)))
    };
    let branches = ["fan.then", "fan.flaky", "fan.each"];
    let log = bench.log_until(&id, |log| branches.iter().all(|branch| is_done(log, branch))).await;
    cancel(bench, &id).await.unwrap();
    log.len()
}

fn is_start(record: &Record, path: &str) -> bool {
    matches!(&record.event, Event::StepStarted { path: at, .. } if **at == *path)
}

fn is_end(record: &Record, of: CallId) -> bool {
    matches!(&record.event, Event::StepCompleted { call, .. } | Event::StepFailed { call, .. } if *call == of)
}

/// Starts an execution, cancels it once its log has `events` events, and checks what is left of it.
async fn cancelled_after(bench: &Bench, workflow: &Arc<WorkflowVersion>, events: usize) -> (Arc<str>, usize) {
    let id = bench.start(workflow, input()).await;
    bench.log_until(&id, |log| log.len() >= events).await;
    cancel(bench, &id).await.unwrap();
    let log = bench.store.load(&id).await.unwrap();
    assert!(matches!(log.last().unwrap().event, Event::ExecutionCancelled { .. }), "{:?}", log.last());
    (id, log.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_cancelled_at_any_state_an_execution_is_over() {
    let bench = Bench::new(&["echo", "h9_sleep", "failures"]).await;
    let workflow = bench.save(busy()).await;
    let length = length(&bench, &workflow).await;
    let runs = stream::iter((0..CANCELS).map(|n| cancelled_after(&bench, &workflow, 1 + n % length)));
    let cancelled: Vec<_> = runs.buffer_unordered(8).collect().await;

    // What went on in spite of its cancel would have ended by the end of this one, which uses the same slots.
    let finished = bench.driver.start(start(&bench.save(quick()).await, json!({}), Some(PATIENCE))).await.unwrap();
    assert_eq!(finished.finished.unwrap().execution.row.status, Status::Completed);
    for (id, events) in cancelled {
        assert_eq!(bench.store.load(&id).await.unwrap().len(), events, "something followed the cancel");
        let row = bench.store.execution(&id).await.unwrap().unwrap();
        assert_eq!(row.status, Status::Cancelled);
        let steps = bench.store.steps(&id, StepCursor::default(), 100).await.unwrap();
        assert!(steps.rows.iter().all(|step| step.completed_at.is_some()), "an open step: {:?}", steps.rows);
    }
    assert_eq!(bench.driver.in_memory(), 0);
}

/// Calls in all slots, for longer than those of [`busy`].
fn quick() -> Value {
    let calls: Vec<Value> = (0..16).map(|n| tool(&format!("x{n}"), json!({ "n": n }))).collect();
    json!({ "name": "quick", "steps": [{ "id": "fan", "type": "parallel", "parallel_steps": calls }] })
}
