//! Steps and approvals follow from events, however those were cut into appends.

use std::sync::Arc;

use weir_engine::{
    event::{Event, LogLine, Report, Skipped, StepType, Work},
    execution::Status,
    failure::{Failure, FailureCode},
    id::{CallId, EffectId, ScopeId},
    json::Json,
    limits::Amounts,
};
use weir_host::store::{ApprovalFilter, ApprovalRow, ApprovalStatus, StepCursor, StepRow, StepStatus, Store};

use super::made::{
    append, chain, completed, decided, ended, failed, human, id, names, open, reassigned, records, started, step, tool,
    voted,
};

/// Every way a step can go.
fn everything(id: &Arc<str>) -> Vec<Event> {
    let failure = || Failure::new(FailureCode::Unavailable, "could not reach it");
    let report = Report {
        usage: Amounts { tool_calls: 1, ..Amounts::default() },
        fuel: Some(77),
        logs: vec![LogLine { level: "info".to_owned(), message: "hello".to_owned() }],
        warnings: vec!["look".to_owned()],
    };
    let done = |call, report| {
        let output = Json::parse("[1, 2]").unwrap();
        Event::StepCompleted { call: CallId(call), output, next: weir_engine::event::Next::End, report }
    };
    let retry = Event::RetryScheduled {
        call: CallId(2),
        attempt: 1,
        due: weir_engine::id::Timestamp(0),
        failure: failure(),
        report: Report::default(),
    };
    let skipped = |names: [&str; 2]| names.map(|name| Skipped { step: name.into(), path: name.into() }).to_vec();
    let looped = Work::Loop { items: Json::parse("[1]").unwrap(), count: 1, omitted: 3 };
    vec![
        started(id, "w"),
        tool("tried"),
        retry,
        Event::AttemptStarted { call: CallId(2), attempt: 1 },
        Event::CallInterrupted { call: CallId(2), attempt: 2 },
        done(2, report),
        human("answered"),
        decided(7),
        completed(7),
        human("lapsed"),
        Event::StepSkipped { call: CallId(10), next: weir_engine::event::Next::End },
        human("late"),
        failed(12, Failure::new(FailureCode::ApprovalTimeout, "nobody answered")),
        step(0, "loop", StepType::Loop, looped),
        Event::ScopeOpened { call: CallId(14), index: 0 },
        step(15, "inner", StepType::Condition, Work::Condition { warnings: vec!["odd".to_owned()] }),
        completed(16),
        Event::ScopeCompleted { scope: ScopeId(15), skipped: skipped(["never", "reached"]) },
        completed(14),
        tool("slow"),
        failed(20, Failure::new(FailureCode::Timeout, "too slow")),
        tool("broken"),
        failed(22, failure()),
        human("given up"),
        Event::StepCancelled { call: CallId(24) },
        human("open"),
        tool("running"),
        human("shared"),
        voted(28, "user:bob", "no"),
        reassigned(28, &["kim", "alex"]),
        voted(28, "user:kim", "yes"),
        decided(28),
        completed(28),
        human("passed on"),
        reassigned(34, &["kim"]),
        tool("allowed"),
        wants_leave(36, "allowed"),
        wants_leave(36, "allowed"),
        decided(37),
        decided(38),
        tool("half allowed"),
        wants_leave(41, "half allowed"),
        wants_leave(41, "half allowed"),
        decided(42),
    ]
}

