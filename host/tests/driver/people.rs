//! People who decide: one of them wins, several must agree, and who may not is told.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{
    event::{Event, Record},
    id::CallId,
};
use weir_host::{
    driver::{Answer, DecideError, Reassign, StartExecution},
    identity::{Kind, Principal, Role, Roles},
    store::{ApprovalStatus, WorkflowVersion},
};

use super::support::{Bench, answer, start};

fn user(name: &str, roles: &[Role]) -> Principal {
    let roles: Roles = roles.iter().copied().collect();
    Principal { kind: Kind::User(name.into()), name: name.into(), roles }
}

fn approver(name: &str) -> Principal {
    user(name, &[Role::Approver])
}

fn by(principal: Principal, option: &str) -> Answer {
    Answer { decided_by: principal, ..answer(option) }
}

fn asking(name: &str, approvers: &Value) -> Value {
    let config =
        json!({ "notification": "Go on?", "options": [{ "id": "yes" }, { "id": "no" }], "approvers": approvers });
    json!({ "name": name, "steps": [{ "id": "ok", "type": "human", "human_config": config }] })
}

/// An execution that ann started, and that asks.
async fn asked(bench: &Bench, workflow: &Arc<WorkflowVersion>) -> (Arc<str>, CallId) {
    let trigger = json!({ "type": "manual", "started_by": "user:ann" }).into();
    let request = StartExecution { trigger, ..start(workflow, json!({}), None) };
    let id = bench.driver.start(request).await.unwrap().execution_id;
    let call = bench.question(&id, "ok").await;
    (id, call)
}

fn count(log: &[Record], is_it: impl Fn(&Event) -> bool) -> usize {
    log.iter().filter(|record| is_it(&record.event)).count()
}

