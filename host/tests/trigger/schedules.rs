//! Schedules with a clock of the test's own: what runs, what is skipped, and what never happens twice.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use weir_engine::{id::Timestamp, json::Json};
use weir_host::{
    driver::{Companions, DriverConfig},
    store::{AuditEntry, NewWorkflow, OccurrenceRow, OccurrenceStatus, TriggerRow},
    trigger::{FireError, Triggers, cron::Schedule},
};

use crate::driver::support::{Bench, PATIENCE, answer};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// A driver, triggers over it, and the ends of its executions as they come.
struct Desk {
    bench: Bench,
    triggers: Triggers,
    ends: mpsc::UnboundedReceiver<String>,
}

/// A workflow that ends at once.
fn quick() -> Value {
    json!({ "name": "flow", "steps": [{ "id": "is_set", "type": "condition",
        "condition": { "field": "$.input.a", "operator": "exists" } }],
        "output": { "input": "$.input", "trigger": "$.trigger" } })
}

/// A workflow that waits for a person.
fn asking() -> Value {
    json!({ "name": "flow", "steps": [{ "id": "ask", "type": "human", "human_config": {
        "notification": "go on?", "options": [{ "id": "yes", "label": "Yes" }] } }] })
}

fn with(mut definition: Value, config: Value) -> Value {
    definition["trigger"] = json!({ "type": "cron", "config": config });
    definition
}

impl Desk {
    async fn new() -> Self {
        Self::over(Bench::new(&[]).await).await
    }

    async fn over(bench: Bench) -> Self {
        let triggers = Triggers::new(bench.store.clone(), bench.driver.clone());
        triggers.recover().await.unwrap();
        let (sender, ends) = mpsc::unbounded_channel();
        bench.driver.on_ended(move |ended| drop(sender.send(ended.started.execution_id.to_string())));
        Self { bench, triggers, ends }
    }

    /// The host stops, and another one starts on the same directory.
    async fn restarted(self) -> Self {
        let Self { bench, triggers, ends } = self;
        triggers.stop().await;
        drop((triggers, ends));
        let directory = bench.stopped().await;
        let desk = Self::over(Bench::open(directory, DriverConfig::default()).await).await;
        desk.bench.driver.recover().await.unwrap();
        desk
    }

    async fn new_workflow(&self, definition: Value) -> NewWorkflow {
        let checked = self.triggers.check(&definition).await.unwrap();
        assert!(checked.valid, "{:#?}", checked.diagnostics);
        let (name, active) = (checked.definition.name, checked.definition.active);
        let definition = Json::from_value(definition);
        NewWorkflow {
            name,
            description: None,
            active,
            definition,
            triggers: checked.triggers,
            entries: Vec::new(),
            expected_version: None,
            owner: None,
        }
    }

    /// Saves a workflow with one trigger.
    async fn save(&self, definition: Value) -> TriggerRow {
        let new = self.new_workflow(definition).await;
        let saved = self.bench.store.create_workflow(new).await.unwrap();
        self.triggers.changed();
        self.bench.store.triggers_of(&saved.workflow.id).await.unwrap().remove(0)
    }

    /// Saves the next version of the workflow that has a trigger.
    async fn update(&self, trigger: &TriggerRow, definition: Value) {
        let new = self.new_workflow(definition).await;
        self.bench.store.update_workflow(&trigger.workflow_id, new).await.unwrap();
        self.triggers.changed();
    }

    async fn look(&self, at: i64) {
        assert_eq!(self.triggers.look(Timestamp(at)).await.unwrap().troubled, 0);
    }

    async fn trigger(&self, trigger: &TriggerRow) -> TriggerRow {
        self.bench.store.trigger(&trigger.id).await.unwrap().unwrap()
    }

