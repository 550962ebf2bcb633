//! The answer's schema: whether an answer fits it, and what to tell the model where it does not.

use jsonschema::{PatternOptions, Validator};
use weir_sdk::prelude::*;

/// Errors that the model is told.
const ERRORS_MAX: usize = 10;
const ERROR_CHARS_MAX: usize = 300;
/// What a compiled regular expression of the schema may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// What answers have to be.
pub(crate) struct Form {
    schema: Value,
    validator: Validator,
}

impl Form {
    pub(crate) fn new(schema: Value) -> Result<Self> {
        let patterns = PatternOptions::regex().size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
        let built = jsonschema::options().offline().with_pattern_options(patterns).build(&schema);
        let validator = built.map_err(|error| {
            let why = shorten(&error.to_string());
            Failure::invalid_input(format!("config.output_schema is no JSON Schema that can be used: {why}"))
        })?;
        Ok(Self { schema, validator })
    }

    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The document in an answer.
    ///
    /// # Errors
    /// Why it is none, or does not fit, one line each: for the model.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let document: Value =
            serde_json::from_str(unfenced(text)).map_err(|error| format!("- it is not one JSON document: {error}"))?;
        let errors = self.validator.iter_errors(&document).take(ERRORS_MAX).map(|error| {
            let place = error.instance_path().to_string();
            format!("- at {:?}: {}", if place.is_empty() { "/" } else { &place }, shorten(&error.to_string()))
        });
        let errors: Vec<String> = errors.collect();
        if errors.is_empty() { Ok(document) } else { Err(errors.join("\n")) }
    }
}

/// The text between the fences of a code block, where the whole answer is one: models like them.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inside.and_then(|inside| inside.split_once('\n')) {
        Some((_language, inside)) => inside.trim(),
        None => text,
    }
}

/// Messages repeat the value that is wrong, however long it is.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(ERROR_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_and_checked() {
        let form =
            Form::new(json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } }));
        let form = form.unwrap();
        for text in ["{\"n\": 1}", " {\"n\":1}\n", "```json\n{\"n\": 1}\n```", "```\n{\"n\": 1}```"] {
            assert_eq!(form.read(text), Ok(json!({ "n": 1 })), "{text}");
        }
        assert!(form.read("The answer is 1").unwrap_err().contains("not one JSON document"));
        assert!(form.read("{\"n\": 1} {}").unwrap_err().contains("not one JSON document"));
        assert!(form.read("{\"n\": \"1\"}").unwrap_err().starts_with("- at \"/n\": "));
        assert!(form.read("{}").unwrap_err().starts_with("- at \"/\": "));
    }

    #[test]
    fn what_the_model_is_told_is_bounded() {
        let form = Form::new(json!({ "items": { "type": "string" } })).unwrap();
        let told = form.read(&json!(vec![0; 1000]).to_string()).unwrap_err();
        assert_eq!(told.lines().count(), ERRORS_MAX);
        let form = Form::new(json!({ "type": "integer" })).unwrap();
        assert!(form.read(&json!("x".repeat(10_000)).to_string()).unwrap_err().len() < 400);
    }

    #[test]
    fn schemas_that_reach_out_are_refused() {
        for schema in [json!({ "type": "nonsense" }), json!({ "$ref": "http://127.0.0.1:9/schema.json" }), json!(7)] {
            assert_eq!(Form::new(schema).err().map(|failure| failure.code().to_owned()), Some("invalid_input".into()));
        }
    }
}
