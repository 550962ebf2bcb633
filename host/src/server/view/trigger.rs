//! Triggers and their occurrences as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::Time;
use crate::store::{OccurrenceRow, TriggerRow};

/// What starts a workflow, and how it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TriggerView {
    /// Its id; it stays while the workflow's versions come and go.
    pub id: String,
    /// The workflow that it starts.
    pub workflow_id: String,
    /// That workflow's name.
    pub workflow_name: String,
    /// The version of the workflow that defined it as it is.
    pub workflow_version: u32,
    /// Its name in the workflow: the author's id, or its type and number.
    pub key: String,
    /// `manual`, `cron`, `webhook`, `event` or `agent_completion`.
    pub r#type: &'static str,
    /// Its settings, as they were written.
    #[schema(value_type = Object)]
    pub config: Json,
    /// Where a webhook comes in.
    pub url_path: Option<String>,
    /// Whether it starts anything.
    pub enabled: bool,
    /// Whether the workflow may be started: if not, the trigger starts nothing.
    pub workflow_active: bool,
    /// When a schedule starts something next.
    pub next_at: Option<Time>,
    /// When it last started something.
    pub last_at: Option<Time>,
    /// How many occurrences started something.
    pub fired: u64,
    /// How many were skipped, as they should be.
    pub skipped: u64,
    /// How many should have started something and did not.
    pub failed: u64,
    /// When it was made.
    pub created_at: Time,
}

impl From<TriggerRow> for TriggerView {
    fn from(row: TriggerRow) -> Self {
        Self {
            id: row.id.as_ref().to_owned(),
            workflow_id: row.workflow_id.as_ref().to_owned(),
            workflow_name: row.workflow_name.as_ref().to_owned(),
            workflow_version: row.version,
            key: row.key.as_ref().to_owned(),
            r#type: row.trigger_type.as_str(),
            config: row.config,
            url_path: row.path.map(|path| format!("/webhooks/{path}")),
            enabled: row.enabled,
            workflow_active: row.workflow_active,
            next_at: row.next_at.map(Time),
            last_at: row.last_at.map(Time),
            fired: row.fired,
            skipped: row.skipped,
            failed: row.failed,
            created_at: Time(row.created_at),
        }
    }
}

/// One time that a trigger had reason to start something, or a range of them that were skipped.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OccurrenceView {
    /// What makes it one: the instant, the delivery's id, the event's id. The same key never starts anything again.
    pub key: String,
    /// Of a schedule: the instant; of a range, the first.
    pub scheduled_for: Option<Time>,
    /// Of a range: the last instant.
    pub until: Option<Time>,
    /// How many it stands for.
    pub count: u64,
    /// `fired`, `skipped`, `failed`, or `queued`: it waits for the end of what runs.
    pub status: &'static str,
    /// Why it was skipped or failed: a word, and details after a colon.
    pub reason: Option<String>,
    /// What it started.
    pub execution_id: Option<String>,
    /// When it was written down.
    pub at: Time,
}

impl From<OccurrenceRow> for OccurrenceView {
    fn from(row: OccurrenceRow) -> Self {
        Self {
            key: row.key.as_ref().to_owned(),
            scheduled_for: row.scheduled_for.map(Time),
            until: row.until_at.map(Time),
            count: row.count,
            status: row.status.as_str(),
            reason: row.reason,
            execution_id: row.execution_id.map(|id| id.as_ref().to_owned()),
            at: Time(row.at),
        }
    }
}