    /// Every occurrence of a trigger, oldest first by what it was for.
    async fn occurrences(&self, trigger: &TriggerRow) -> Vec<OccurrenceRow> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let position = before.as_ref().map(|(at, key): &(Timestamp, Arc<str>)| (*at, &**key));
            let page = self.bench.store.occurrences(&trigger.id, position, 200).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.at, last.key.clone()));
            all.extend(page);
        }
        all.sort_by_key(|row| row.scheduled_for);
        all
    }

    /// What became of each occurrence, oldest first: `fired`, `skipped overlap`, …
    async fn story(&self, trigger: &TriggerRow) -> Vec<String> {
        let told = |row: OccurrenceRow| [Some(row.status.as_str().to_owned()), row.reason].into_iter().flatten();
        self.occurrences(trigger).await.into_iter().map(|row| told(row).collect::<Vec<_>>().join(" ")).collect()
    }

    async fn fired(&self, trigger: &TriggerRow) -> Vec<Arc<str>> {
        let fired = |row: OccurrenceRow| (row.status == OccurrenceStatus::Fired).then_some(row.execution_id).flatten();
        self.occurrences(trigger).await.into_iter().filter_map(fired).collect()
    }

    /// Waits until an execution has ended.
    async fn ended(&mut self, id: &str) {
        let waiting = async { while self.ends.recv().await.unwrap() != id {} };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it ends in time");
    }

    /// Answers what an execution asks, and waits for its end.
    async fn finish(&mut self, id: &str) {
        self.bench.question(id, "ask").await;
        self.bench.driver.decide(id, answer("yes")).await.unwrap();
        self.ended(id).await;
    }
}

