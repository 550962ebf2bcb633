//! JSON Schemas of workflows and forms: compiled once, applied to what clients send. Nothing is ever fetched for them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::error::FieldProblem;

/// The most compiled schemas that are kept.
const KEPT_MAX: usize = 1_000;
/// The most problems that one answer lists.
const PROBLEMS_MAX: usize = 100;
/// The most bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Compiled input schemas by workflow and version; versions never change, so nothing here grows old.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    compiled: RwLock<HashMap<(Arc<str>, u32), Option<Arc<Validator>>>>,
}

impl Schemas {
    /// Everything that is wrong with the input of a workflow's version; `schema` tells its input schema, if it has one.
    pub(super) fn check<'a>(
        &self,
        workflow_id: &Arc<str>,
        version: u32,
        schema: impl FnOnce() -> Option<&'a Value>,
        input: impl FnOnce() -> &'a Value,
        at: &str,
    ) -> Vec<FieldProblem> {
        let key = (Arc::clone(workflow_id), version);
        let known = self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let validator = known.unwrap_or_else(|| {
            let validator = schema().and_then(|schema| compile(schema).ok()).map(Arc::new);
            self.keep(key, validator.clone());
            validator
        });
        validator.map(|validator| problems(&validator, input(), at)).unwrap_or_default()
    }

    fn keep(&self, key: (Arc<str>, u32), validator: Option<Arc<Validator>>) {
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= KEPT_MAX {
            compiled.clear();
        }
        compiled.insert(key, validator);
    }
}

/// A schema, compiled; references that lead outside it are refused, and patterns run in linear time.
///
/// # Errors
/// Says what is wrong with the schema, and where in it.
pub(super) fn compile(schema: &Value) -> Result<Validator, FieldProblem> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    let options = jsonschema::options().offline().with_draft(Draft::Draft202012).with_pattern_options(patterns);
    options.build(schema).map_err(|e| FieldProblem::new(e.instance_path().to_string(), "invalid_schema", e.to_string()))
}

/// Everything that is wrong with `value`, up to a bound; the pointers begin with `at`.
pub(super) fn problems(validator: &Validator, value: &Value, at: &str) -> Vec<FieldProblem> {
    let problem = |e: jsonschema::ValidationError<'_>| {
        FieldProblem::new(format!("{at}{}", e.instance_path()), "schema_violation", shortened(e.to_string()))
    };
    validator.iter_errors(value).take(PROBLEMS_MAX).map(problem).collect()
}

/// Messages quote the offending value, which may be long.
fn shortened(mut message: String) -> String {
    const LENGTH_MAX: usize = 500;
    if message.len() > LENGTH_MAX {
        let end = (0..=LENGTH_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_problems_are_listed_with_pointers() {
        let schema = json!({"type": "object", "required": ["b"], "properties": {"a": {"type": "integer"}}});
        let validator = compile(&schema).unwrap();
        let found = problems(&validator, &json!({"a": "x"}), "/input_data");
        let fields: Vec<_> = found.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(fields.contains(&"/input_data/a") && fields.contains(&"/input_data"), "{found:?}");
    }

    #[test]
    fn references_outside_the_schema_are_refused() {
        for target in ["http://127.0.0.1:1/x", "file:///etc/passwd", "other.json"] {
            assert!(compile(&json!({"$ref": target})).is_err(), "{target}");
        }
    }
}
