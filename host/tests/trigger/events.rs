//! Events and the ends of other workflows: what they start, once, and where chains end.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{execution::Status, json::Json};
use weir_host::{
    driver::DriverConfig,
    store::{
        AuditEntry, AuditFilter, ExecutionFilter, ExecutionRow, NewBusEvent, NewWorkflow, OccurrenceRow,
        OccurrenceStatus, StoredExecution, TriggerRow,
    },
    trigger::{FAN_OUT_MAX, LINEAGE_MAX, Triggers, cloud_event},
};

use crate::driver::support::{Bench, PATIENCE, start};

/// A driver, and triggers over it that dispatch when the test says so.
pub(super) struct Desk {
    pub(super) bench: Bench,
    triggers: Triggers,
}

/// A workflow that ends at once, with these triggers.
fn flow(name: &str, triggers: Value) -> Value {
    json!({ "name": name, "triggers": triggers, "steps": [{ "id": "is_set", "type": "condition",
        "condition": { "field": "$.input.a", "operator": "exists" } }],
        "output": { "input": "$.input", "trigger": "$.trigger" } })
}

fn on_event(event_type: &str) -> Value {
    json!({ "type": "event", "config": { "event_type": event_type } })
}

pub(super) fn after(config: Value) -> Value {
    json!({ "type": "agent_completion", "config": config })
}

fn event(id: &str, event_type: &str, data: Value) -> NewBusEvent {
    cloud_event::structured(
        &json!({ "specversion": "1.0", "source": "/test", "id": id, "type": event_type, "data": data }),
    )
    .unwrap()
}

impl Desk {
    pub(super) async fn new(guests: &[&str]) -> Self {
        Self::over(Bench::new(guests).await)
    }

    pub(super) fn over(bench: Bench) -> Self {
        let triggers = Triggers::new(bench.store.clone(), bench.driver.clone());
        Self { bench, triggers }
    }

    /// The host is gone in the middle of things, and another one starts on the same directory.
    pub(super) async fn restarted(self) -> Self {
        let Self { bench, triggers } = self;
        triggers.stop().await;
        drop(triggers);
        let Bench { driver, store, directory } = bench;
        driver.stop().await;
        drop(driver);
        store.close().await;
        drop(store);
        let desk = Self::over(Bench::open(directory, DriverConfig::default()).await);
        desk.bench.driver.recover().await.unwrap();
        desk
    }

    async fn new_workflow(&self, definition: Value) -> NewWorkflow {
        let checked = self.triggers.check(&definition).await.unwrap();
        assert!(checked.valid, "{:#?}", checked.diagnostics);
        let (name, active) = (checked.definition.name, checked.definition.active);
        NewWorkflow {
            name,
            description: None,
            active,
            definition: Json::from_value(definition),
            triggers: checked.triggers,
            entries: Vec::new(),
            expected_version: None,
            owner: None,
        }
    }

    pub(super) async fn save(&self, definition: Value) -> Vec<TriggerRow> {
        let saved = self.bench.store.create_workflow(self.new_workflow(definition).await).await.unwrap();
        self.triggers.changed();
        self.bench.store.triggers_of(&saved.workflow.id).await.unwrap()
    }

    /// Starts a workflow by hand and waits for its end.
    pub(super) async fn run(&self, name: &str, input: Value) -> Arc<str> {
        let current = self.bench.driver.current(name).await.unwrap().unwrap();
        let answer = self.bench.driver.start(start(&current.version, input, Some(PATIENCE))).await.unwrap();
        assert!(answer.finished.is_some(), "it ends in time");
        answer.execution_id
    }

    async fn send(&self, events: &[NewBusEvent]) -> u64 {
        self.bench.store.accept_events(events).await.unwrap()
    }

    pub(super) async fn dispatch(&self) {
        assert_eq!(self.triggers.dispatch().await.unwrap(), 0);
    }

    pub(super) async fn occurrences(&self, trigger: &TriggerRow) -> Vec<OccurrenceRow> {
        let mut rows = self.bench.store.occurrences(&trigger.id, None, 200).await.unwrap();
        rows.reverse();
        rows
    }

