//! Triggers through the versions of their workflow, and their occurrences.

use serde_json::{Value, json};
use weir_engine::{definition::TriggerType, execution::Status, id::Timestamp, json::Json};
use weir_host::store::{
    Append, AuditEntry, AuditFilter, Companion, Moved, NewOccurrence, NewTrigger, NewWorkflow, OccurrenceStatus, Saved,
    Store, StoreError, TriggerFilter, TriggerRow,
};

use super::made::{begun, id, open};

const FAR: Timestamp = Timestamp(4_000_000_000_000_000);

fn trigger(key: &str, trigger_type: TriggerType, config: Value) -> NewTrigger {
    let next_at = (trigger_type == TriggerType::Cron).then_some(FAR);
    let path = config["path"].as_str().map(str::to_owned);
    NewTrigger { key: key.to_owned(), trigger_type, config: Json::from_value(config), path, enabled: true, next_at }
}

fn cron(key: &str, schedule: &str) -> NewTrigger {
    trigger(key, TriggerType::Cron, json!({ "schedule": schedule }))
}

fn webhook(key: &str, path: &str) -> NewTrigger {
    trigger(key, TriggerType::Webhook, json!({ "path": path }))
}

/// A workflow whose definition differs with `n`.
fn workflow(name: &str, n: u32, triggers: Vec<NewTrigger>) -> NewWorkflow {
    let definition = Json::from_value(json!({ "n": n }));
    NewWorkflow {
        name: name.to_owned(),
        description: None,
        active: true,
        definition,
        triggers,
        entries: Vec::new(),
        expected_version: None,
        owner: None,
    }
}

async fn create(store: &Store, name: &str, triggers: Vec<NewTrigger>) -> Saved {
    store.create_workflow(workflow(name, 0, triggers)).await.unwrap()
}

async fn update(store: &Store, saved: &Saved, n: u32, triggers: Vec<NewTrigger>) -> Vec<TriggerRow> {
    store.update_workflow(&saved.workflow.id, workflow(&saved.workflow.name, n, triggers)).await.unwrap();
    store.triggers_of(&saved.workflow.id).await.unwrap()
}

fn audit(act: &'static str, id: &str) -> AuditEntry {
    AuditEntry::done("tester", act, id)
}

fn occurrence(trigger: &TriggerRow, key: &str, status: OccurrenceStatus) -> NewOccurrence {
    NewOccurrence::new(&trigger.id, key, status)
}

#[tokio::test]
async fn publishing_keeps_what_is_the_same_trigger() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("cron#1", "@daily"), webhook("hook", "a")]).await;
    let before = store.triggers_of(&saved.workflow.id).await.unwrap();
    store.record_occurrences(&[occurrence(&before[0], "x", OccurrenceStatus::Skipped)], &[]).await.unwrap();
    assert!(store.disable_trigger(&before[1].id, audit("trigger.disable", &before[1].id)).await.unwrap());

    let after =
        update(&store, &saved, 1, vec![cron("cron#1", "@daily"), webhook("hook", "b"), cron("new", "@weekly")]).await;
    assert_eq!((&after[0].id, after[0].skipped, after[0].cursor_at), (&before[0].id, 1, before[0].cursor_at));
    assert_eq!((&after[1].id, after[1].enabled, after[1].path.as_deref()), (&before[1].id, false, Some("b")));
    assert_eq!((after[2].key.as_ref(), after[2].next_at, after[2].version), ("new", Some(FAR), 2));

    let after = update(&store, &saved, 2, vec![cron("new", "@weekly")]).await;
    assert_eq!(after.len(), 1);
    assert!(store.trigger(&before[0].id).await.unwrap().is_none());
    assert!(store.trigger_by_path("b").await.unwrap().is_none());
}