/// The first instants of a schedule after a trigger's cursor.
fn instants(trigger: &TriggerRow, schedule: &str, count: usize) -> Vec<i64> {
    let schedule = Schedule::parse(schedule, "UTC").unwrap();
    let next = |last: &Timestamp| schedule.after(*last);
    std::iter::successors(next(&trigger.cursor_at.unwrap()), next).take(count).map(|at| at.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_starts_one_execution_that_knows_what_it_is_for() {
    let mut desk = Desk::new().await;
    let config = json!({ "schedule": "0 9 * * *", "timezone": "Europe/Berlin", "input": { "a": 1 } });
    let trigger = desk.save(with(quick(), config)).await;
    let due = trigger.next_at.unwrap();
    desk.look(due.0 - 1).await;
    assert!(desk.occurrences(&trigger).await.is_empty());
    desk.look(due.0).await;
    desk.look(due.0 + 1).await;
    let fired = desk.fired(&trigger).await;
    assert_eq!(fired.len(), 1);
    desk.ended(&fired[0]).await;
    let stored = desk.bench.store.execution_with_documents(&fired[0]).await.unwrap().unwrap();
    assert_eq!((stored.row.trigger_source.as_str(), stored.input.value()), ("cron", &json!({ "a": 1 })));
    let shown = &stored.output.unwrap().value()["trigger"].clone();
    let row = &desk.occurrences(&trigger).await[0];
    assert_eq!((&shown["type"], &shown["id"]), (&json!("cron"), &json!(&*trigger.id)));
    assert_eq!((&shown["scheduled_for"], &shown["occurrence"]), (&json!(&*row.key), &json!(&*row.key)));
    let now = desk.trigger(&trigger).await;
    assert_eq!((now.fired, now.cursor_at), (1, Some(due)));
    assert_eq!(now.next_at.unwrap().0 - due.0, DAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_clock_that_jumps_forward_is_caught_up_once() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "0 * * * *" }))).await;
    let jump = trigger.cursor_at.unwrap().0 + 3 * DAY;
    desk.look(jump).await;
    let story = desk.story(&trigger).await;
    assert_eq!(story.len(), 72);
    assert!(story[..71].iter().all(|told| told == "skipped missed") && story[71] == "fired", "{story:?}");
    desk.look(jump).await;
    assert_eq!(desk.occurrences(&trigger).await.len(), 72);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_clock_that_goes_back_starts_nothing_twice() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "*/10 * * * *", "overlap": "allow" }))).await;
    let at = instants(&trigger, "*/10 * * * *", 12);
    for instant in &at[..6] {
        desk.look(*instant).await;
    }
    for back in [at[5] - HOUR, at[0], at[3] + 1, at[5]] {
        desk.look(back).await;
    }
    assert_eq!(desk.fired(&trigger).await.len(), 6);
    assert_eq!(desk.trigger(&trigger).await.next_at, Some(Timestamp(at[6])));
    // Saved anew while the clock is behind: it still never goes back.
    desk.update(&trigger, with(quick(), json!({ "schedule": "*/10 * * * *", "overlap": "allow", "catch_up": "skip" })))
        .await;
    desk.look(at[5]).await;
    assert_eq!(desk.occurrences(&trigger).await.len(), 6);
    desk.look(at[6]).await;
    assert_eq!(desk.fired(&trigger).await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_the_year_2038_is_a_year() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "@hourly" }))).await;
    let late = 2_147_483_648 * SECOND;
    desk.look(late).await;
    let all = desk.occurrences(&trigger).await;
    let counted: u64 = all.iter().map(|row| row.count).sum();
    let schedule = Schedule::parse("@hourly", "UTC").unwrap();
    assert_eq!(counted, schedule.count(trigger.cursor_at.unwrap(), Timestamp(late)));
    assert!(all.len() <= 1_002 && all[0].until_at > all[0].scheduled_for, "what is far back is one range");
    let now = desk.trigger(&trigger).await;
    assert_eq!((now.fired, now.fired + now.skipped), (1, counted));
    assert!(now.next_at.unwrap().0 > late);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_leap_day_comes_every_four_years() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "0 0 29 2 *" }))).await;
    let days = instants(&trigger, "0 0 29 2 *", 2);
    for at in [days[0] - DAY, days[0] - 1, days[0], days[0] + DAY, days[1] - 1, days[1]] {
        desk.look(at).await;
    }
    let keys: Vec<_> = desk.occurrences(&trigger).await.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.ends_with("-02-29T00:00:00Z")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_what_was_missed_is_skipped_or_run_as_the_author_says() {
    for (catch_up, fired) in [("skip", 0), ("run_once", 1), ("run_all", 5)] {
        let desk = Desk::new().await;
        let config = json!({ "schedule": "0 * * * *", "catch_up": catch_up, "overlap": "allow" });
        let trigger = desk.save(with(quick(), config)).await;
        // Well after the fifth instant: none of them is on time any more.
        desk.look(instants(&trigger, "0 * * * *", 5)[4] + 10 * 60 * SECOND).await;
        let now = desk.trigger(&trigger).await;
        assert_eq!((now.fired, now.skipped), (fired, 5 - fired), "{catch_up}");
        assert!(now.next_at > now.cursor_at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_an_instant_is_skipped_while_an_execution_runs() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(asking(), json!({ "schedule": "* * * * *" }))).await;
    let at = instants(&trigger, "* * * * *", 4);
    desk.look(at[0]).await;
    desk.look(at[1]).await;
    let mut desk = desk.restarted_while_asking(&trigger).await;
    desk.look(at[2]).await;
    assert_eq!(desk.story(&trigger).await, ["fired", "skipped overlap", "skipped overlap"]);
    let first = desk.fired(&trigger).await[0].clone();
    desk.finish(&first).await;
    desk.look(at[3]).await;
    assert_eq!(desk.story(&trigger).await.last().unwrap(), "fired");
}

impl Desk {
    /// Restarts once the execution that was fired is where a person is asked.
    async fn restarted_while_asking(self, trigger: &TriggerRow) -> Self {
        let first = self.fired(trigger).await[0].clone();
        self.bench.question(&first, "ask").await;
        self.restarted().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_one_instant_waits_for_the_end_of_what_runs() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(asking(), json!({ "schedule": "* * * * *", "overlap": "queue_one" }))).await;
    let at = instants(&trigger, "* * * * *", 4);
    for instant in &at[..3] {
        desk.look(*instant).await;
    }
    assert_eq!(desk.story(&trigger).await, ["fired", "skipped overlap", "queued"]);
    let mut desk = desk.restarted_while_asking(&trigger).await;
    desk.look(at[2]).await;
    assert_eq!(desk.story(&trigger).await, ["fired", "skipped overlap", "queued"]);
    let first = desk.fired(&trigger).await[0].clone();
    desk.finish(&first).await;
    desk.look(at[2]).await;
    assert_eq!(desk.story(&trigger).await, ["fired", "skipped overlap", "fired"]);
    assert_eq!(desk.trigger(&trigger).await.fired, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_the_newest_instant_cancels_what_runs() {
    let mut desk = Desk::new().await;
    let trigger = desk.save(with(asking(), json!({ "schedule": "* * * * *", "overlap": "cancel_running" }))).await;
    let at = instants(&trigger, "* * * * *", 2);
    desk.look(at[0]).await;
    let first = desk.fired(&trigger).await[0].clone();
    desk.look(at[1]).await;
    desk.ended(&first).await;
    let row = desk.bench.store.execution(&first).await.unwrap().unwrap();
    assert_eq!(row.status, weir_engine::execution::Status::Cancelled);
    assert_eq!(desk.story(&trigger).await, ["fired", "fired"]);
    assert_eq!(desk.triggers.running(&trigger.id), [desk.fired(&trigger).await[1].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_instants_may_overlap() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(asking(), json!({ "schedule": "* * * * *", "overlap": "allow" }))).await;
    for instant in instants(&trigger, "* * * * *", 3) {
        desk.look(instant).await;
    }
    assert_eq!(desk.triggers.running(&trigger.id).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_is_recorded_with_its_reason() {
    let desk = Desk::new().await;
    let mut definition = with(quick(), json!({ "schedule": "* * * * *" }));
    definition["input_schema"] = json!({ "type": "object", "required": ["a"] });
    let trigger = desk.save(definition).await;
    let due = trigger.next_at.unwrap();
    desk.look(due.0).await;
    let row = desk.occurrences(&trigger).await.remove(0);
    assert_eq!(row.status, OccurrenceStatus::Failed);
    assert!(row.reason.unwrap().starts_with("invalid_input: "));
    let now = desk.trigger(&trigger).await;
    assert_eq!((now.failed, now.cursor_at), (1, Some(due)), "it does not try for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_starts_nothing_and_is_not_caught_up() {
    let desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "* * * * *" }))).await;
    let audit = |act| AuditEntry::done("tester", act, &*trigger.id);
    assert!(desk.triggers.disable(&trigger, audit("trigger.disable")).await.unwrap());
    desk.look(trigger.next_at.unwrap().0 + DAY).await;
    assert!(desk.triggers.enable(&trigger, audit("trigger.enable")).await.unwrap());
    assert!(desk.occurrences(&trigger).await.is_empty());
    let mut inactive = with(quick(), json!({ "schedule": "* * * * *" }));
    inactive["active"] = json!(false);
    desk.update(&trigger, inactive).await;
    desk.look(trigger.next_at.unwrap().0 + DAY).await;
    assert!(desk.occurrences(&trigger).await.is_empty());
    let fired = desk.triggers.fire_by_hand(&trigger, None, "tester", Companions::default()).await;
    assert!(matches!(fired, Err(FireError::Inactive { .. })), "{fired:?}");
    assert_eq!(desk.story(&trigger).await, ["skipped inactive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_start_it_at_any_time() {
    let mut desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "@yearly", "input": { "a": 1 } }))).await;
    let mut fire = async |input: Option<Value>| {
        let input = input.map(Json::from_value);
        let fired = desk.triggers.fire_by_hand(&trigger, input, "ann", Companions::default()).await.unwrap();
        desk.ended(&fired.execution_id).await;
        desk.bench.store.execution_with_documents(&fired.execution_id).await.unwrap().unwrap()
    };
    assert_eq!(fire(None).await.input.value(), &json!({ "a": 1 }));
    let stored = fire(Some(json!({ "b": 2 }))).await;
    assert_eq!(stored.input.value(), &json!({ "b": 2 }));
    assert_eq!((&stored.trigger.value()["manual"], &stored.trigger.value()["fired_by"]), (&json!(true), &json!("ann")));
    assert_eq!(desk.trigger(&trigger).await.fired, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schedule_takes_effect_at_once() {
    let mut desk = Desk::new().await;
    let trigger = desk.save(with(quick(), json!({ "schedule": "@yearly" }))).await;
    desk.triggers.start_schedules();
    desk.update(&trigger, with(quick(), json!({ "schedule": "* * * * * *" }))).await;
    tokio::time::timeout(PATIENCE, desk.ends.recv()).await.expect("it starts within a second or two").unwrap();
    desk.triggers.stop().await;
    let count = desk.fired(&trigger).await.len();
    assert!(count >= 1, "{count}");
}
