//! Compiled input schemas of workflows, kept: a schema is compiled once, not at every start.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use super::error::FieldProblem;
use crate::schema::{Schema, SchemaProblem};

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
    pub(super) fn problems(&self, key: Key, schema: &Value, input: &Value) -> Vec<SchemaProblem> {
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

/// Problems of a part of the body, as problems of the body.
pub(super) fn in_body(problems: Vec<SchemaProblem>, part: &str, code: &str) -> Vec<FieldProblem> {
    let problem = |p: SchemaProblem| p.within(part);
    problems.into_iter().map(problem).map(|p| FieldProblem::new(p.field, code, p.message)).collect()
}
