//! JSON Schemas: those that authors write, and the one of definitions.

use serde_json::Value;

use super::{
    diagnostic::Diagnostics,
    fields::{Fields, wrong_type},
};

/// The JSON Schema (draft 2020-12) of a definition.
#[must_use]
pub fn definition_schema() -> Value {
    serde_json::from_str(include_str!("schema.json")).unwrap_or_default()
}

/// A member that is a JSON Schema: an object or a boolean. What it says is for others to check.
pub(super) fn read(fields: &mut Fields<'_>, name: &'static str, diagnostics: &mut Diagnostics) -> Option<Value> {
    let value = fields.value(name)?;
    if value.is_object() || value.is_boolean() {
        return Some(value.clone());
    }
    wrong_type(diagnostics, &fields.place.at(name), "a JSON Schema (an object)", value);
    None
}
