//! Filters: which deliveries and events start something.

use serde_json::{Map, Value};
use weir_engine::{
    condition::{self, Condition},
    definition::{DiagnosticCode, Diagnostics, fields::Fields},
    reference::View,
};

/// What must hold of news from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// The input has these members, equal to these; its other members do not matter. Where it has none of a name, the
    /// event's attribute of that name counts.
    Members(Map<String, Value>),
    /// A condition over `$.input` and `$.trigger`.
    Condition(Condition),
}

/// What a filter sees: the same as the steps of the execution that would start.
struct Scope<'n> {
    input: &'n Value,
    trigger: &'n Value,
}

impl View for Scope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "input" => Some(self.input),
            "trigger" => Some(self.trigger),
            _ => None,
        }
    }

    fn names(&self) -> Vec<&str> {
        vec!["input", "trigger"]
    }
}

impl Filter {
    /// Whether news passes: `input` is the body or the event's data, `trigger` what `$.trigger` would be.
    #[must_use]
    pub fn passes(&self, input: &Value, trigger: &Value) -> bool {
        match self {
            Self::Members(members) => {
                let attributes = trigger.get("event").and_then(Value::as_object);
                let found = |name: &String| input.get(name).or_else(|| attributes?.get(name));
                let is_equal = |(name, value)| found(name).is_some_and(|found| condition::equal(found, value));
                members.iter().all(is_equal)
            }
            Self::Condition(condition) => condition.evaluate(&Scope { input, trigger }, &mut Vec::new()),
        }
    }
}

/// Reads `filter`: a condition.
pub(super) fn webhook(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Filter> {
    let value = fields.value("filter")?;
    condition(fields, "filter", value, diagnostics)
}

/// Reads `event_filter`: a condition, or an object of members.
pub(super) fn event(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Filter> {
    let value = fields.value("event_filter")?;
    match value.as_object().filter(|members| !is_condition(members)) {
        Some(members) => Some(Filter::Members(members.clone())),
        None => condition(fields, "event_filter", value, diagnostics),
    }
}

/// Whether an object is meant as a condition: it has one of its forms.
fn is_condition(members: &Map<String, Value>) -> bool {
    let is = |name: &str, fits: fn(&Value) -> bool| members.get(name).is_some_and(fits);
    (is("field", Value::is_string) && members.contains_key("operator"))
        || is("all", Value::is_array)
        || is("any", Value::is_array)
        || is("not", Value::is_object)
}

fn condition(fields: &Fields<'_>, name: &str, value: &Value, diagnostics: &mut Diagnostics) -> Option<Filter> {
    let place = fields.place.at(name);
    let condition = Condition::read(value, place.clone(), diagnostics)?;
    for found in condition.places() {
        if found.reference.roots().iter().any(|root| !["input", "trigger"].contains(root)) {
            let message =
                format!("`{}` leads nowhere: a filter sees `$.input` and `$.trigger` only", found.reference.source());
            diagnostics.error(&place.below(&found.pointer), DiagnosticCode::UnknownReference, message);
        }
    }
    Some(Filter::Condition(condition))
}