    /// The execution of the only occurrence of a trigger, at its end.
    async fn only(&self, trigger: &TriggerRow) -> StoredExecution {
        let rows = self.occurrences(trigger).await;
        let [row] = rows.as_slice() else { panic!("not one: {rows:#?}") };
        let id = row.execution_id.as_deref().unwrap_or_else(|| panic!("it started nothing: {row:?}"));
        self.ended(id).await
    }

    async fn ended(&self, id: &str) -> StoredExecution {
        self.bench.log_until(id, |log| log.last().is_some_and(|record| is_end(&record.event))).await;
        self.bench.store.execution_with_documents(id).await.unwrap().unwrap()
    }

    pub(super) async fn executions(&self) -> Vec<ExecutionRow> {
        self.bench.store.executions(&ExecutionFilter::default(), None, 200).await.unwrap()
    }

    /// Dispatches whenever something was stored, until `done`.
    pub(super) async fn dispatch_until(&self, done: impl AsyncFn() -> bool) {
        let news = self.bench.store.bus_news();
        tokio::time::timeout(PATIENCE, async {
            loop {
                self.dispatch().await;
                if done().await {
                    return;
                }
                news.notified().await;
            }
        })
        .await
        .expect("it gets there in time");
    }
}

fn is_end(event: &weir_engine::event::Event) -> bool {
    use weir_engine::event::Event;
    matches!(
        event,
        Event::ExecutionCompleted { .. }
            | Event::ExecutionFailed { .. }
            | Event::ExecutionTimedOut { .. }
            | Event::ExecutionCancelled { .. }
    )
}

#[tokio::test]
async fn an_event_starts_what_waits_for_its_type() {
    let desk = Desk::new(&[]).await;
    let [exact, prefix, other] = desk
        .save(flow("flow", json!([on_event("com.example.order"), on_event("com.example.*"), on_event("com.exam.*")])))
        .await
        .try_into()
        .unwrap();
    desk.send(&[event("1", "com.example.order", json!({ "n": 1 }))]).await;
    desk.dispatch().await;
    let execution = desk.only(&exact).await;
    assert_eq!(execution.row.trigger_source, "event");
    assert_eq!(execution.input.value(), &json!({ "n": 1 }));
    let trigger = execution.trigger.value();
    assert_eq!((&trigger["type"], trigger["id"].as_str()), (&json!("event"), Some(&*exact.id)));
    assert_eq!(trigger["event"]["type"], "com.example.order");
    assert!(trigger["event"].get("data").is_none() && trigger.get("lineage").is_none(), "{trigger}");
    desk.only(&prefix).await;
    assert!(desk.occurrences(&other).await.is_empty());
    assert!(desk.bench.store.undispatched(0).await.unwrap().is_empty());
    assert_eq!(desk.bench.store.trigger(&exact.id).await.unwrap().unwrap().fired, 1);
}

#[tokio::test]
async fn filters_look_at_data_and_attributes() {
    let desk = Desk::new(&[]).await;
    let filtered = |filter: Value| json!({ "type": "event", "config": { "event_type": "t", "event_filter": filter } });
    let triggers = desk
        .save(flow(
            "flow",
            json!([
                filtered(json!({ "kind": "big" })),
                filtered(json!({ "kind": "big", "source": "/test" })),
                filtered(json!({ "kind": "big", "source": "/other" })),
                filtered(json!({ "field": "$.input.n", "operator": "gt", "value": 5 })),
                filtered(json!({ "field": "$.trigger.event.source", "operator": "eq", "value": "/test" })),
            ]),
        ))
        .await;
    desk.send(&[event("1", "t", json!({ "kind": "big", "n": 3 })), event("2", "t", json!({ "n": 7 }))]).await;
    desk.dispatch().await;
    let mut counts = Vec::new();
    for trigger in &triggers {
        counts.push(desk.occurrences(trigger).await.len());
    }
    assert_eq!(counts, [1, 1, 0, 1, 2]);
}

