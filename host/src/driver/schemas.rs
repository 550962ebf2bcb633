//! Compiled input schemas of workflows, kept: a schema is compiled once, not at every start.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;
use weir_engine::json::Json;

use super::{Compiled, Driver};
use crate::{
    schema::{Schema, SchemaProblem},
    store::WorkflowVersion,
};

/// The most compiled schemas that are kept; beyond it all are made again.
const KEPT_MAX: usize = 1_000;

/// Compiled input schemas by workflow and version; versions never change, so nothing here grows old.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    compiled: RwLock<HashMap<Key, Arc<Schema>>>,
}

/// A workflow's id and a version of it.
type Key = (Arc<str>, u32);

impl Schemas {
    /// Everything that is wrong with an input by the schema of this workflow's version.
    fn problems(&self, key: Key, schema: &Value, input: &Value) -> Vec<SchemaProblem> {
        let known = self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let compiled = known.map_or_else(|| Schema::compile(schema).map(|schema| self.keep(key, schema)), Ok);
        match compiled {
            Ok(schema) => schema.problems(input),
            Err(problem) => vec![SchemaProblem::new("", format!("the input schema is wrong: {}", problem.message))],
        }
    }

    fn keep(&self, key: Key, schema: Schema) -> Arc<Schema> {
        let schema = Arc::new(schema);
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= KEPT_MAX {
            compiled.clear();
        }
        compiled.insert(key, Arc::clone(&schema));
        schema
    }
}

impl Driver {
    /// Everything that is wrong with an input by the input schema of a workflow's version.
    #[must_use]
    pub fn input_problems(&self, version: &WorkflowVersion, compiled: &Compiled, input: &Json) -> Vec<SchemaProblem> {
        let Some(schema) = &compiled.graph.input_schema else { return Vec::new() };
        let key = (Arc::clone(&version.workflow_id), version.version);
        self.inner.schemas.problems(key, schema, input.value())
    }
}
