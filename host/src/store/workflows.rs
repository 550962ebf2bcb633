//! Workflows and their immutable versions.

use std::sync::Arc;

use serde_json::json;
use sqlx::{SqliteConnection, SqliteExecutor, sqlite::SqliteRow};
use uuid::Uuid;
use weir_engine::{id::Timestamp, json::Json};

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    bus::{self, NewBusEvent},
    columns::{Columns, page},
    error::database,
    folded,
    interest::HostEvent,
    kv, now, queries,
    triggers::{self, NewTrigger},
};
use crate::hex::sha256_hex;

/// A workflow as it is now, without its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// Its id, a version 7 UUID.
    pub id: Arc<str>,
    /// Its name; live workflows differ in more than case.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether triggers start it.
    pub active: bool,
    /// Its newest version, from 1.
    pub version: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
    /// Who made it; `None` where nobody knows.
    pub owner: Option<WorkflowOwner>,
}

/// Who made a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowOwner {
    /// Who it is, in a form that nobody else ever has.
    pub id: Arc<str>,
    /// Who it was, for people: `user:alice`.
    pub name: Arc<str>,
}

/// One immutable version of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowVersion {
    /// The workflow.
    pub workflow_id: Arc<str>,
    /// The workflow's name now.
    pub name: Arc<str>,
    /// From 1.
    pub version: u32,
    /// SHA-256 of the definition's text, in hex.
    pub digest: String,
    /// The definition.
    pub definition: Json,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A workflow to save.
#[derive(Debug, Clone)]
pub struct NewWorkflow {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether triggers start it.
    pub active: bool,
    /// The definition, which was found valid.
    pub definition: Json,
    /// What starts it.
    pub triggers: Vec<NewTrigger>,
    /// The version that must be the newest, where a workflow is updated.
    pub expected_version: Option<u32>,
    /// Who makes it; where a workflow is updated, its owner stays.
    pub owner: Option<WorkflowOwner>,
    /// What the audit log says about its triggers, where they are published.
    pub entries: Vec<AuditEntry>,
}

/// What saving did.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The workflow as it is now.
    pub workflow: WorkflowRow,
    /// Its newest version.
    pub version: WorkflowVersion,
    /// Whether a version was made: not where the definition is the one that the newest version has.
    pub new_version: bool,
}

/// The order of a list of workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkflowOrder {
    /// By name, from a to z.
    #[default]
    Name,
    /// The newest first.
    Newest,
}

/// Which workflows to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct WorkflowFilter {
    /// Those whose name or description holds this text, whatever its case.
    pub search: Option<String>,
    /// Those that are active, or those that are not.
    pub active: Option<bool>,
    /// Those of the owner with this id.
    pub owner_id: Option<String>,
    /// In which order.
    pub order: WorkflowOrder,
}

impl Store {
    /// Saves a new workflow as version 1, with its triggers.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::PathTaken`]; the database cannot be written.
    pub async fn create_workflow(&self, new: NewWorkflow) -> Result<Saved, StoreError> {
        let tells = self.interest().wants(HostEvent::WorkflowPublished);
        self.write_triggers(move |connection| {
            Box::pin(async move {
                let saved = create(connection, new).await?;
                tell(connection, &saved, tells).await?;
                Ok(saved)
            })
        })
        .await
    }

    /// Replaces name, description, active and definition of a workflow; makes a new version where the definition's text
    /// differs from the newest one's, and replaces the triggers by that version's. One with the same key and type stays the
    /// same trigger.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::VersionConflict`], [`StoreError::NameTaken`], [`StoreError::PathTaken`]; the
    /// database cannot be written.
    pub async fn update_workflow(&self, id: &str, new: NewWorkflow) -> Result<Saved, StoreError> {
        let id = id.to_owned();
        let tells = self.interest().wants(HostEvent::WorkflowPublished);
        self.write_triggers(move |connection| {
            Box::pin(async move {
                let saved = update(connection, id, new).await?;
                tell(connection, &saved, tells && saved.new_version).await?;
                Ok(saved)
            })
        })
        .await
    }