#[tokio::test]
async fn what_is_switched_off_is_not_started() {
    let desk = Desk::new(&[]).await;
    let triggers = desk.save(flow("flow", json!([on_event("t"), on_event("t")]))).await;
    let audit = || AuditEntry::done("tester", "trigger.disable", "x");
    desk.triggers.disable(&triggers[0], audit()).await.unwrap();
    desk.send(&[event("1", "t", json!({}))]).await;
    desk.dispatch().await;
    assert!(desk.occurrences(&triggers[0]).await.is_empty());
    assert_eq!(desk.occurrences(&triggers[1]).await.len(), 1);
    desk.triggers.enable(&triggers[0], audit()).await.unwrap();
    let inactive = NewWorkflow { active: false, ..desk.new_workflow(flow("flow", json!([on_event("t")]))).await };
    desk.send(&[event("2", "t", json!({}))]).await;
    desk.dispatch().await;
    assert_eq!(desk.occurrences(&triggers[0]).await.len(), 1, "what came while it was off stays missed");
    desk.bench.store.update_workflow(&triggers[0].workflow_id, inactive).await.unwrap();
    desk.triggers.changed();
    desk.send(&[event("3", "t", json!({}))]).await;
    desk.dispatch().await;
    assert_eq!(desk.occurrences(&triggers[0]).await.len(), 1);
}

#[tokio::test]
async fn a_hundred_copies_at_once_start_one_execution() {
    let desk = Desk::new(&[]).await;
    let triggers = desk.save(flow("flow", json!([on_event("t")]))).await;
    let copies = (0..100).map(|n| {
        let store = desk.bench.store.clone();
        tokio::spawn(async move { store.accept_events(&[event("same", "t", json!({ "n": n }))]).await.unwrap() })
    });
    let mut accepted = 0;
    for copy in copies.collect::<Vec<_>>() {
        accepted += copy.await.unwrap();
    }
    assert_eq!(accepted, 1);
    desk.dispatch().await;
    desk.only(&triggers[0]).await;
    let again = [event("same", "t", json!({})), event("new", "t", json!({})), event("new", "t", json!({}))];
    assert_eq!(desk.send(&again).await, 1, "copies in one batch are one");
}

#[tokio::test]
async fn b15_a_host_that_dies_between_start_and_mark_starts_nothing_twice() {
    let desk = Desk::new(&[]).await;
    let first = desk.save(flow("first", json!([on_event("t")]))).await;
    let second = desk.save(flow("second", json!([on_event("t")]))).await;
    desk.send(&[event("1", "t", json!({ "n": 1 }))]).await;
    let row = desk.bench.store.undispatched(0).await.unwrap().remove(0);
    // What the dispatcher does for the first of two triggers, and no mark.
    let firing = weir_host::trigger::Firing {
        key: format!("{} {}", row.source, row.id),
        scheduled_for: None,
        input: Json::from_value(json!({ "n": 1 })),
        trigger: weir_host::trigger::about(&first[0], json!({})),
        moved: None,
        wait: None,
        companions: weir_host::driver::Companions::default(),
    };
    let fired = desk.triggers.fire(&first[0], firing).await.unwrap();
    let desk = desk.restarted().await;
    assert_eq!(desk.bench.store.undispatched(0).await.unwrap().len(), 1);
    desk.dispatch().await;
    assert_eq!(desk.only(&first[0]).await.row.id, fired.execution_id);
    desk.only(&second[0]).await;
    desk.dispatch().await;
    assert_eq!(desk.executions().await.len(), 2);
    assert_eq!(desk.bench.store.trigger(&first[0].id).await.unwrap().unwrap().fired, 1);
}