/// The agent of a visit wants to call a tool, and asks.
fn wants_leave(call: u64, path: &str) -> Event {
    Event::Deferred {
        call: CallId(call),
        effect: EffectId::CALL.child(1),
        step: path.into(),
        path: path.into(),
        request: Json::parse(r#"{"tool":"text.count"}"#).unwrap(),
        due: None,
    }
}

async fn rows(store: &Store, id: &str) -> (Vec<StepRow>, Vec<ApprovalRow>) {
    let mut steps = Vec::new();
    let mut after = StepCursor::default();
    loop {
        let page = store.steps(id, after, 4).await.unwrap();
        steps.extend(page.rows);
        let Some(next) = page.next else { break };
        after = next;
    }
    let approvals = store.approvals_of(id, CallId(0), 200).await.unwrap();
    let people: Vec<String> =
        store.decisions_of(id, CallId(28)).await.unwrap().into_iter().map(|decision| decision.decided_by).collect();
    assert!(people.is_empty() || people.last().is_some_and(|last| last == "ann"), "{people:?}");
    (steps, approvals)
}

/// Appends the events in pieces of `size` and answers what the store then shows, without the execution's id.
async fn shown(store: &Store, size: usize) -> (Vec<StepRow>, Vec<ApprovalRow>) {
    let id = id();
    let all = records(1, everything(&id));
    for piece in all.chunks(size) {
        store.append(append(&id, piece.to_vec(), Status::Running)).await.unwrap();
    }
    let (mut steps, mut approvals) = rows(store, &id).await;
    steps.iter_mut().for_each(|row| row.execution_id = "".into());
    approvals.iter_mut().for_each(|row| row.execution_id = "".into());
    (steps, approvals)
}

#[tokio::test]
async fn the_same_events_lead_to_the_same_rows() {
    let (_folder, store) = open().await;
    let whole = shown(&store, 1000).await;
    for size in 1..=9 {
        assert_eq!(shown(&store, size).await, whole, "appended {size} at a time");
    }
}

#[tokio::test]
async fn each_step_shows_how_it_went() {
    let (_folder, store) = open().await;
    let (steps, approvals) = shown(&store, 1000).await;
    let seen: Vec<_> = steps.iter().map(|row| (&*row.step_id, row.status, row.attempt, row.scope.0)).collect();
    use StepStatus::{AwaitingHuman, Cancelled, Completed, Failed, Running, Skipped, Timeout};
    let expected = [
        ("tried", Completed, 2, 0),
        ("answered", Completed, 0, 0),
        ("lapsed", Skipped, 0, 0),
        ("late", Failed, 0, 0),
        ("loop", Completed, 0, 0),
        ("inner", Completed, 0, 15),
        ("never", Skipped, 0, 15),
        ("reached", Skipped, 0, 15),
        ("slow", Timeout, 0, 0),
        ("broken", Failed, 0, 0),
        ("given up", Cancelled, 0, 0),
        ("open", AwaitingHuman, 0, 0),
        ("running", Running, 0, 0),
        ("shared", Completed, 0, 0),
        ("passed on", AwaitingHuman, 0, 0),
        ("allowed", Running, 0, 0),
        ("half allowed", AwaitingHuman, 0, 0),
    ];
    assert_eq!(seen, expected);
    let tried = &steps[0];
    assert_eq!((tried.fuel, tried.usage.tool_calls, tried.logs.len()), (Some(77), 1, 1));
    assert_eq!(tried.warnings, ["look"]);
    assert_eq!(tried.input.as_ref().unwrap().text(), r#"{"of":"tried"}"#);
    assert_eq!(tried.output.as_ref().unwrap().text(), "[1, 2]");
    assert_eq!(steps[9].failure.as_ref().unwrap().code, FailureCode::Unavailable);
    assert_eq!(steps[4].warnings, ["3 items were left out: max_iterations lets 1 run"]);
    assert_eq!(steps[5].warnings, ["odd"]);
    let asked: Vec<_> = approvals.iter().map(|row| (&*row.step_id, row.status)).collect();
    use ApprovalStatus::{Decided, Lapsed, Pending, Withdrawn};
    let expected = [
        ("answered", Decided),
        ("lapsed", Lapsed),
        ("late", Lapsed),
        ("given up", Withdrawn),
        ("open", Pending),
        ("shared", Decided),
        ("passed on", Pending),
        ("allowed", Decided),
        ("allowed", Decided),
        ("half allowed", Decided),
        ("half allowed", Pending),
    ];
    assert_eq!(asked, expected);
    assert_eq!(
        (&approvals[5].approvers.users, &approvals[6].approvers.users),
        (&names(&["kim", "alex"]), &names(&["kim"]))
    );
    let decision = approvals[0].decision.as_ref().unwrap();
    assert_eq!(decision.comment.as_deref(), Some("fine \u{0} by me"));
    assert_eq!((&*approvals[0].workflow_id, approvals[0].closed_at.is_some()), ("w", true));
}

#[tokio::test]
async fn pending_approvals_are_listed_newest_first() {
    let (_folder, store) = open().await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let id = id();
        let workflow = if n % 2 == 0 { "even" } else { "odd" };
        let events = [started(&id, workflow), human("ask")];
        store.append(append(&id, records(1, events), Status::AwaitingHuman)).await.unwrap();
        ids.push(id);
    }
    store.append(append(&ids[3], records(3, [decided(2), completed(2), ended()]), Status::Completed)).await.unwrap();
    let all = ApprovalFilter::default();
    let mut seen: Vec<ApprovalRow> = Vec::new();
    loop {
        let before = seen.last().map(|row| (&*row.execution_id, row.call));
        let page = store.pending_approvals(&all, before, 5).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    let mut expected = ids.clone();
    expected.remove(3);
    expected.reverse();
    assert_eq!(seen.iter().map(|row| row.execution_id.clone()).collect::<Vec<_>>(), expected);
    let odd = ApprovalFilter { workflow_id: Some("odd".to_owned()), ..ApprovalFilter::default() };
    assert_eq!(store.pending_approvals(&odd, None, 50).await.unwrap().len(), 5);
    let closed = store.approval(&ids[3], CallId(2)).await.unwrap().unwrap();
    assert_eq!(closed.status, ApprovalStatus::Decided);
    assert_eq!(closed.request.text(), r#"{"notification":"ask"}"#);
}

#[tokio::test]
async fn outputs_of_the_root_block_are_the_latest() {
    let (_folder, store) = open().await;
    let id = id();
    store.append(chain(&id, "w")).await.unwrap();
    let outputs = store.step_outputs(&id).await.unwrap();
    let seen: Vec<_> = outputs.iter().map(|output| (&*output.step_id, output.output.text())).collect();
    assert_eq!(seen, [("a", r#"{"from":2}"#), ("b", r#"{"from":4}"#), ("c", r#"{"from":6}"#)]);
    let page = store.steps(&id, StepCursor::default(), 200).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (3, None));
}