fn has_ended(log: &[Record]) -> bool {
    matches!(log.last().unwrap().event, Event::ExecutionCompleted { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_of_two_deciders_exactly_one_wins_in_a_thousand_races() {
    let bench = Bench::new(&[]).await;
    let workflow = bench.save(asking("race", &json!({}))).await;
    let mut wins = [0, 0];
    for _ in 0..1_000 {
        let (id, call) = asked(&bench, &workflow).await;
        let race = |name, option| {
            let (driver, id, answer) = (bench.driver.clone(), id.clone(), by(approver(name), option));
            tokio::spawn(async move { driver.decide(&id, Answer { approval_id: Some(call), ..answer }).await })
        };
        let (first, second) = tokio::join!(race("bob", "yes"), race("kim", "no"));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        wins[usize::from(second.is_ok())] += 1;
        let row = bench.store.approval(&id, call).await.unwrap().unwrap();
        let winner = if first.is_ok() { "user:bob" } else { "user:kim" };
        assert_eq!((row.status, &*row.decision.unwrap().decided_by), (ApprovalStatus::Decided, winner));
        assert_eq!(bench.store.decisions_of(&id, call).await.unwrap().len(), 1);
    }
    assert_eq!(wins.iter().sum::<i32>(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_who_may_not_decide_is_refused_when_they_try() {
    let bench = Bench::new(&[]).await;
    let approvers = json!({ "users": ["bob", "ann"], "requester_may_decide": false });
    let workflow = bench.save(asking("named", &approvers)).await;
    let (id, _) = asked(&bench, &workflow).await;
    let refused = [
        by(approver("kim"), "yes"),
        by(user("bob", &[Role::Viewer, Role::Operator, Role::Author]), "yes"),
        by(user("bob", &[]), "yes"),
        by(approver("ann"), "yes"),
        by(user("ann", &[Role::Admin]), "yes"),
    ];
    for answer in refused {
        let who = answer.decided_by.clone();
        let refused = bench.driver.decide(&id, answer).await;
        assert!(matches!(refused, Err(DecideError::NotAllowed(_))), "{who:?}: {refused:?}");
    }
    assert_eq!(bench.driver.decide(&id, by(approver("bob"), "yes")).await.unwrap().missing, 0);
    let log = bench.log_until(&id, has_ended).await;
    assert_eq!(count(&log, |event| matches!(event, Event::Decided { .. })), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_two_people_must_agree_also_across_a_restart() {
    let bench = Bench::new(&[]).await;
    let workflow = bench.save(asking("two", &json!({ "quorum": 2 }))).await;
    let (id, call) = asked(&bench, &workflow).await;
    assert_eq!(bench.driver.decide(&id, by(approver("bob"), "yes")).await.unwrap().missing, 1);
    let bench = bench.restarted().await;
    let again = bench.driver.decide(&id, by(approver("bob"), "yes")).await;
    assert!(matches!(&again, Err(DecideError::Voted(_, vote)) if vote.decided_by == "user:bob"), "{again:?}");
    assert_eq!(bench.driver.decide(&id, by(approver("kim"), "no")).await.unwrap().missing, 1);
    assert_eq!(bench.driver.decide(&id, by(approver("sam"), "yes")).await.unwrap().missing, 0);
    let log = bench.log_until(&id, has_ended).await;
    assert_eq!(count(&log, |event| matches!(event, Event::Voted { .. })), 2);
    let people = bench.store.decisions_of(&id, call).await.unwrap();
    let people: Vec<&str> = people.iter().map(|decision| &*decision.decided_by).collect();
    assert_eq!(people, ["user:bob", "user:kim", "user:sam"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_an_answer_to_another_question_than_the_one_that_was_shown_does_not_count() {
    let bench = Bench::new(&[]).await;
    let workflow = bench.save(asking("bound", &json!({}))).await;
    let (id, call) = asked(&bench, &workflow).await;
    let shown = bench.store.approval(&id, call).await.unwrap().unwrap().request_digest;
    let other = Answer { request_digest: Some("0".repeat(64)), ..by(approver("bob"), "yes") };
    let changed = bench.driver.decide(&id, other).await;
    assert!(matches!(&changed, Err(DecideError::Changed(digest)) if *digest == *shown), "{changed:?}");
    let same = Answer { request_digest: Some(shown.to_string()), ..by(approver("bob"), "yes") };
    let decision = bench.driver.decide(&id, same).await.unwrap().decision;
    assert_eq!(decision.request_digest.as_deref(), Some(&*shown));
    assert_eq!(bench.store.decisions_of(&id, call).await.unwrap(), [decision]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_decide_can_pass_a_question_on() {
    let bench = Bench::new(&[]).await;
    let workflow = bench.save(asking("passed", &json!({ "users": ["bob", "sam"], "quorum": 2 }))).await;
    let (id, call) = asked(&bench, &workflow).await;
    let to = |principal: Principal, users: &[&str]| Reassign {
        approval_id: call,
        roles: Vec::new(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        principal,
        companions: Vec::new(),
    };
    let stolen = bench.driver.reassign(&id, to(approver("kim"), &["kim", "eve"])).await;
    assert!(matches!(stolen, Err(DecideError::NotAllowed(_))), "{stolen:?}");
    let few = bench.driver.reassign(&id, to(approver("bob"), &["kim"])).await;
    assert!(matches!(few, Err(DecideError::Unfit(_))), "{few:?}");
    let approvers = bench.driver.reassign(&id, to(approver("bob"), &["kim", "eve"])).await.unwrap();
    assert_eq!((approvers.users.len(), approvers.quorum), (2, 2));
    let bench = bench.restarted().await;
    let late = bench.driver.decide(&id, by(approver("bob"), "yes")).await;
    assert!(matches!(late, Err(DecideError::NotAllowed(_))), "{late:?}");
    bench.driver.decide(&id, by(approver("kim"), "yes")).await.unwrap();
    bench.driver.decide(&id, by(approver("eve"), "yes")).await.unwrap();
    bench.log_until(&id, has_ended).await;
    let over = bench.driver.reassign(&id, to(approver("kim"), &["bob", "sam"])).await;
    assert!(matches!(over, Err(DecideError::Signal(_) | DecideError::NotOpen(_))), "{over:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_an_answer_after_a_cancel_or_for_another_execution_does_not_count() {
    let bench = Bench::new(&[]).await;
    let workflow = bench.save(asking("cancelled", &json!({}))).await;
    let (first, call) = asked(&bench, &workflow).await;
    let (second, _) = asked(&bench, &workflow).await;
    bench.driver.cancel(&first, "tester", None, Vec::new()).await.unwrap();
    let late = bench.driver.decide(&first, Answer { approval_id: Some(call), ..by(approver("bob"), "yes") }).await;
    assert!(matches!(late, Err(DecideError::Signal(_) | DecideError::NotOpen(_))), "{late:?}");
    let odd =
        bench.driver.decide(&second, Answer { approval_id: Some(CallId(99)), ..by(approver("bob"), "yes") }).await;
    assert!(matches!(odd, Err(DecideError::NotOpen(CallId(99)))), "{odd:?}");
    let row = bench.store.approval(&first, call).await.unwrap().unwrap();
    assert_eq!((row.status, row.decision), (ApprovalStatus::Withdrawn, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_at_a_limit_takes_somebody_who_may_run_executions_too() {
    let bench = Bench::new(&["echo"]).await;
    let guardrails = json!({ "tool_calls_limit": 0, "on_exceeded": "pause" });
    let step = json!({ "id": "a", "type": "tool", "tool": "echo.run", "tool_args": { "n": 1 } });
    let workflow = bench.save(json!({ "name": "tight", "guardrails": guardrails, "steps": [step] })).await;
    let id = bench.start(&workflow, json!({})).await;
    bench.log_until(&id, |log| count(log, |event| matches!(event, Event::Paused { .. })) > 0).await;
    let raise = |principal| Answer { data: Some(json!({ "tool_calls_limit": 5 }).into()), ..by(principal, "raise") };
    for roles in [&[Role::Approver][..], &[Role::Operator]] {
        let refused = bench.driver.decide(&id, raise(user("bob", roles))).await;
        assert!(matches!(refused, Err(DecideError::NotAllowed(_))), "{refused:?}");
    }
    bench.driver.decide(&id, raise(user("bob", &[Role::Approver, Role::Operator]))).await.unwrap();
    bench.log_until(&id, has_ended).await;
}

/// Every order of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let longer = |order: &Vec<usize>| {
        (0..n)
            .map(|at| {
                let mut order = order.clone();
                order.insert(at, n - 1);
                order
            })
            .collect::<Vec<_>>()
    };
    shorter.iter().flat_map(longer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_in_loops_branches_and_nested_blocks_are_answered_in_every_order_with_restarts_between() {
    let human = |id: &str| {
        json!({ "id": id, "type": "human", "human_config": {
        "notification": "Go on?", "options": [{ "id": "yes" }, { "id": "no" }] } })
    };
    let looped = json!({ "id": "each", "type": "loop", "loop_config": {
        "items_path": "$.input.items", "max_concurrency": 2, "steps": [human("inner")] } });
    let both = json!({ "id": "both", "type": "parallel", "parallel_steps": [human("left"), [looped]] });
    let mut bench = Bench::new(&[]).await;
    let workflow = bench.save(json!({ "name": "nested", "steps": [both, human("last")] })).await;
    let paths = ["both.left", "both.each[0].inner", "both.each[1].inner"];
    for (n, order) in orders(3).into_iter().enumerate() {
        let id = bench.start(&workflow, json!({ "items": [1, 2] })).await;
        let mut calls = Vec::new();
        for path in paths {
            calls.push(bench.question(&id, path).await);
        }
        for (turn, index) in order.iter().enumerate() {
            if turn == n % 3 {
                bench = bench.restarted().await;
            }
            let answer = Answer { approval_id: Some(calls[*index]), ..by(approver("bob"), "yes") };
            bench.driver.decide(&id, answer.clone()).await.unwrap();
            assert!(bench.driver.decide(&id, answer).await.is_err(), "an answer counts once");
        }
        let last = bench.question(&id, "last").await;
        bench = bench.restarted().await;
        bench.driver.decide(&id, Answer { approval_id: Some(last), ..by(approver("bob"), "no") }).await.unwrap();
        let log = bench.log_until(&id, has_ended).await;
        assert_eq!(count(&log, |event| matches!(event, Event::Decided { .. })), 4, "{order:?}");
        assert_eq!(count(&log, |event| matches!(event, Event::StepCompleted { .. })), 6, "{order:?}");
    }
}
