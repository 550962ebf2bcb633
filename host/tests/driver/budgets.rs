//! Budgets: executions beside each other spend no more than all of them may.

use serde_json::{Value, json};
use weir_engine::{
    event::Event,
    execution::Status,
    failure::{Failure, FailureCode},
    id::CallId,
    limits::{Amounts, Limits, OnUnknownPrice},
};
use weir_host::{
    budgets::{BudgetScope, Period},
    driver::BudgetStanding,
    store::{NewBudget, StoreError},
};

use super::{
    effects::{bench, greedy, workflow},
    support::{Bench, PATIENCE, start},
};

fn budget(name: &str, scope: BudgetScope, limits: Limits) -> NewBudget {
    NewBudget { name: name.to_owned(), scope, period: Period::Month, limits, set_by: "test".to_owned() }
}

fn requests(n: u64) -> Limits {
    Limits { requests: Some(n), ..Limits::default() }
}

fn tool_calls(n: u64) -> Limits {
    Limits { tool_calls: Some(n), ..Limits::default() }
}

impl Bench {
    async fn set(&self, new: NewBudget) {
        self.driver.set_budget(&self.store, new).await.unwrap();
    }

    fn standing(&self, name: &str) -> BudgetStanding {
        self.driver.budgets().into_iter().find(|standing| *standing.budget.name == *name).unwrap()
    }

    /// What was spent and is promised of a budget, by everybody.
    fn drawn(&self, name: &str) -> (Amounts, Amounts) {
        let drawn = self.standing(name).drawn;
        drawn.iter().fold((Amounts::NONE, Amounts::NONE), |(a, b), (_, s, r)| (a.plus(s), b.plus(r)))
    }

    /// Runs a definition so many times beside each other, and answers how each ended.
    async fn run_all(&self, definition: Value, times: usize) -> Vec<(Amounts, Option<Failure>)> {
        let saved = self.save(definition).await;
        let starts = (0..times).map(|_| self.driver.start(start(&saved, json!({}), Some(PATIENCE))));
        let all = futures_util::future::join_all(starts).await;
        let rows = all.into_iter().map(|answer| answer.unwrap().finished.expect("it ends in time").execution.row);
        rows.map(|row| (row.usage, row.failure)).collect()
    }
}

fn chain(name: &str, steps: usize) -> Value {
    let step = |n| json!({ "id": format!("s{n}"), "type": "tool", "tool": "echo.run", "tool_args": { "n": n } });
    json!({ "name": name, "steps": (0..steps).map(step).collect::<Vec<_>>() })
}

fn answers() -> Value {
    json!([{ "answer": { "text": "here is something of some length" } }])
}

