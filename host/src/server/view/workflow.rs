//! Workflows as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::{SecretMadeView, Time, TriggerView};
use crate::{
    server::error::FieldProblem,
    store::{TriggerRow, WorkflowRow, WorkflowVersion},
};

/// A workflow without its definition.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkflowSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it may be executed.
    pub active: bool,
    /// Its newest version.
    pub version: u32,
    /// When it was made.
    pub created_at: Time,
    /// When it was last saved.
    pub updated_at: Time,
    /// Who made it, as the audit log names them: `user:alice`; null where nobody knows.
    pub owner: Option<String>,
}

/// A workflow with its newest definition.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkflowView {
    /// The workflow.
    #[serde(flatten)]
    pub summary: WorkflowSummary,
    /// SHA-256 of the definition, in hex.
    pub digest: String,
    /// The definition, as it was saved.
    #[schema(value_type = Object)]
    pub definition: Json,
    /// What starts it.
    pub triggers: Vec<TriggerView>,
}

/// A workflow that was saved.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SavedView {
    /// The workflow as it is now.
    #[serde(flatten)]
    pub workflow: WorkflowView,
    /// Whether a version was made: not where the definition did not change.
    pub new_version: bool,
    /// Secrets that were made for its webhooks: the only answer that shows them.
    pub secrets: Vec<SecretMadeView>,
    /// What should be looked at though the workflow was saved.
    pub warnings: Vec<FieldProblem>,
}

/// One immutable version of a workflow.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkflowVersionView {
    /// The workflow.
    pub workflow_id: String,
    /// The version, from 1.
    pub version: u32,
    /// SHA-256 of the definition, in hex.
    pub digest: String,
    /// When it was made.
    pub created_at: Time,
    /// The definition, as it was saved.
    #[schema(value_type = Object)]
    pub definition: Json,
}

impl From<WorkflowRow> for WorkflowSummary {
    fn from(row: WorkflowRow) -> Self {
        Self {
            id: row.id.as_ref().to_owned(),
            name: row.name.as_ref().to_owned(),
            description: row.description,
            active: row.active,
            version: row.version,
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
            owner: row.owner.map(|owner| owner.name.as_ref().to_owned()),
        }
    }
}

impl WorkflowView {
    /// A workflow, its newest version, and that version's triggers.
    #[must_use]
    pub fn new(row: WorkflowRow, version: WorkflowVersion, triggers: Vec<TriggerRow>) -> Self {
        let triggers = triggers.into_iter().map(TriggerView::from).collect();
        Self { summary: row.into(), digest: version.digest, definition: version.definition, triggers }
    }
}

impl From<WorkflowVersion> for WorkflowVersionView {
    fn from(version: WorkflowVersion) -> Self {
        Self {
            workflow_id: version.workflow_id.as_ref().to_owned(),
            version: version.version,
            digest: version.digest,
            created_at: Time(version.created_at),
            definition: version.definition,
        }
    }
}
