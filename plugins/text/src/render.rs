//! Templates.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use std::io::{self, Write};
use weir_sdk::prelude::*;

/// A template and what to fill in.
#[derive(Deserialize, JsonSchema)]
pub struct RenderInput {
    /// The template: `Dear {{ name }}, {% for item in items %}…{% endfor %}`.
    pub template: String,
    /// The values: an object, whose members the template names.
    #[serde(default)]
    pub data: serde_json::Map<String, Value>,
    /// What to do with characters that mean something where the text goes.
    #[serde(default)]
    pub escape: Escape,
}

/// What to do with the characters of values.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Escape {
    /// Nothing: for plain text.
    #[default]
    None,
    /// Escape them for HTML.
    Html,
    /// Write every value as JSON.
    Json,
}

/// The filled-in template.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct RenderOutput {
    /// The text.
    pub text: String,
}

const TEMPLATE_BYTES_MAX: usize = 64 << 10;
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// About as many instructions of the template language.
const FUEL: u64 = 500_000;

/// Fills in a template.
///
/// The language is Jinja: `{{ value }}`, filters such as `{{ name|upper }}` and `{{ items|join(", ") }}`,
/// `{% if %}`, `{% for %}`, `{% set %}`. A name that is not in the data is an error; `{{ name|default("you") }}` allows
/// it. A template cannot read anything but its data.
#[tool(idempotent, read_only)]
pub fn render(input: RenderInput) -> Result<RenderOutput> {
    if input.template.len() > TEMPLATE_BYTES_MAX {
        let message = format!("template has {} bytes, the most is {TEMPLATE_BYTES_MAX}", input.template.len());
        return Err(Failure::invalid_input(message));
    }
    let escape = input.escape;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(move |_| match escape {
        Escape::None => AutoEscape::None,
        Escape::Html => AutoEscape::Html,
        Escape::Json => AutoEscape::Json,
    });
    let template = environment.template_from_named_str("template", &input.template).map_err(explain)?;
    let mut output = Bounded { bytes: Vec::new(), overflowed: false };
    let rendered = template.render_captured_to(Serde(&input.data), &mut output);
    if output.overflowed {
        return Err(Failure::invalid_input(format!(
            "the text grew over {OUTPUT_BYTES_MAX} bytes: render less at once"
        )));
    }
    rendered.map_err(explain)?;
    Ok(RenderOutput { text: String::from_utf8(output.bytes)? })
}

/// The error with its line, and what it stems from.
fn explain(error: minijinja::Error) -> Failure {
    Failure::invalid_input(format!("could not render the template: {error:#}"))
}

/// Takes no more than is allowed.
struct Bounded {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.overflowed = true;
            return Err(io::Error::other("too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_in(template: &str, data: Value, escape: Escape) -> Result<String> {
        let Value::Object(data) = data else { panic!("data is an object") };
        render(RenderInput { template: template.into(), data, escape }).map(|output| output.text)
    }

    #[test]
    fn values_filters_and_loops() {
        let data =
            json!({ "name": "Ada", "items": [{ "title": "Tea", "price": 3.5 }, { "title": "Cup", "price": 12 }] });
        let template = "Dear {{ name|upper }},\n{% for item in items %}{{ loop.index }}. {{ item.title }}: {{ item.price }}\n{% endfor %}";
        assert_eq!(fill_in(template, data, Escape::None).unwrap(), "Dear ADA,\n1. Tea: 3.5\n2. Cup: 12\n");
    }

    #[test]
    fn escaping_is_chosen() {
        let data = || json!({ "x": "<b>\"" });
        assert_eq!(fill_in("{{ x }}", data(), Escape::None).unwrap(), "<b>\"");
        assert_eq!(fill_in("{{ x }}", data(), Escape::Html).unwrap(), "&lt;b&gt;&quot;");
        assert_eq!(fill_in("{{ {'k': [1, true]}|tojson }}", data(), Escape::None).unwrap(), r#"{"k": [1, true]}"#);
    }

    #[test]
    fn missing_names_are_errors_with_a_line() {
        let failure = fill_in("one\n{{ nobody }}", json!({}), Escape::None).unwrap_err();
        assert!(failure.message().contains("template:2"), "{failure}");
        assert_eq!(fill_in("{{ nobody|default('you') }}", json!({}), Escape::None).unwrap(), "you");
        assert_eq!(fill_in("{% if %}", json!({}), Escape::None).unwrap_err().code(), "invalid_input");
        assert_eq!(fill_in("{% include 'secret' %}", json!({}), Escape::None).unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn work_and_output_are_bounded() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(fill_in(endless, json!({}), Escape::None).unwrap_err().message().contains("fuel"));
        let data = json!({ "x": "x".repeat(100_000) });
        let long = "{% for a in range(20) %}{{ x }}{% endfor %}";
        assert!(fill_in(long, data, Escape::None).unwrap_err().message().contains("bytes"));
    }
}
