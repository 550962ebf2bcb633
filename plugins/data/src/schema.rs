//! JSON Schema.

use jsonschema::PatternOptions;
use weir_sdk::prelude::*;

/// A schema, and a value that should satisfy it.
#[derive(Deserialize, JsonSchema)]
pub struct ValidateSchemaInput {
    /// The schema; drafts 4 to 2020-12, by `$schema`, the newest where it names none.
    pub schema: Value,
    /// The value.
    pub value: Value,
}

/// Whether the value satisfies the schema.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct ValidateSchemaOutput {
    /// Whether it does.
    pub valid: bool,
    /// What is wrong, at most 100.
    pub errors: Vec<SchemaError>,
    /// Whether there are more errors than these.
    pub truncated: bool,
}

/// Something that is wrong with a value.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct SchemaError {
    /// Where in the value, as a JSON pointer; empty for the whole value.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// The rule, as a JSON pointer into the schema.
    pub rule: String,
}

const ERRORS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 500;
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Validates a value against a JSON Schema.
///
/// Answers all errors with JSON pointers. `format` is checked too. A `$ref` reaches only within the schema: nothing is
/// fetched. Regular expressions are those of RE2.
#[tool(idempotent, read_only)]
pub fn validate_schema(input: ValidateSchemaInput) -> Result<ValidateSchemaOutput> {
    let patterns = PatternOptions::regex().size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
    let validator = jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .should_validate_formats(true)
        .build(&input.schema)
        .map_err(|error| Failure::invalid_input(format!("schema cannot be used: {}", shorten(&error.to_string()))))?;
    let mut errors: Vec<_> =
        validator.iter_errors(&input.value).take(ERRORS_MAX + 1).map(|error| describe(&error)).collect();
    let truncated = errors.len() > ERRORS_MAX;
    errors.truncate(ERRORS_MAX);
    Ok(ValidateSchemaOutput { valid: errors.is_empty(), errors, truncated })
}

fn describe(error: &jsonschema::ValidationError<'_>) -> SchemaError {
    SchemaError {
        pointer: error.instance_path().to_string(),
        message: shorten(&error.to_string()),
        rule: error.schema_path().to_string(),
    }
}

/// Messages repeat the value that is wrong, however long it is.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(schema: Value, value: Value) -> Result<ValidateSchemaOutput> {
        validate_schema(ValidateSchemaInput { schema, value })
    }

    #[test]
    fn all_errors_have_pointers() {
        let schema = json!({
            "type": "object",
            "properties": { "id": { "type": "integer" }, "mail": { "type": "string", "format": "email" } },
            "required": ["id", "name"],
        });
        let output = validate(schema.clone(), json!({ "id": "x", "mail": "nobody" })).unwrap();
        assert!(!output.valid);
        let mut pointers: Vec<_> = output.errors.iter().map(|error| error.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["", "/id", "/mail"]);
        assert!(validate(schema, json!({ "id": 1, "name": "Ada" })).unwrap().valid);
    }

    #[test]
    fn errors_are_bounded() {
        let output = validate(json!({ "items": { "type": "string" } }), json!(vec![0; 1000])).unwrap();
        assert_eq!((output.errors.len(), output.truncated), (ERRORS_MAX, true));
        let output = validate(json!({ "type": "integer" }), json!("x".repeat(10_000))).unwrap();
        assert!(output.errors[0].message.chars().count() <= MESSAGE_CHARS_MAX + 1);
    }

    #[test]
    fn bad_schemas_and_remote_references_are_refused() {
        for schema in [
            json!({ "type": "nonsense" }),
            json!({ "pattern": "(" }),
            json!({ "$ref": "http://127.0.0.1:9/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "$ref": "#/nowhere" }),
        ] {
            let failure = validate(schema.clone(), json!("x")).unwrap_err();
            assert_eq!(failure.code(), "invalid_input", "{schema}");
        }
    }

    #[test]
    fn references_within_work() {
        let schema = json!({ "$defs": { "tree": { "type": "array", "items": { "$ref": "#/$defs/tree" } } }, "$ref": "#/$defs/tree" });
        assert!(validate(schema.clone(), json!([[], [[]]])).unwrap().valid);
        assert_eq!(validate(schema, json!([[], [7]])).unwrap().errors[0].pointer, "/1/0");
    }
}
