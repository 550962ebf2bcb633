//! Publishing: the triggers of a workflow become those of its newest version, in the transaction that saves it.

use sqlx::{SqliteConnection, query::Query, sqlite::SqliteArguments};
use uuid::Uuid;
use weir_engine::id::Timestamp;

use super::{
    super::{StoreError, WorkflowRow, error::database, now, queries::triggers as queries},
    NewTrigger, TriggerRow, trigger_row,
};

/// A trigger in the new version: what of the old one stays, and what does not.
struct Change {
    enabled: bool,
    cursor_at: Option<Timestamp>,
    next_at: Option<Timestamp>,
}

/// Makes the triggers of `workflow` those of its newest version. One with the same key and type stays the same trigger.
pub(in crate::store) async fn publish(
    connection: &mut SqliteConnection,
    workflow: &WorkflowRow,
    was_active: bool,
    triggers: Vec<NewTrigger>,
) -> Result<(), StoreError> {
    let old = rows_of(connection, &workflow.id).await?;
    // Paths may go from one trigger to another within the workflow.
    run(connection, sqlx::query(queries::CLEAR_PATHS).bind(&*workflow.id)).await?;
    for gone in old.iter().filter(|old| !triggers.iter().any(|new| is_same(old, new))) {
        delete(connection, &gone.id, "replaced").await?;
    }
    for new in triggers {
        check_path(connection, new.path.as_deref()).await?;
        match old.iter().find(|old| is_same(old, &new)) {
            Some(old) => update(connection, workflow, was_active, old, new).await?,
            None => insert(connection, workflow, new).await?,
        }
    }
    Ok(())
}

/// Takes back the triggers of a workflow that is deleted.
pub(in crate::store) async fn withdraw(connection: &mut SqliteConnection, workflow_id: &str) -> Result<(), StoreError> {
    for trigger in rows_of(connection, workflow_id).await? {
        delete(connection, &trigger.id, "deleted").await?;
    }
    Ok(())
}

/// Skips what a trigger has queued.
pub(super) async fn skip_queued(
    connection: &mut SqliteConnection,
    trigger_id: &str,
    reason: &'static str,
) -> Result<(), StoreError> {
    run(connection, sqlx::query(queries::SKIP_QUEUED).bind(reason).bind(now().0).bind(trigger_id)).await
}

fn is_same(old: &TriggerRow, new: &NewTrigger) -> bool {
    *old.key == *new.key && old.trigger_type == new.trigger_type
}

async fn rows_of(connection: &mut SqliteConnection, workflow_id: &str) -> Result<Vec<TriggerRow>, StoreError> {
    let rows = sqlx::query(queries::TRIGGERS_OF_WORKFLOW).bind(workflow_id).fetch_all(connection).await;
    rows.map_err(|e| database("list triggers of a workflow", e))?.iter().map(trigger_row).collect()
}

async fn check_path(connection: &mut SqliteConnection, path: Option<&str>) -> Result<(), StoreError> {
    let Some(path) = path else { return Ok(()) };
    let row = sqlx::query(queries::TRIGGER_BY_PATH).bind(path).fetch_optional(connection).await;
    match row.map_err(|e| database("find the owner of a path", e))? {
        None => Ok(()),
        Some(row) => {
            let workflow = trigger_row(&row)?.workflow_name.to_string();
            Err(StoreError::PathTaken { path: path.to_owned(), workflow })
        }
    }
}

async fn delete(connection: &mut SqliteConnection, id: &str, reason: &'static str) -> Result<(), StoreError> {
    skip_queued(connection, id, reason).await?;
    run(connection, sqlx::query(queries::DELETE_TRIGGER).bind(now().0).bind(id)).await
}

async fn insert(connection: &mut SqliteConnection, workflow: &WorkflowRow, new: NewTrigger) -> Result<(), StoreError> {
    let id = Uuid::now_v7().to_string();
    let webhook = new.trigger_type == weir_engine::definition::TriggerType::Webhook;
    let path = new.path.or_else(|| webhook.then(|| id.clone()));
    let at = now().0;
    let cron = new.trigger_type == weir_engine::definition::TriggerType::Cron;
    let next_at = new.next_at.filter(|_| new.enabled && workflow.active);
    let query = sqlx::query(queries::INSERT_TRIGGER)
        .bind(id)
        .bind(&*workflow.id)
        .bind(workflow.version)
        .bind(new.key)
        .bind(new.trigger_type.as_str())
        .bind(new.config.text().to_owned())
        .bind(path)
        .bind(new.enabled)
        .bind(new.enabled)
        .bind(cron.then_some(at))
        .bind(next_at.map(|next| next.0))
        .bind(at);
    run(connection, query).await
}

async fn update(
    connection: &mut SqliteConnection,
    workflow: &WorkflowRow,
    was_active: bool,
    old: &TriggerRow,
    new: NewTrigger,
) -> Result<(), StoreError> {
    let Change { enabled, cursor_at, next_at } = change(workflow, was_active, old, &new, now());
    if !(enabled && workflow.active) {
        skip_queued(connection, &old.id, "disabled").await?;
    }
    let webhook = new.trigger_type == weir_engine::definition::TriggerType::Webhook;
    let path = new.path.or_else(|| webhook.then(|| old.id.to_string()));
    let query = sqlx::query(queries::UPDATE_TRIGGER)
        .bind(workflow.version)
        .bind(new.config.text().to_owned())
        .bind(path)
        .bind(enabled)
        .bind(new.enabled)
        .bind(cursor_at.map(|at| at.0))
        .bind(next_at.map(|at| at.0))
        .bind(&*old.id);
    run(connection, query).await
}

/// Whoever switched a trigger meant it for later versions too, until its author says something else than before. A
/// schedule that changed, or that did not run, goes on after now; it never goes back.
fn change(workflow: &WorkflowRow, was_active: bool, old: &TriggerRow, new: &NewTrigger, now: Timestamp) -> Change {
    let enabled = if new.enabled == old.written { old.enabled } else { new.enabled };
    let runs = enabled && workflow.active;
    let ran = old.enabled && was_active;
    if runs && ran && old.config == new.config {
        return Change { enabled, cursor_at: old.cursor_at, next_at: old.next_at };
    }
    let cursor_at = old.cursor_at.map(|cursor| cursor.max(now));
    Change { enabled, cursor_at, next_at: new.next_at.filter(|_| runs) }
}

async fn run(
    connection: &mut SqliteConnection,
    query: Query<'_, sqlx::Sqlite, SqliteArguments>,
) -> Result<(), StoreError> {
    query.execute(connection).await.map(drop).map_err(|e| database("publish triggers", e))
}