#[tokio::test]
async fn an_event_that_cannot_start_anything_does_not_hold_up_the_others() {
    let desk = Desk::new(&[]).await;
    let mut strict = flow("strict", json!([on_event("t")]));
    strict["input_schema"] = json!({ "type": "object", "required": ["n"] });
    let triggers = desk.save(strict).await;
    desk.send(&[event("1", "t", json!("poison")), event("2", "t", json!({ "n": 2 }))]).await;
    desk.dispatch().await;
    let rows = desk.occurrences(&triggers[0]).await;
    assert_eq!(rows.len(), 2);
    let failed = rows.iter().find(|row| row.status == OccurrenceStatus::Failed).unwrap();
    assert!(failed.key.ends_with(" 1") && failed.reason.as_deref().unwrap().starts_with("invalid_input"), "{failed:?}");
    assert!(desk.bench.store.undispatched(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn r22_one_event_fires_at_most_a_hundred_triggers() {
    let desk = Desk::new(&[]).await;
    let mut triggers = Vec::new();
    for name in ["a", "b", "c", "d"] {
        triggers.extend(desk.save(flow(name, Value::Array(vec![on_event("t"); 30]))).await);
    }
    desk.send(&[event("1", "t", json!({}))]).await;
    desk.dispatch().await;
    let (mut fired, mut failed) = (0, 0);
    for trigger in &triggers {
        let rows = desk.occurrences(trigger).await;
        assert_eq!(rows.len(), 1);
        if rows[0].status == OccurrenceStatus::Fired {
            fired += 1;
        } else {
            failed += 1;
            assert!(rows[0].reason.as_deref().unwrap().starts_with("fan_out"), "{rows:?}");
        }
    }
    assert_eq!((fired, failed), (FAN_OUT_MAX, triggers.len() - FAN_OUT_MAX));
}

#[tokio::test]
async fn nobody_waits_and_nothing_is_written() {
    let desk = Desk::new(&[]).await;
    desk.save(flow("quiet", json!([]))).await;
    desk.save(flow("waits", json!([on_event("com.example.*"), after(json!({ "workflow_id": "else" }))]))).await;
    desk.run("quiet", json!({})).await;
    assert!(desk.bench.store.bus_events(&Default::default(), None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_end_of_a_workflow_starts_those_that_wait_for_it() {
    let desk = Desk::new(&[]).await;
    desk.save(flow("first", json!([]))).await;
    let waiting = json!([
        after(json!({ "workflow_id": "First" })),
        after(json!({ "workflow_id": "first", "status": "failed" })),
        on_event("weir.execution.completed"),
    ]);
    let [completed, failed, told] = desk.save(flow("second", waiting)).await.try_into().unwrap();
    // The workflow's own end is told as well, and would start it again: its chain is not what is looked at here.
    let origin = desk.run("first", json!({ "a": 1 })).await;
    desk.dispatch().await;
    let execution = desk.only(&completed).await;
    assert_eq!(execution.input.value()["input"], json!({ "a": 1 }), "the output of the first");
    let trigger = execution.trigger.value();
    assert_eq!((&trigger["type"], &trigger["status"]), (&json!("agent_completion"), &json!("completed")));
    assert_eq!((trigger["execution_id"].as_str(), &trigger["workflow"]["name"]), (Some(&*origin), &json!("first")));
    assert_eq!(trigger["lineage"], json!([{ "workflow": "first", "execution_id": origin }]));
    assert!(desk.occurrences(&failed).await.is_empty());
    let told = desk.occurrences(&told).await;
    let execution = desk.ended(told[0].execution_id.as_deref().unwrap()).await;
    assert_eq!(execution.input.value()["execution_id"].as_str(), Some(&*origin));
    assert_eq!(execution.trigger.value()["event"]["source"], "weir:host");
}

#[tokio::test]
async fn the_end_of_an_agent_step_starts_those_that_wait_for_it() {
    let desk = Desk::new(&["echo", "h10_agent"]).await;
    let agent = json!({ "id": "act", "type": "agent", "agent": "h10_agent.act", "agent_prompt": { "calls": "$.input.calls" },
        "agent_config": { "tools": ["echo.run"] } });
    desk.save(json!({ "name": "agents", "steps": [
        { "id": "ask", "type": "human", "human_config": { "notification": "go on?", "options": [{ "id": "yes" }] } }, agent],
    }))
    .await;
    let waiting = json!([
        after(json!({ "agent_id": "h10_agent.act" })),
        after(json!({ "agent_id": "act", "status": ["failed", "timeout"] })),
        after(json!({ "agent_id": "act", "workflow_id": "other" })),
        on_event("weir.approval.*"),
    ]);
    let [done, failed, other, people] = desk.save(flow("after", waiting)).await.try_into().unwrap();
    let current = desk.bench.driver.current("agents").await.unwrap().unwrap();
    for calls in [json!(2), json!("none")] {
        let id = desk.bench.start(&current.version, json!({ "calls": calls })).await;
        desk.bench.question(&id, "ask").await;
        desk.bench.driver.decide(&id, crate::driver::support::answer("yes")).await.unwrap();
        desk.ended(&id).await;
    }
    desk.dispatch().await;
    let execution = desk.only(&done).await;
    assert_eq!(execution.input.value(), &json!([0, 1]));
    let trigger = execution.trigger.value();
    assert_eq!((&trigger["agent"], &trigger["step_id"]), (&json!("h10_agent.act"), &json!("act")));
    let execution = desk.only(&failed).await;
    assert_eq!(execution.trigger.value()["status"], "failed");
    assert!(execution.trigger.value()["error"]["code"].is_string());
    assert!(desk.occurrences(&other).await.is_empty());
    assert_eq!(desk.occurrences(&people).await.len(), 4, "asked and answered, twice");
}

#[tokio::test]
async fn r22_a_cycle_of_workflows_ends_and_is_audited() {
    let desk = Desk::new(&[]).await;
    let a = desk.save(flow("a", json!([after(json!({ "workflow_id": "b" }))]))).await;
    let b = desk.save(flow("b", json!([after(json!({ "workflow_id": "a" }))]))).await;
    desk.run("a", json!({})).await;
    let refused = AuditFilter { act: Some("execution.start".to_owned()), ..AuditFilter::default() };
    let audit = async || desk.bench.store.audit_rows(&refused, None, 10).await.unwrap();
    desk.dispatch_until(async || !audit().await.is_empty()).await;
    desk.dispatch().await;
    let executions = desk.executions().await;
    assert_eq!(executions.len(), 1 + LINEAGE_MAX);
    assert!(executions.iter().all(|row| row.status == Status::Completed));
    let mut all = desk.occurrences(&a[0]).await;
    all.extend(desk.occurrences(&b[0]).await);
    let failed: Vec<_> = all.iter().filter(|row| row.status == OccurrenceStatus::Failed).collect();
    let [failed] = failed.as_slice() else { panic!("not one: {failed:#?}") };
    let reason = failed.reason.as_deref().unwrap();
    assert!(reason.starts_with("lineage: ") && reason.contains("a → b → a"), "{reason}");
    let rows = audit().await;
    assert_eq!((rows.len(), rows[0].outcome.as_str()), (1, "refused"));
    assert!(rows[0].details.as_deref().unwrap().contains("lineage"), "{rows:?}");
    assert!(desk.bench.store.undispatched(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn published_workflows_are_told_of() {
    let desk = Desk::new(&[]).await;
    let watching = desk.save(flow("watch", json!([on_event("weir.workflow.published")]))).await;
    desk.save(flow("new", json!([]))).await;
    desk.dispatch().await;
    let execution = desk.only(&watching[0]).await;
    assert_eq!(execution.input.value()["workflow"]["name"], "new");
}

#[tokio::test]
async fn an_output_that_is_too_large_for_an_event_is_read_from_the_log() {
    let desk = Desk::new(&[]).await;
    desk.save(flow("first", json!([]))).await;
    let waiting = json!([after(json!({ "workflow_id": "first" }))]);
    let triggers = desk.save(flow("second", waiting)).await;
    let text = "x".repeat(1_200_000);
    desk.run("first", json!({ "a": text })).await;
    let told = desk.bench.store.undispatched(0).await.unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].event.text().len() < 10_000 && told[0].event.value()["data"]["output_omitted"] == true);
    desk.dispatch().await;
    let execution = desk.only(&triggers[0]).await;
    assert_eq!(execution.input.value()["input"]["a"].as_str().map(str::len), Some(text.len()));
}

#[tokio::test]
async fn only_what_is_old_and_dispatched_is_forgotten() {
    let desk = Desk::new(&[]).await;
    let store = &desk.bench.store;
    desk.send(&[event("1", "t", json!({})), event("2", "t", json!({}))]).await;
    store.mark_dispatched(&[1]).await.unwrap();
    let now = weir_host::store::now();
    assert_eq!(store.forget_events(now).await.unwrap(), 0);
    assert_eq!(store.forget_events(now.plus_ms(31 * 24 * 3_600_000)).await.unwrap(), 1);
    assert_eq!(store.undispatched(0).await.unwrap().len(), 1);
}
