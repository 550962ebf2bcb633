//! `weir reference`: what a reference or template resolves to, for authors.

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};
use weir_engine::reference::{Template, View};

use super::{
    Outcome, file,
    out::{Out, clean},
};

/// Show what a reference or template resolves to.
#[derive(Debug, Args)]
pub(super) struct Reference {
    /// A reference (`$.input.a`), a text with references, or a JSON object or array that holds some.
    expression: String,
    /// What it sees: a JSON object such as {"input": …, "step_id": …}, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    scope: String,
}

/// A scope that somebody wrote down.
struct Written(Map<String, Value>);

impl View for Written {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Reference {
    pub(super) fn run(self, out: Out) -> anyhow::Result<Outcome> {
        let Value::Object(scope) = file::argument(&self.scope)? else {
            bail!("the scope is not a JSON object: write {{\"input\": …}}, or @FILE");
        };
        let template = Template::compile(&expression(&self.expression)).map_err(|problems| {
            let lines = problems.iter().map(|(at, e)| if at.is_empty() { e.to_string() } else { format!("{at}: {e}") });
            anyhow::anyhow!("could not read the expression: {}", lines.collect::<Vec<_>>().join("; "))
        })?;
        match template.resolve(&Written(scope)) {
            Ok(value) => {
                out.text(&clean(&format!("{value:#}")));
                Ok(Outcome::Done)
            }
            Err(missing) => {
                let words = format!("{} leads to no value in this scope", missing.reference);
                out.show(&json!({ "missing": missing.reference }), || clean(&words));
                Ok(Outcome::Failed)
            }
        }
    }
}

/// Objects and arrays are read as JSON; everything else is a text.
fn expression(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        Ok(_) | Err(_) => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_json_and_the_rest_is_text() {
        assert!(expression(r#"{"a": "$.b"}"#).is_object());
        assert_eq!(expression("$.a.b"), "$.a.b");
        assert_eq!(expression("12"), "12");
        assert_eq!(expression("[x"), "[x");
    }
}