#[tokio::test]
async fn the_same_definition_leaves_triggers_alone() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("cron#1", "@daily")]).await;
    let before = store.triggers_of(&saved.workflow.id).await.unwrap();
    let after = update(&store, &saved, 0, vec![cron("other", "@weekly")]).await;
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_a_person_switched_stays_until_the_author_says_something_else() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("c", "@daily")]).await;
    let id = store.triggers_of(&saved.workflow.id).await.unwrap()[0].id.clone();
    store.disable_trigger(&id, audit("trigger.disable", &id)).await.unwrap();
    assert!(!store.disable_trigger(&id, audit("trigger.disable", &id)).await.unwrap());
    assert!(!update(&store, &saved, 1, vec![cron("c", "@hourly")]).await[0].enabled);
    let off = NewTrigger { enabled: false, ..cron("c", "@hourly") };
    assert!(!update(&store, &saved, 2, vec![off]).await[0].enabled);
    let after = update(&store, &saved, 3, vec![cron("c", "@hourly")]).await;
    assert!(after[0].enabled && after[0].next_at == Some(FAR));
    let filter = AuditFilter { act: Some("trigger.disable".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.audit_rows(&filter, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_schedule_runs_only_where_trigger_and_workflow_are_on() {
    let (_folder, store) = open().await;
    let off = NewWorkflow { active: false, ..workflow("a", 0, vec![cron("c", "@daily")]) };
    let saved = store.create_workflow(off).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    let id = store.triggers_of(&saved.workflow.id).await.unwrap()[0].id.clone();
    store.disable_trigger(&id, audit("trigger.disable", &id)).await.unwrap();
    store.enable_trigger(&id, Some(FAR), audit("trigger.enable", &id)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    update(&store, &saved, 1, vec![cron("c", "@daily")]).await;
    assert_eq!(store.next_due().await.unwrap(), Some(FAR));
    assert_eq!(store.triggers_due(FAR, 10).await.unwrap().len(), 1);
    assert!(store.triggers_due(Timestamp(FAR.0 - 1), 10).await.unwrap().is_empty());
    store.delete_workflow(&saved.workflow.id).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_path_belongs_to_one_workflow() {
    let (_folder, store) = open().await;
    let first = create(&store, "a", vec![webhook("x", "one"), webhook("y", "two")]).await;
    let Err(error) = store.create_workflow(workflow("b", 0, vec![webhook("x", "one")])).await else { panic!("taken") };
    assert!(matches!(&error, StoreError::PathTaken { workflow, .. } if workflow == "a"), "{error}");
    assert!(store.workflow("b").await.unwrap().is_none(), "nothing of it is saved");
    let swapped = update(&store, &first, 1, vec![webhook("x", "two"), webhook("y", "one")]).await;
    assert_eq!(swapped[0].path.as_deref(), Some("two"));
    store.delete_workflow(&first.workflow.id).await.unwrap();
    create(&store, "b", vec![webhook("x", "one")]).await;
    let bare = create(&store, "c", vec![trigger("webhook#1", TriggerType::Webhook, json!({}))]).await;
    let bare = &store.triggers_of(&bare.workflow.id).await.unwrap()[0];
    assert_eq!(bare.path, Some(bare.id.clone()));
}

#[tokio::test]
async fn triggers_are_listed_by_workflow_and_type() {
    let (_folder, store) = open().await;
    let a = create(&store, "a", vec![cron("c", "@daily"), webhook("w", "w")]).await;
    create(&store, "b", vec![cron("c", "@daily")]).await;
    let count = async |filter: TriggerFilter| store.triggers(&filter, None, 10).await.unwrap().len();
    let workflow_id = Some(a.workflow.id.to_string());
    assert_eq!(count(TriggerFilter::default()).await, 3);
    assert_eq!(count(TriggerFilter { trigger_type: Some(TriggerType::Cron), workflow_id: None }).await, 2);
    assert_eq!(count(TriggerFilter { trigger_type: None, workflow_id: workflow_id.clone() }).await, 2);
    assert_eq!(count(TriggerFilter { trigger_type: Some(TriggerType::Cron), workflow_id }).await, 1);
    let first = store.triggers(&TriggerFilter::default(), None, 1).await.unwrap();
    assert_eq!(store.triggers(&TriggerFilter::default(), Some(&first[0].id), 10).await.unwrap().len(), 2);
}

/// The start of an execution with its occurrence.
fn start(trigger: &TriggerRow, key: &str) -> (Append, NewOccurrence) {
    let execution_id = id();
    let fired =
        NewOccurrence { execution_id: Some(execution_id.clone()), ..occurrence(trigger, key, OccurrenceStatus::Fired) };
    let companions = vec![Companion::Occurrence(fired.clone())];
    (Append { companions, ..begun(&execution_id, "w", Status::Running) }, fired)
}

#[tokio::test]
async fn one_occurrence_starts_one_execution() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("c", "@daily")]).await;
    let trigger = &store.triggers_of(&saved.workflow.id).await.unwrap()[0];
    let (first, fired) = start(trigger, "k");
    store.append(first).await.unwrap();
    let (second, _) = start(trigger, "k");
    let refused = second.execution_id.clone();
    assert!(matches!(store.append(second).await, Err(StoreError::Conflict { .. })));
    assert!(store.execution(&refused).await.unwrap().is_none());
    store.record_occurrences(&[occurrence(trigger, "k", OccurrenceStatus::Skipped)], &[]).await.unwrap();
    let known = store.occurrence(&trigger.id, "k").await.unwrap().unwrap();
    assert_eq!((known.status, known.execution_id), (OccurrenceStatus::Fired, fired.execution_id));
    let counted = store.trigger(&trigger.id).await.unwrap().unwrap();
    assert_eq!((counted.fired, counted.skipped, counted.failed), (1, 0, 0));
    assert!(counted.last_at.is_some());
}

#[tokio::test]
async fn a_queued_occurrence_is_started_or_skipped_later() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("c", "@daily")]).await;
    let trigger = &store.triggers_of(&saved.workflow.id).await.unwrap()[0];
    let queued = ["k", "l"].map(|key| occurrence(trigger, key, OccurrenceStatus::Queued));
    store.record_occurrences(&queued, &[]).await.unwrap();
    assert_eq!(store.triggers_with_queue().await.unwrap(), std::slice::from_ref(&trigger.id));
    let (first, _) = start(trigger, "k");
    store.append(first).await.unwrap();
    assert_eq!(&*store.queued_occurrence(&trigger.id).await.unwrap().unwrap().key, "l");
    store.disable_trigger(&trigger.id, audit("trigger.disable", &trigger.id)).await.unwrap();
    assert!(store.triggers_with_queue().await.unwrap().is_empty());
    let skipped = store.occurrence(&trigger.id, "l").await.unwrap().unwrap();
    assert_eq!((skipped.status, skipped.reason.as_deref()), (OccurrenceStatus::Skipped, Some("disabled")));
    let counted = store.trigger(&trigger.id).await.unwrap().unwrap();
    assert_eq!((counted.fired, counted.skipped), (1, 1));
}

