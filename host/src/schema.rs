//! JSON Schemas that authors wrote: of workflow inputs, forms and tools. Draft 2020-12, and nothing is ever fetched
//! for them; patterns run in linear time.

mod weight;
mod work;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// The most bytes of a schema's text.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// The most problems that one check lists.
const PROBLEMS_MAX: usize = 100;
/// The most bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Messages quote the offending value, which may be long.
const MESSAGE_BYTES_MAX: usize = 500;

/// One thing that is wrong with a value or a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// JSON pointer to it.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl SchemaProblem {
    /// A problem at a place.
    #[must_use]
    pub fn new(field: impl Into<String>, message: String) -> Self {
        Self { field: field.into(), message }
    }

    /// The same problem, seen from a document that holds the value at `pointer`.
    #[must_use]
    pub fn within(mut self, pointer: &str) -> Self {
        self.field.insert_str(0, pointer);
        self
    }
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    source: Value,
    /// How many of its parts can be applied to one place of a value; `None` where that has no bound.
    weight: Option<u64>,
}

impl Schema {
    /// Compiles a schema; references that lead outside it are refused.
    ///
    /// # Errors
    /// What is wrong with the schema, and where in it.
    pub fn compile(schema: &Value) -> Result<Self, SchemaProblem> {
        let weight = bounded(schema)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options().offline().with_draft(Draft::Draft202012).with_pattern_options(patterns);
        let wrong = |e: jsonschema::ValidationError<'_>| {
            SchemaProblem::new(e.instance_path().to_string(), shortened(e.to_string()))
        };
        let validator = options.build(schema).map_err(wrong)?;
        Ok(Self { validator, source: schema.clone(), weight })
    }

    /// Everything that is wrong with `value`, up to a bound. A value that would take too long to check is wrong, too.
    #[must_use]
    pub fn problems(&self, value: &Value) -> Vec<SchemaProblem> {
        let is_small = self.weight.is_some_and(|weight| work::is_small(weight, value));
        if !is_small && !work::is_bearable(&self.source, value) {
            return vec![SchemaProblem::new("", "too large or too deep to be checked by its schema".to_owned())];
        }
        let problem = |e: jsonschema::ValidationError<'_>| {
            SchemaProblem::new(e.instance_path().to_string(), shortened(e.to_string()))
        };
        self.validator.iter_errors(value).take(PROBLEMS_MAX).map(problem).collect()
    }
}

/// Everything that is wrong with `value` by `schema`; a schema that is no good lets nothing through.
#[must_use]
pub fn problems(schema: &Value, value: &Value) -> Vec<SchemaProblem> {
    match Schema::compile(schema) {
        Ok(schema) => schema.problems(value),
        Err(problem) => vec![SchemaProblem::new("", format!("the schema itself is wrong: {}", problem.message))],
    }
}

/// Refuses what would cost too much to compile or to apply; tells the schema's weight, where it has one.
fn bounded(schema: &Value) -> Result<Option<u64>, SchemaProblem> {
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        let message = format!("the schema has {bytes} bytes, the most is {SCHEMA_BYTES_MAX}");
        return Err(SchemaProblem::new("", message));
    }
    weight::check(schema).map_err(|message| SchemaProblem::new("", message))
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
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
        let found = problems(&schema, &json!({"a": "x"}));
        let fields: Vec<_> = found.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(fields.contains(&"/a") && fields.contains(&""), "{found:?}");
    }

    #[test]
    fn references_outside_the_schema_are_refused() {
        for target in ["http://127.0.0.1:1/x", "file:///etc/passwd", "other.json"] {
            assert!(Schema::compile(&json!({"$ref": target})).is_err(), "{target}");
        }
    }

    #[test]
    fn schemas_that_cost_too_much_are_refused() {
        let long = json!({ "description": "x".repeat(SCHEMA_BYTES_MAX) });
        assert!(Schema::compile(&long).unwrap_err().message.contains("bytes"));
    }
}
