//! The newest versions of live workflows, kept in memory: starting an execution reads nothing from the disk.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::Driver;
use crate::store::{Store, StoreError, WorkflowRow, WorkflowVersion};

/// The most workflows that are kept; beyond it all are forgotten and read again.
const KEPT_MAX: usize = 10_000;
/// No workflow has a longer name or id, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// A live workflow and its newest version.
#[derive(Debug)]
pub struct CurrentWorkflow {
    /// The workflow.
    pub row: WorkflowRow,
    /// Its newest version.
    pub version: Arc<WorkflowVersion>,
}

/// Live workflows by id and by name, as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Current {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Counts the changes, so that nothing is kept that was read before one.
    generation: u64,
    workflows: HashMap<String, Arc<CurrentWorkflow>>,
}

impl Current {
    /// The live workflow with this id or name.
    async fn get(&self, store: &Store, id_or_name: &str) -> Result<Option<Arc<CurrentWorkflow>>, StoreError> {
        let generation = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(workflow) = known.workflows.get(id_or_name) {
                return Ok(Some(Arc::clone(workflow)));
            }
            known.generation
        };
        let Some(workflow) = read(store, id_or_name).await?.map(Arc::new) else { return Ok(None) };
        self.keep(generation, id_or_name, &workflow);
        Ok(Some(workflow))
    }

    fn keep(&self, generation: u64, id_or_name: &str, workflow: &Arc<CurrentWorkflow>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation != generation {
            return;
        }
        if known.workflows.len() >= KEPT_MAX {
            known.workflows.clear();
        }
        known.workflows.insert(id_or_name.to_owned(), Arc::clone(workflow));
    }

    fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.generation += 1;
        known.workflows.clear();
    }
}

async fn read(store: &Store, id_or_name: &str) -> Result<Option<CurrentWorkflow>, StoreError> {
    if id_or_name.is_empty() || id_or_name.len() > NAME_BYTES_MAX {
        return Ok(None);
    }
    let Some(row) = store.workflow(id_or_name).await? else { return Ok(None) };
    let version = store.workflow_version(&row.id, None).await?;
    Ok(version.map(|version| CurrentWorkflow { row, version: Arc::new(version) }))
}

impl Driver {
    /// The live workflow with this id or name, and its newest version.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn current(&self, id_or_name: &str) -> Result<Option<Arc<CurrentWorkflow>>, StoreError> {
        self.inner.current.get(&self.inner.store, id_or_name).await
    }

    /// Forgets which versions are the newest; to be called after each change of a workflow.
    pub fn workflows_changed(&self) {
        self.inner.current.forget();
    }
}
