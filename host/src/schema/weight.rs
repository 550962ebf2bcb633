//! What a schema costs to apply: a few references that each stand twice make it grow exponentially, so its parts are
//! counted with every reference followed before anything is built from it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// How deep a schema may be nested.
const DEPTH_MAX: usize = 48;
/// Parts of a schema once every reference stands for what it refers to.
const WEIGHT_MAX: u64 = 100_000;
/// Patterns of a schema: each takes a while to compile.
const PATTERNS_MAX: usize = 100;
/// Keywords whose values are data.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];
/// Keywords whose values are schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Refuses a schema that is too deep, leads to other documents, repeats itself too often, or has too many patterns. Tells
/// how many of its parts can be applied to one place of a value; `None` for a recursive one, where that has no bound.
///
/// # Errors
/// What stands in the way.
pub(super) fn check(schema: &Value) -> Result<Option<u64>, String> {
    let mut weigher =
        Weigher { root: schema, known: HashMap::new(), active: HashSet::new(), recursive: false, patterns: 0 };
    let weight = weigher.schema(schema, 0)?;
    if weight > WEIGHT_MAX {
        return Err("the schema's references repeat each other too often".to_owned());
    }
    if weigher.patterns > PATTERNS_MAX {
        return Err(format!("the schema has {} patterns, the most is {PATTERNS_MAX}", weigher.patterns));
    }
    Ok((!weigher.recursive).then_some(weight))
}

/// Counts the parts of a schema with its references followed.
struct Weigher<'a> {
    root: &'a Value,
    known: HashMap<*const Value, u64>,
    active: HashSet<*const Value>,
    /// Whether a part refers to what it is in.
    recursive: bool,
    patterns: usize,
}

impl<'a> Weigher<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<u64, String> {
        let Value::Object(keywords) = schema else { return Ok(1) };
        if depth > DEPTH_MAX {
            return Err(format!("the schema is nested deeper than {DEPTH_MAX}"));
        }
        let place = std::ptr::from_ref(schema);
        if let Some(weight) = self.known.get(&place) {
            return Ok(*weight);
        }
        if !self.active.insert(place) {
            self.recursive = true;
            return Ok(1);
        }
        let mut weight = 1_u64;
        self.patterns += keywords.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        for (keyword, value) in keywords {
            weight = weight.saturating_add(self.keyword(keyword, value, depth + 1)?);
        }
        // What is left over is found by applying everything else again.
        if keywords.contains_key("unevaluatedProperties") || keywords.contains_key("unevaluatedItems") {
            weight = weight.saturating_mul(2);
        }
        self.active.remove(&place);
        self.known.insert(place, weight);
        Ok(weight)
    }

    fn keyword(&mut self, keyword: &str, value: &'a Value, depth: usize) -> Result<u64, String> {
        match (keyword, value) {
            ("$ref" | "$dynamicRef", Value::String(reference)) => self.reference(reference),
            ("$schema", Value::String(draft)) if !draft.contains("2020-12") => {
                Err(format!("`$schema` is {draft:?}: only draft 2020-12 is taken"))
            }
            ("$id" | "$vocabulary" | "$anchor" | "$dynamicAnchor", _) => {
                Err(format!("`{keyword}` is not taken; refer to parts by `#/$defs/…`"))
            }
            ("enum", Value::Array(choices)) => Ok(choices.len() as u64),
            ("pattern", _) => {
                self.patterns += 1;
                Ok(1)
            }
            (data, _) if DATA.contains(&data) => Ok(1),
            (named, Value::Object(schemas)) if NAMED.contains(&named) => self.all(schemas.values(), depth),
            (_, Value::Array(schemas)) => self.all(schemas.iter(), depth),
            (_, schema) => self.schema(schema, depth),
        }
    }

    fn all(&mut self, schemas: impl Iterator<Item = &'a Value>, depth: usize) -> Result<u64, String> {
        let mut weight = 0_u64;
        for schema in schemas {
            weight = weight.saturating_add(self.schema(schema, depth)?);
        }
        Ok(weight)
    }

    fn reference(&mut self, reference: &str) -> Result<u64, String> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(format!("`$ref` {reference:?} leads to another document; only `#/…` is taken"));
        };
        // A validator decodes it, and would follow what was not counted.
        if pointer.contains('%') {
            return Err(format!("`$ref` {reference:?} is percent-encoded: write it as it is"));
        }
        match self.root.pointer(pointer) {
            Some(target) => self.schema(target, 0),
            None => Err(format!("`$ref` {reference:?} leads nowhere; only `#/…` is taken")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check;

    #[test]
    fn what_grows_or_leads_away_is_refused() {
        let mut doubled = serde_json::Map::new();
        for n in 0..26 {
            let next = format!("#/$defs/d{}", n + 1);
            doubled.insert(format!("d{n}"), json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }));
        }
        doubled.insert("d26".to_owned(), json!({ "type": "string" }));
        let mut deep = json!({});
        for _ in 0..60 {
            deep = json!({ "items": deep });
        }
        let cases = [
            (json!({ "$ref": "#/$defs/d0", "$defs": doubled }), "repeat"),
            (deep, "nested"),
            (json!({ "$ref": "http://127.0.0.1:1/schema" }), "another document"),
            (json!({ "$ref": "file:///etc/passwd" }), "another document"),
            (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), "2020-12"),
        ];
        for (schema, expected) in cases {
            let message = check(&schema).expect_err("hostile");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn usual_and_recursive_schemas_are_taken() {
        let tree = json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object",
            "properties": { "$ref": { "const": { "$ref": "http://data" } },
                "children": { "type": "array", "items": { "$ref": "#/$defs/node" } } } } } });
        check(&tree).unwrap();
        check(&json!(true)).unwrap();
    }
}
