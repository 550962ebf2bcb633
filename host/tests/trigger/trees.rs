//! G2: executions that start each other by their ends draw from the limits of those that led to them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use weir_engine::{execution::Status, failure::FailureCode};
use weir_host::{
    driver::DriverConfig,
    store::{AuditFilter, ExecutionRow, OccurrenceStatus},
};

use super::events::{Desk, after};
use crate::driver::support::{Bench, PATIENCE, answer, start};

/// A workflow of so many calls of a tool, that starts when another one ends.
fn calls(name: &str, count: usize, waits_for: Option<&str>, guardrails: Value) -> Value {
    let step = |n| json!({ "id": format!("s{n}"), "type": "tool", "tool": "echo.run", "tool_args": { "n": n } });
    let ended = json!(["completed", "failed"]);
    let triggers = waits_for.map(|name| after(json!({ "workflow_id": name, "status": ended })));
    let nothing =
        json!({ "id": "is_set", "type": "condition", "condition": { "field": "$.input", "operator": "exists" } });
    let steps: Vec<Value> = if count == 0 { vec![nothing] } else { (0..count).map(step).collect() };
    json!({ "name": name, "guardrails": guardrails, "triggers": triggers.into_iter().collect::<Vec<_>>(), "steps": steps })
}

impl Desk {
    /// Waits until so many executions have ended.
    async fn until_final(&self, count: usize) {
        let ended = async {
            while self.executions().await.iter().filter(|row| row.status.is_final()).count() < count {
                tokio::task::yield_now().await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok(), "{:#?}", self.executions().await);
    }

    /// Dispatches until there are so many executions and all have ended, and answers them by their workflow's name. Nobody is
    /// told of the last end, so it is looked for.
    async fn until_ended(&self, count: usize) -> Vec<ExecutionRow> {
        let ended = async {
            loop {
                self.dispatch().await;
                let rows = self.executions().await;
                if rows.len() == count && rows.iter().all(|row| row.status.is_final()) {
                    return rows;
                }
                tokio::task::yield_now().await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        let mut rows = ended.unwrap_or_else(|_| panic!("they do not end"));
        rows.sort_by(|a, b| a.workflow_name.cmp(&b.workflow_name));
        rows
    }
}

fn used(rows: &[ExecutionRow]) -> Vec<u64> {
    rows.iter().map(|row| row.usage.tool_calls).collect()
}

fn assert_stopped_by(row: &ExecutionRow, root: &str, limit: &str, value: u64) {
    let failure = row.failure.as_ref().unwrap_or_else(|| panic!("{row:?}"));
    assert_eq!(failure.code, FailureCode::GuardrailExceeded, "{failure:?}");
    let details = json!({ "limit": limit, "value": value, "execution": root });
    assert_eq!(failure.details.as_ref().unwrap().value(), &details, "{failure:?}");
    assert!(failure.message.contains(&format!("of execution {root}, which led to this one")), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_chain_of_three_draws_from_the_limit_of_the_first() {
    let desk = Desk::new(&["echo"]).await;
    desk.save(calls("a", 4, None, json!({ "tool_calls_limit": 10 }))).await;
    desk.save(calls("b", 4, Some("a"), json!({ "tool_calls_limit": 5 }))).await;
    desk.save(calls("c", 4, Some("b"), json!({ "tool_calls_limit": 9 }))).await;
    let root = desk.run("a", json!({})).await;
    let rows = desk.until_ended(3).await;
    assert_eq!(used(&rows), [4, 4, 1], "the second one's limit of five holds for the third, too");
    assert_stopped_by(&rows[2], &rows[1].id, "tool_calls_limit", 5);
    assert_eq!((&*rows[0].id, rows[0].status), (&*root, Status::Completed));
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_restart_between_the_links_of_a_chain_forgets_nothing() {
    let desk = Desk::new(&["echo"]).await;
    desk.save(calls("a", 4, None, json!({ "tool_calls_limit": 10 }))).await;
    desk.save(calls("b", 4, Some("a"), json!({}))).await;
    desk.save(calls("c", 4, Some("b"), json!({}))).await;
    let root = desk.run("a", json!({})).await;
    let desk = desk.restarted().await;
    desk.dispatch().await;
    desk.until_final(2).await;
    let desk = desk.restarted().await;
    let rows = desk.until_ended(3).await;
    assert_eq!(used(&rows), [4, 4, 2]);
    assert_stopped_by(&rows[2], &root, "tool_calls_limit", 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_five_that_run_beside_each_other_draw_from_one_limit() {
    let desk = Desk::new(&["echo"]).await;
    desk.save(calls("a", 0, None, json!({ "tool_calls_limit": 10 }))).await;
    for n in 0..5 {
        desk.save(calls(&format!("b{n}"), 4, Some("a"), json!({}))).await;
    }
    let root = desk.run("a", json!({})).await;
    let rows = desk.until_ended(6).await;
    assert_eq!(used(&rows).iter().sum::<u64>(), 10, "{rows:#?}");
    let failed: Vec<_> = rows.iter().filter(|row| row.status == Status::Failed).collect();
    assert!(failed.len() >= 3, "{rows:#?}");
    failed.iter().for_each(|row| assert_stopped_by(row, &root, "tool_calls_limit", 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_steps_add_up_over_a_tree_too() {
    let desk = Desk::new(&["echo"]).await;
    desk.save(calls("a", 2, None, json!({ "max_steps": 5 }))).await;
    desk.save(calls("b", 4, Some("a"), json!({}))).await;
    let root = desk.run("a", json!({})).await;
    let rows = desk.until_ended(2).await;
    assert_eq!(used(&rows), [2, 3]);
    assert_stopped_by(&rows[1], &root, "max_steps", 5);
}

/// An agent that calls a tool twice, then a question, then calls of a tool.
fn goes_on(count: usize, guardrails: Value) -> Value {
    let mut definition = calls("a", count, None, guardrails);
    let agent = json!({ "id": "act", "type": "agent", "agent": "h10_agent.act", "agent_prompt": { "calls": 2 },
        "agent_config": { "tools": ["echo.run"] } });
    let ask =
        json!({ "id": "ask", "type": "human", "human_config": { "notification": "?", "options": [{ "id": "yes" }] } });
    let steps = definition["steps"].as_array_mut().unwrap();
    steps.splice(0..0, [agent, ask]);
    definition
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_an_execution_that_goes_on_counts_what_those_spent_that_it_started() {
    for restart in [false, true] {
        let desk = Desk::new(&["echo", "h10_agent"]).await;
        desk.save(goes_on(4, json!({ "tool_calls_limit": 7 }))).await;
        let mut child = calls("b", 3, None, json!({}));
        child["triggers"] = json!([after(json!({ "agent_id": "h10_agent.act" }))]);
        desk.save(child).await;
        let current = desk.bench.driver.current("a").await.unwrap().unwrap();
        let id = desk.bench.start(&current.version, json!({})).await;
        desk.bench.question(&id, "ask").await;
        desk.dispatch_until(async || desk.executions().await.len() == 2).await;
        desk.until_final(1).await;
        let desk = if restart { desk.restarted().await } else { desk };
        desk.bench.driver.decide(&id, answer("yes")).await.unwrap();
        let rows = desk.until_ended(2).await;
        assert_eq!(used(&rows), [4, 3], "two of the agent, three of the other one, two more");
        assert_stopped_by(&rows[0], &id, "tool_calls_limit", 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_what_a_person_raised_holds_for_the_tree() {
    let desk = Desk::new(&["echo"]).await;
    desk.save(calls("a", 3, None, json!({ "tool_calls_limit": 2, "on_exceeded": "pause" }))).await;
    desk.save(calls("b", 3, Some("a"), json!({}))).await;
    let current = desk.bench.driver.current("a").await.unwrap().unwrap();
    let id = desk.bench.start(&current.version, json!({})).await;
    desk.bench
        .log_until(&id, |log| matches!(log.last().unwrap().event, weir_engine::event::Event::Paused { .. }))
        .await;
    let mut raise = answer("raise");
    raise.data = Some(json!({ "tool_calls_limit": 5 }).into());
    desk.bench.driver.decide(&id, raise).await.unwrap();
    let rows = desk.until_ended(2).await;
    assert_eq!(used(&rows), [3, 2]);
    assert_stopped_by(&rows[1], &id, "tool_calls_limit", 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_tree_has_so_many_executions_and_no_more() {
    let bench =
        Bench::open(tempfile::tempdir().unwrap(), DriverConfig { tree_executions_max: 4, ..DriverConfig::default() })
            .await;
    let desk = Desk::over(bench);
    desk.save(calls("a", 0, None, json!({}))).await;
    let mut triggers = Vec::new();
    for n in 0..5 {
        triggers.extend(desk.save(calls(&format!("b{n}"), 0, Some("a"), json!({}))).await);
    }
    let root = desk.run("a", json!({})).await;
    let rows = desk.until_ended(4).await;
    assert!(rows.iter().all(|row| row.status == Status::Completed), "{rows:#?}");
    let mut refused = Vec::new();
    for trigger in &triggers {
        let rows = desk.occurrences(trigger).await;
        refused.extend(rows.into_iter().filter(|row| row.status == OccurrenceStatus::Failed));
    }
    assert_eq!(refused.len(), 2, "{refused:#?}");
    for row in &refused {
        let reason = row.reason.as_deref().unwrap();
        assert!(reason.starts_with(&format!("lineage: 4 executions follow from {root}")), "{reason}");
    }
    let filter = AuditFilter { act: Some("execution.start".to_owned()), ..AuditFilter::default() };
    let audit = desk.bench.store.audit_rows(&filter, None, 10).await.unwrap();
    assert_eq!(audit.iter().filter(|row| row.outcome.as_str() == "refused").count(), 2, "{audit:#?}");
    // Whoever starts by hand begins a tree of its own.
    let other = desk.bench.driver.current("b0").await.unwrap().unwrap();
    let again: Arc<str> =
        desk.bench.driver.start(start(&other.version, json!({}), Some(PATIENCE))).await.unwrap().execution_id;
    assert_ne!(again, root);
}
