//! Workflows and their immutable versions.

use std::sync::Arc;

use weir_engine::{id::Timestamp, json::Json};

use super::{Store, StoreError};

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
    /// In which order.
    pub order: WorkflowOrder,
}

impl Store {
    /// Saves a new workflow as version 1.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`]; the database cannot be written.
    pub async fn create_workflow(&self, new: NewWorkflow) -> Result<Saved, StoreError> {
        drop((new, &self.inner));
        unimplemented!()
    }

    /// Replaces name, description, active and definition of a workflow; makes a new version where the definition
    /// differs from the newest one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NameTaken`]; the database cannot be written.
    pub async fn update_workflow(&self, id: &str, new: NewWorkflow) -> Result<Saved, StoreError> {
        drop((id, new, &self.inner));
        unimplemented!()
    }

    /// Deletes a workflow and frees its name. Its versions stay for the executions that ran them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn delete_workflow(&self, id: &str) -> Result<(), StoreError> {
        drop((id, &self.inner));
        unimplemented!()
    }

    /// The live workflow with this id or, if there is none, with this name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workflow(&self, id_or_name: &str) -> Result<Option<WorkflowRow>, StoreError> {
        drop((id_or_name, &self.inner));
        unimplemented!()
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
        drop((workflow_id, version, &self.inner));
        unimplemented!()
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
        drop((workflow_id, before, limit, &self.inner));
        unimplemented!()
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
        drop((filter, after, limit, &self.inner));
        unimplemented!()
    }
}