    /// Deletes a workflow with its triggers, and frees its name. Its versions stay for the executions that ran them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn delete_workflow(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write_triggers(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::DELETE_WORKFLOW).bind(now().0).bind(&id);
                let done = query.execute(&mut *connection).await.map_err(|e| database("delete a workflow", e))?;
                if done.rows_affected() == 0 {
                    return Err(not_found(id));
                }
                kv::forget_workflow(&mut *connection, &id).await?;
                triggers::withdraw(connection, &id).await
            })
        })
        .await
    }

    /// The live workflow with this id or, if there is none, with this name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workflow(&self, id_or_name: &str) -> Result<Option<WorkflowRow>, StoreError> {
        let readers = &self.inner.readers;
        if let Some(found) = one(readers, queries::WORKFLOW_BY_ID, id_or_name).await? {
            return Ok(Some(found));
        }
        one(readers, queries::WORKFLOW_BY_NAME, &folded(id_or_name)).await
    }

    /// A version of a workflow, deleted or not; the newest if `version` is `None`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workflow_version(
        &self,
        workflow_id: &str,
        version: Option<u32>,
    ) -> Result<Option<WorkflowVersion>, StoreError> {
        let found = version_up_to(&self.inner.readers, workflow_id, version.unwrap_or(u32::MAX)).await?;
        Ok(found.filter(|found| version.is_none_or(|version| found.version == version)))
    }

    /// Versions of a workflow, newest first, older than `before`, at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workflow_versions(
        &self,
        workflow_id: &str,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<WorkflowVersion>, StoreError> {
        let query = sqlx::query(queries::WORKFLOW_VERSIONS).bind(workflow_id).bind(before.unwrap_or(u32::MAX));
        let rows = query.bind(page(limit)).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("list versions of a workflow", e))?.iter().map(version_row).collect()
    }

    /// Live workflows that `filter` lets pass, after the one with the id `after` in the filter's order, at most `limit`
    /// and never more than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workflows(
        &self,
        filter: &WorkflowFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<WorkflowRow>, StoreError> {
        let text = match filter.order {
            WorkflowOrder::Name => queries::WORKFLOWS_BY_NAME,
            WorkflowOrder::Newest => queries::WORKFLOWS_NEWEST,
        };
        let search = filter.search.as_ref().map(|search| search.to_lowercase());
        let query = sqlx::query(text).bind(filter.active).bind(search).bind(after).bind(page(limit));
        let query = query.bind(filter.owner_id.as_deref());
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list workflows", e))?;
        rows.iter().map(workflow_row).collect()
    }
}

/// Tells of a new version where somebody waits for that.
async fn tell(connection: &mut SqliteConnection, saved: &Saved, tells: bool) -> Result<(), StoreError> {
    if !tells {
        return Ok(());
    }
    let WorkflowRow { id, name, version, active, .. } = &saved.workflow;
    let data = json!({ "workflow": { "id": id, "name": name, "version": version }, "active": active });
    let key = format!("{id}/{version}");
    bus::record(connection, &NewBusEvent::of_host(HostEvent::WorkflowPublished, &key, id, now(), data)).await
}

async fn create(connection: &mut SqliteConnection, new: NewWorkflow) -> Result<Saved, StoreError> {
    check_name(connection, &new.name, None).await?;
    let at = now();
    let workflow = WorkflowRow {
        id: Uuid::now_v7().to_string().into(),
        name: new.name.into(),
        description: new.description,
        active: new.active,
        version: 1,
        created_at: at,
        updated_at: at,
        owner: new.owner,
    };
    let query = sqlx::query(queries::INSERT_WORKFLOW)
        .bind(&*workflow.id)
        .bind(&*workflow.name)
        .bind(folded(&workflow.name))
        .bind(search_text(&workflow))
        .bind(&workflow.description)
        .bind(workflow.active)
        .bind(workflow.version)
        .bind(at.0)
        .bind(at.0)
        .bind(workflow.owner.as_ref().map(|owner| Arc::clone(&owner.id)))
        .bind(workflow.owner.as_ref().map(|owner| Arc::clone(&owner.name)));
    query.execute(&mut *connection).await.map_err(|e| database("save a workflow", e))?;
    let version = insert_version(&mut *connection, &workflow, new.definition).await?;
    triggers::publish(&mut *connection, &workflow, false, new.triggers).await?;
    audit::record(connection, &new.entries).await?;
    Ok(Saved { workflow, version, new_version: true })
}