#[tokio::test]
async fn a_schedule_that_was_changed_meanwhile_is_not_moved() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("c", "@daily")]).await;
    let trigger = store.triggers_of(&saved.workflow.id).await.unwrap().remove(0);
    let to = |before, cursor: i64| Moved {
        trigger_id: trigger.id.clone(),
        before,
        cursor_at: Timestamp(cursor),
        next_at: Some(Timestamp(cursor + 1)),
    };
    let cursor = FAR.0 * 2;
    store.record_occurrences(&[], &[to(trigger.cursor_at, cursor)]).await.unwrap();
    store.record_occurrences(&[], &[to(trigger.cursor_at, cursor + 50)]).await.unwrap();
    let moved = store.trigger(&trigger.id).await.unwrap().unwrap();
    assert_eq!((moved.cursor_at, moved.next_at), (Some(Timestamp(cursor)), Some(Timestamp(cursor + 1))));
    let later = update(&store, &saved, 1, vec![cron("c", "@hourly")]).await;
    assert_eq!(later[0].cursor_at, Some(Timestamp(cursor)), "it never goes back");
    store.disable_trigger(&trigger.id, audit("trigger.disable", &trigger.id)).await.unwrap();
    store.record_occurrences(&[], &[to(Some(Timestamp(cursor)), cursor + 50)]).await.unwrap();
    assert_eq!(store.trigger(&trigger.id).await.unwrap().unwrap().next_at, None);
}

#[tokio::test]
async fn occurrences_are_listed_newest_first_in_pages() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("c", "@daily")]).await;
    let trigger = &store.triggers_of(&saved.workflow.id).await.unwrap()[0];
    for key in ["1", "2", "3"] {
        store.record_occurrences(&[occurrence(trigger, key, OccurrenceStatus::Failed)], &[]).await.unwrap();
    }
    let keys =
        |rows: &[weir_host::store::OccurrenceRow]| rows.iter().map(|row| row.key.to_string()).collect::<Vec<_>>();
    let first = store.occurrences(&trigger.id, None, 2).await.unwrap();
    assert_eq!(keys(&first), ["3", "2"]);
    let rest = store.occurrences(&trigger.id, Some((first[1].at, &first[1].key)), 2).await.unwrap();
    assert_eq!(keys(&rest), ["1"]);
}

#[tokio::test]
async fn old_occurrences_are_forgotten_but_not_what_is_queued() {
    let (_folder, store) = open().await;
    let saved = create(&store, "a", vec![cron("c", "@daily")]).await;
    let trigger = &store.triggers_of(&saved.workflow.id).await.unwrap()[0];
    let old = (0..1_500).map(|n| occurrence(trigger, &n.to_string(), OccurrenceStatus::Skipped));
    let queued = occurrence(trigger, "queued", OccurrenceStatus::Queued);
    let rows: Vec<_> = old.chain([queued]).collect();
    store.record_occurrences(&rows, &[]).await.unwrap();
    let now = weir_host::store::now();
    assert_eq!(store.forget_occurrences(now).await.unwrap(), 0);
    assert_eq!(store.forget_occurrences(now.plus_ms(31 * 24 * 3_600_000)).await.unwrap(), 1_500);
    assert_eq!(store.occurrences(&trigger.id, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.trigger(&trigger.id).await.unwrap().unwrap().skipped, 1_500, "they stay counted");
}