async fn greedy_bench(model: Value) -> Bench {
    let bench = bench(answers(), model).await;
    for guest in ["echo", "h25_greedy"] {
        bench.install(guest).await;
    }
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_two_executions_beside_each_other_send_as_many_requests_as_their_budget_has() {
    let bench = greedy_bench(json!({})).await;
    bench.set(budget("team", BudgetScope::Host, requests(10))).await;
    let ended = bench.run_all(greedy(0, json!({})), 2).await;
    let sent: u64 = ended.iter().map(|(usage, _)| usage.requests).sum();
    assert_eq!(sent, 10, "{ended:?}");
    for (_, failure) in &ended {
        let failure = failure.as_ref().expect("it wanted more");
        assert_eq!(failure.code, FailureCode::GuardrailExceeded);
        let standing = bench.standing("team");
        let end = standing.window.end_text();
        assert!(failure.message.contains("request_limit = 10 of budget \"team\" (this month, until "), "{failure:?}");
        let details = json!({ "limit": "request_limit", "value": 10, "budget": "team", "period": "month",
            "period_ends_at": end });
        assert_eq!(failure.details.as_ref().unwrap().value(), &details);
    }
    let (settled, reserved) = bench.drawn("team");
    assert_eq!((settled.requests, reserved), (10, Amounts::NONE));
    // The provider's own count: what was answered has a row, and nothing else was sent.
    let rows = bench.store.metrics().text(Default::default());
    let answered = rows.lines().find(|line| line.starts_with("weir_model_requests_total{") && line.contains("\"ok\""));
    assert!(answered.unwrap_or(&rows).ends_with(" 10"), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_of_a_budget_is_known_after_a_restart() {
    let bench = Bench::new(&["echo"]).await;
    bench.set(budget("team", BudgetScope::Host, tool_calls(5))).await;
    bench.run(chain("first", 3), json!({})).await;
    assert_eq!(bench.drawn("team").0.tool_calls, 3);
    let bench = bench.restarted().await;
    assert_eq!(bench.drawn("team"), (Amounts { tool_calls: 3, ..Amounts::NONE }, Amounts::NONE));
    let finished = bench.run(chain("second", 3), json!({})).await;
    let failure = finished.execution.row.failure.unwrap();
    assert!(failure.message.contains("step s2 would pass tool_calls_limit = 5 of budget \"team\""), "{failure:?}");
    assert_eq!(bench.drawn("team").0.tool_calls, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_waits_for_a_person_keeps_what_it_was_promised_across_a_restart() {
    let rules = json!([{ "when": { "turn": 1 }, "answer": { "tool_calls": [
        { "tool": "text.render", "input": { "template": "one", "data": {} } } ] } }, { "answer": { "text": "done" } }]);
    let bench = bench(rules.clone(), json!({})).await;
    bench.set(budget("team", BudgetScope::Host, requests(2))).await;
    let config = json!({ "tools": [{ "tool": "text.render", "approval": "required" }] });
    let saved = bench.save(workflow(config, json!({}))).await;
    let id = bench.start(&saved, json!({})).await;
    bench.log_until(&id, |log| log.iter().any(|record| matches!(record.event, Event::Deferred { .. }))).await;
    bench.until_idle().await;
    let directory = bench.stopped().await;
    let config = super::effects::config(&directory, &rules, json!({}));
    let bench = Bench::open(directory, config).await;
    bench.driver.recover().await.unwrap();
    assert_eq!(bench.drawn("team").0.requests, 1, "the request was answered before the question");
    let mut other = workflow(json!({}), json!({}));
    other["name"] = "other".into();
    let other = bench.run(other, json!({})).await.execution.row;
    assert_eq!((other.usage.requests, bench.drawn("team").0.requests), (1, 2), "one was left: {other:?}");
    bench.driver.decide(&id, super::support::answer("approve")).await.unwrap();
    let failed =
        |log: &[weir_engine::event::Record]| matches!(log.last().unwrap().event, Event::ExecutionFailed { .. });
    bench.log_until(&id, failed).await;
    let failure = bench.store.execution(&id).await.unwrap().unwrap().failure.expect("nothing is left");
    assert!(failure.message.contains("budget \"team\""), "{failure:?}");
    assert_eq!(bench.drawn("team"), (Amounts { requests: 2, ..bench.drawn("team").0 }, Amounts::NONE));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workflow_has_a_budget_for_itself_and_one_has_one_alone() {
    let bench = Bench::new(&["echo"]).await;
    bench.set(budget("each", BudgetScope::EachWorkflow, tool_calls(2))).await;
    for name in ["a", "b"] {
        let finished = bench.run(chain(name, 3), json!({})).await;
        assert_eq!(finished.execution.row.usage.tool_calls, 2, "{name}");
        let failure = finished.execution.row.failure.unwrap();
        assert!(failure.message.contains("budget \"each\""), "{failure:?}");
    }
    assert_eq!(bench.standing("each").drawn.len(), 2);
    bench.driver.delete_budget(&bench.store, "each").await.unwrap();
    let missing = bench.driver.delete_budget(&bench.store, "each").await;
    assert!(matches!(missing, Err(StoreError::NotFound { noun: "budget", .. })), "{missing:?}");
    let (one, other) = (bench.save(chain("one", 2)).await, bench.save(chain("other", 2)).await);
    bench.set(budget("one", BudgetScope::Workflow(one.workflow_id.clone()), tool_calls(1))).await;
    for (workflow, used) in [(one, 1), (other, 2)] {
        let answer = bench.driver.start(start(&workflow, json!({}), Some(PATIENCE))).await.unwrap();
        assert_eq!(answer.finished.unwrap().execution.row.usage.tool_calls, used);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_raised_while_something_runs_is_in_force_at_once_and_keeps_its_count() {
    let bench = Bench::new(&["echo"]).await;
    bench.set(budget("team", BudgetScope::Host, tool_calls(1))).await;
    let ask =
        json!({ "id": "ok", "type": "human", "human_config": { "notification": "?", "options": [{ "id": "yes" }] } });
    let mut definition = chain("asks", 2);
    definition["steps"].as_array_mut().unwrap().insert(1, ask);
    let saved = bench.save(definition).await;
    let id = bench.start(&saved, json!({})).await;
    bench.question(&id, "ok").await;
    let before = bench.standing("team").budget;
    bench.set(budget("team", BudgetScope::Host, tool_calls(2))).await;
    assert_eq!((bench.standing("team").budget.id, bench.drawn("team").0.tool_calls), (before.id, 1));
    bench.driver.decide(&id, super::support::answer("yes")).await.unwrap();
    bench.log_until(&id, |log| matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. })).await;
    assert_eq!(bench.drawn("team").0.tool_calls, 2);
    let other = NewBudget { period: Period::Hour, ..budget("team", BudgetScope::Host, tool_calls(2)) };
    bench.set(other).await;
    assert_eq!(bench.drawn("team").0.tool_calls, 0, "another period begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_as_long_as_a_budget_leaves_room_for() {
    let bench = bench(answers(), json!({ "max_tokens": 4000 })).await;
    bench.set(budget("team", BudgetScope::Host, Limits { output_tokens: Some(100), ..Limits::default() })).await;
    let finished = bench.run(workflow(json!({}), json!({})), json!({})).await;
    assert_eq!(finished.execution.row.status, Status::Completed, "{:?}", finished.execution.row.failure);
    let rows = bench.store.journal(&finished.execution.row.id, CallId(2), 0, 100).await.unwrap();
    assert_eq!(rows[0].ended.as_ref().unwrap().answer.value()["max_tokens"], 100);
    let (settled, reserved) = bench.drawn("team");
    assert_eq!((settled.output_tokens, reserved.output_tokens), (finished.execution.row.usage.output_tokens, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn h25_no_budget_is_overspent_by_whoever_spends_what_there_is() {
    let bench =
        greedy_bench(json!({ "free": false, "price": { "input": 1000, "output": 1000 }, "max_tokens": 500 })).await;
    type Taken = fn(&Amounts) -> u64;
    let rows: [(&str, Limits, u64, Taken); 5] = [
        ("request_limit", requests(3), 3, |a| a.requests),
        ("input_tokens_limit", Limits { input_tokens: Some(2000), ..Limits::default() }, 2000, |a| a.input_tokens),
        ("output_tokens_limit", Limits { output_tokens: Some(300), ..Limits::default() }, 300, |a| a.output_tokens),
        ("total_tokens_limit", Limits { total_tokens: Some(2000), ..Limits::default() }, 2000, |a| {
            a.input_tokens + a.output_tokens
        }),
        ("max_cost_dollars", Limits { cost_microusd: Some(1_500_000), ..Limits::default() }, 1_500_000, |a| {
            a.cost_microusd
        }),
    ];
    for (name, limits, allowed, taken) in rows {
        bench.set(budget("team", BudgetScope::Host, limits)).await;
        let mut definition = greedy(0, json!({}));
        definition["name"] = name.into();
        let ended = bench.run_all(definition, 3).await;
        for (_, failure) in &ended {
            let message = failure.as_ref().map(|failure| &*failure.message).unwrap_or_default();
            assert!(message.contains(name) && message.contains("budget \"team\""), "{name}: {message}");
        }
        let all = ended.iter().fold(Amounts::NONE, |all, (usage, _)| all.plus(usage));
        assert!(taken(&all) <= allowed && all.requests > 1, "{name}: {all:?}");
        assert_eq!(bench.drawn("team"), (Amounts { steps: 0, tool_calls: 0, ..all }, Amounts::NONE), "{name}");
        bench.driver.delete_budget(&bench.store, "team").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_money_refuses_what_has_no_known_price() {
    let nowhere = json!({ "provider": "openai", "model": "nobody-sells-this", "base_url": "http://127.0.0.1:1/v1",
        "free": false, "script": null });
    let bench = bench(answers(), nowhere).await;
    let money = Limits { cost_microusd: Some(1_000_000), ..Limits::default() };
    bench.set(budget("team", BudgetScope::Host, money.clone())).await;
    let failure = bench.run(workflow(json!({}), json!({})), json!({})).await.execution.row.failure.unwrap();
    assert!(failure.message.contains("nobody knows what it costs"), "{failure:?}");
    let allows = Limits { on_unknown_price: Some(OnUnknownPrice::Allow), ..money };
    bench.set(budget("team", BudgetScope::Host, allows)).await;
    let mut again = workflow(json!({}), json!({}));
    again["name"] = "again".into();
    let failure = bench.run(again, json!({})).await.execution.row.failure.unwrap();
    assert!(!failure.message.contains("nobody knows"), "it was sent, and there is nobody: {failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_budgets_and_no_more() {
    let bench = Bench::new(&[]).await;
    for n in 0..weir_host::budgets::BUDGETS_MAX {
        bench.set(budget(&format!("b{n}"), BudgetScope::Host, requests(1))).await;
    }
    let more = bench.driver.set_budget(&bench.store, budget("more", BudgetScope::Host, requests(1))).await;
    assert!(matches!(more, Err(StoreError::TooMany { noun: "budget", .. })), "{more:?}");
    bench.set(budget("b7", BudgetScope::EachWorkflow, requests(2))).await;
}