async fn update(connection: &mut SqliteConnection, id: String, new: NewWorkflow) -> Result<Saved, StoreError> {
    let old: Option<WorkflowRow> = one(&mut *connection, queries::WORKFLOW_BY_ID, &id).await?;
    let Some(old) = old else { return Err(not_found(id)) };
    if let Some(expected) = new.expected_version.filter(|expected| *expected != old.version) {
        return Err(StoreError::VersionConflict { newest: old.version, expected });
    }
    check_name(connection, &new.name, Some(&id)).await?;
    let newest = version_up_to(&mut *connection, &id, old.version).await?;
    let same = newest.filter(|newest| newest.digest == sha256_hex(new.definition.text().as_bytes()));
    let old_active = old.active;
    let workflow = WorkflowRow {
        name: new.name.into(),
        description: new.description,
        active: new.active,
        version: if same.is_some() { old.version } else { old.version.saturating_add(1) },
        updated_at: now(),
        ..old
    };
    let query = sqlx::query(queries::UPDATE_WORKFLOW)
        .bind(&*workflow.name)
        .bind(folded(&workflow.name))
        .bind(search_text(&workflow))
        .bind(&workflow.description)
        .bind(workflow.active)
        .bind(workflow.version)
        .bind(workflow.updated_at.0)
        .bind(&id);
    query.execute(&mut *connection).await.map_err(|e| database("save a workflow", e))?;
    let new_version = same.is_none();
    if new_version || old_active != workflow.active {
        triggers::publish(connection, &workflow, old_active, new.triggers).await?;
        audit::record(connection, &new.entries).await?;
    }
    let version = match same {
        Some(same) => WorkflowVersion { name: Arc::clone(&workflow.name), ..same },
        None => insert_version(&mut *connection, &workflow, new.definition).await?,
    };
    Ok(Saved { workflow, version, new_version })
}

async fn check_name(connection: &mut SqliteConnection, name: &str, own_id: Option<&str>) -> Result<(), StoreError> {
    let holder: Option<WorkflowRow> = one(connection, queries::WORKFLOW_BY_NAME, &folded(name)).await?;
    match holder.filter(|holder| Some(&*holder.id) != own_id) {
        None => Ok(()),
        Some(holder) => Err(StoreError::NameTaken { name: name.to_owned(), workflow_id: holder.id.to_string() }),
    }
}

async fn insert_version(
    connection: &mut SqliteConnection,
    workflow: &WorkflowRow,
    definition: Json,
) -> Result<WorkflowVersion, StoreError> {
    let version = WorkflowVersion {
        workflow_id: Arc::clone(&workflow.id),
        name: Arc::clone(&workflow.name),
        version: workflow.version,
        digest: sha256_hex(definition.text().as_bytes()),
        definition,
        created_at: workflow.updated_at,
    };
    let query = sqlx::query(queries::INSERT_VERSION)
        .bind(&*version.workflow_id)
        .bind(version.version)
        .bind(&version.digest)
        .bind(version.definition.text())
        .bind(version.created_at.0);
    query.execute(connection).await.map_err(|e| database("save a version of a workflow", e))?;
    Ok(version)
}

async fn one<'e>(
    executor: impl SqliteExecutor<'e>,
    text: &'static str,
    key: &str,
) -> Result<Option<WorkflowRow>, StoreError> {
    let row = sqlx::query(text).bind(key).fetch_optional(executor).await;
    row.map_err(|e| database("read a workflow", e))?.as_ref().map(workflow_row).transpose()
}

async fn version_up_to<'e>(
    executor: impl SqliteExecutor<'e>,
    workflow_id: &str,
    version: u32,
) -> Result<Option<WorkflowVersion>, StoreError> {
    let row = sqlx::query(queries::WORKFLOW_VERSION).bind(workflow_id).bind(version).fetch_optional(executor).await;
    row.map_err(|e| database("read a version of a workflow", e))?.as_ref().map(version_row).transpose()
}

fn search_text(workflow: &WorkflowRow) -> String {
    let description = workflow.description.as_deref().unwrap_or_default();
    format!("{}\n{description}", workflow.name).to_lowercase()
}

fn not_found(name: String) -> StoreError {
    StoreError::NotFound { noun: "workflow", name }
}

fn workflow_row(row: &SqliteRow) -> Result<WorkflowRow, StoreError> {
    let mut columns = Columns::new(row, "a workflow");
    Ok(WorkflowRow {
        id: columns.text()?,
        name: columns.text()?,
        description: columns.next()?,
        active: columns.next()?,
        version: columns.number()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        owner: columns.text_or_none()?.zip(columns.text_or_none()?).map(|(id, name)| WorkflowOwner { id, name }),
    })
}

fn version_row(row: &SqliteRow) -> Result<WorkflowVersion, StoreError> {
    let mut columns = Columns::new(row, "a version of a workflow");
    Ok(WorkflowVersion {
        workflow_id: columns.text()?,
        name: columns.text()?,
        version: columns.number()?,
        digest: columns.next()?,
        definition: columns.json()?,
        created_at: columns.time()?,
    })
}
