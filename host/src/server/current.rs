//! The newest versions of live workflows, kept in memory: starting an execution reads nothing from the disk.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::error::{ApiError, Code};
use crate::store::{Store, WorkflowRow, WorkflowVersion};

/// The most workflows that are kept; beyond it all are forgotten and read again.
const KEPT_MAX: usize = 10_000;
/// No workflow has a longer name or id, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// A live workflow and its newest version.
#[derive(Debug)]
pub(super) struct CurrentWorkflow {
    /// The workflow.
    pub(super) row: WorkflowRow,
    /// Its newest version.
    pub(super) version: Arc<WorkflowVersion>,
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
    pub(super) async fn get(&self, store: &Store, id_or_name: &str) -> Result<Arc<CurrentWorkflow>, ApiError> {
        let generation = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(workflow) = known.workflows.get(id_or_name) {
                return Ok(Arc::clone(workflow));
            }
            known.generation
        };
        let workflow = Arc::new(read(store, id_or_name).await?);
        self.keep(generation, id_or_name, &workflow);
        Ok(workflow)
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

    /// Forgets everything; to be called after each change of a workflow.
    pub(super) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.generation += 1;
        known.workflows.clear();
    }
}

async fn read(store: &Store, id_or_name: &str) -> Result<CurrentWorkflow, ApiError> {
    let missing = || {
        ApiError::new(
            Code::WorkflowNotFound,
            format!("there is no workflow {:?}; GET /api/workflows lists them", clip(id_or_name)),
        )
    };
    if id_or_name.is_empty() || id_or_name.len() > NAME_BYTES_MAX {
        return Err(missing());
    }
    let row = store.workflow(id_or_name).await?.ok_or_else(missing)?;
    let version = store.workflow_version(&row.id, None).await?.ok_or_else(missing)?;
    Ok(CurrentWorkflow { row, version: Arc::new(version) })
}

fn clip(name: &str) -> String {
    name.chars().take(128).collect()
}
