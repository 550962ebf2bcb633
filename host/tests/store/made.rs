//! Logs made by hand.

use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;
use weir_engine::{
    approvers::Approvers,
    event::{Decision, Event, Next, Record, Report, Started, StepType, Work},
    execution::{Status, Summary},
    failure::Failure,
    id::{CallId, ScopeId, Timestamp},
    json::Json,
    limits::{Amounts, Limits},
};
use weir_host::store::{Append, Store, StoreOptions};

/// 2026-01-01T00:00:00Z in microseconds.
pub(crate) const BEGIN: i64 = 1_767_225_600_000_000;

pub(crate) async fn open() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
    (folder, store)
}

pub(crate) fn id() -> Arc<str> {
    uuid::Uuid::now_v7().to_string().into()
}

pub(crate) fn started(execution_id: &Arc<str>, workflow_id: &str) -> Event {
    Event::ExecutionStarted(Arc::new(Started {
        execution_id: Arc::clone(execution_id),
        workflow_id: workflow_id.into(),
        workflow_name: "Ünï \"quoted\" 🦀".into(),
        workflow_version: 3,
        trigger: Json::from_value(json!({"type": "manual"})),
        input: Json::from_value(json!({"text": "hello \u{0} there"})),
        limits: Limits::default(),
        deadline: None,
        targets: Arc::default(),
    }))
}

pub(crate) fn step(scope: u64, step: &str, kind: StepType, work: Work) -> Event {
    let (scope, path) = (ScopeId(scope), step.into());
    Event::StepStarted { scope, step: step.into(), kind, visit: 1, path, deadline: None, work }
}

pub(crate) fn tool(name: &str) -> Event {
    step(0, name, StepType::Tool, Work::Call { input: Json::from_value(json!({"of": name})) })
}

pub(crate) fn human(name: &str) -> Event {
    let request = Json::from_value(json!({"notification": name}));
    step(0, name, StepType::Human, Work::Human { request, due: Some(Timestamp(BEGIN * 2)) })
}

pub(crate) fn completed(call: u64) -> Event {
    let output = Json::from_value(json!({"from": call}));
    Event::StepCompleted { call: CallId(call), output, next: Next::End, report: Report::default() }
}

pub(crate) fn failed(call: u64, failure: Failure) -> Event {
    let then = weir_engine::event::AfterFailure::Fail;
    Event::StepFailed { call: CallId(call), failure, then, report: Report::default() }
}

pub(crate) fn decided(call: u64) -> Event {
    let decision = Decision {
        option_id: Some("yes".to_owned()),
        comment: Some("fine \u{0} by me".to_owned()),
        data: None,
        decided_by: "ann".to_owned(),
        decided_at: "2026-01-01T00:00:00Z".to_owned(),
        request_digest: None,
    };
    Event::Decided { call: CallId(call), decision }
}

pub(crate) fn ended() -> Event {
    Event::ExecutionCompleted { output: Json::from_value(json!({"done": true})), skipped: Vec::new() }
}

/// The events as records with numbers from `first`, a millisecond apart.
pub(crate) fn records(first: u64, events: impl IntoIterator<Item = Event>) -> Vec<Record> {
    let record = |(seq, event): (u64, Event)| Record { seq, at: Timestamp(BEGIN + 1000 * seq.cast_signed()), event };
    (first..).zip(events).map(record).collect()
}

pub(crate) fn summary(status: Status) -> Summary {
    let usage = Amounts { steps: 3, tool_calls: 2, ..Amounts::default() };
    let current_step = Some("c".into());
    Summary { status, current_step, usage, wake_at: None, idle: false, output: None, failure: None, paused: None }
}

pub(crate) fn append(id: &Arc<str>, records: Vec<Record>, status: Status) -> Append {
    Append {
        execution_id: Arc::clone(id),
        records: Arc::new(records),
        summary: summary(status),
        companions: Vec::new(),
    }
}

/// A chain of three tool steps from its start to its end.
pub(crate) fn chain(id: &Arc<str>, workflow_id: &str) -> Append {
    let steps = [tool("a"), completed(2), tool("b"), completed(4), tool("c"), completed(6)];
    let events = [started(id, workflow_id)].into_iter().chain(steps).chain([ended()]);
    append(id, records(1, events), Status::Completed)
}

/// An execution that has started and stands so.
pub(crate) fn begun(id: &Arc<str>, workflow_id: &str, status: Status) -> Append {
    append(id, records(1, [started(id, workflow_id)]), status)
}

pub(crate) fn voted(call: u64, person: &str, option: &str) -> Event {
    let decision = Decision {
        option_id: Some(option.to_owned()),
        comment: None,
        data: None,
        decided_by: person.to_owned(),
        decided_at: "2026-01-01T00:00:00Z".to_owned(),
        request_digest: Some("d".repeat(64)),
    };
    Event::Voted { call: CallId(call), decision }
}

pub(crate) fn reassigned(call: u64, users: &[&str]) -> Event {
    let approvers = Approvers { users: names(users), ..Approvers::default() };
    Event::Reassigned { call: CallId(call), approvers, reassigned_by: "ann".to_owned() }
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A question that names who may decide it, and where to tell them.
pub(crate) fn question(approvers: serde_json::Value, channels: &[&str], due: Option<i64>) -> Event {
    let request = Json::from_value(json!({ "notification": "?", "approvers": approvers, "channels": channels }));
    step(0, "ask", StepType::Human, Work::Human { request, due: due.map(Timestamp) })
}
