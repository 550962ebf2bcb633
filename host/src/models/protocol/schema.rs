//! Schemas of answers, as providers take them that write by a grammar.

use serde_json::{Map, Value};

/// Keywords whose value is a schema.
const ONE: [&str; 5] = ["items", "additionalProperties", "not", "contains", "propertyNames"];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["anyOf", "allOf", "oneOf", "prefixItems"];
/// Keywords whose members are schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords that Anthropic's grammar does not know, and refuses ([limits]). The answer is held against the whole schema
/// by whoever asked for it.
///
/// [limits]: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
const NOT_IN_GRAMMARS: [&str; 16] = [
    "$schema",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "contains",
    "not",
];

/// Whether every object names all its members, requires them and has no others: what OpenAI promises to keep to
/// (`strict`), and refuses to promise for any other schema.
pub(super) fn is_strict(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return schema.is_boolean() };
    let is_closed = !is_object(members) || {
        let required = members.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let named = members.get("properties").and_then(Value::as_object);
        members.get("additionalProperties") == Some(&Value::Bool(false))
            && named.is_none_or(|named| named.keys().all(|name| required.iter().any(|one| one == name.as_str())))
    };
    is_closed && !members.contains_key("oneOf") && !members.contains_key("allOf") && inner(members).all(is_strict)
}

/// The schema with no other members in any object than those that it names, and without what grammars do not know.
pub(super) fn closed(schema: &Value) -> Value {
    let Some(members) = schema.as_object() else { return schema.clone() };
    let mut kept: Map<String, Value> = members
        .iter()
        .filter(|(name, _)| !NOT_IN_GRAMMARS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), closed_member(name, value)))
        .collect();
    if kept.get("minItems").is_some_and(|least| least.as_u64() > Some(1)) {
        kept.remove("minItems");
    }
    if is_object(members) {
        kept.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(kept)
}

fn closed_member(name: &str, value: &Value) -> Value {
    if let Some(list) = value.as_array().filter(|_| LIST.contains(&name)) {
        return list.iter().map(closed).collect();
    }
    if let Some(named) = value.as_object().filter(|_| NAMED.contains(&name)) {
        return Value::Object(named.iter().map(|(name, schema)| (name.clone(), closed(schema))).collect());
    }
    if ONE.contains(&name) { closed(value) } else { value.clone() }
}

fn is_object(members: &Map<String, Value>) -> bool {
    members.get("type").is_some_and(|kind| kind == "object") || members.contains_key("properties")
}

/// The schemas inside a schema.
fn inner(members: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let one = ONE.iter().filter_map(|name| members.get(*name));
    let list = LIST.iter().filter_map(|name| members.get(*name)?.as_array()).flatten();
    let named = NAMED.iter().filter_map(|name| members.get(*name)?.as_object()).flat_map(Map::values);
    one.chain(list).chain(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_closed_schemas_that_require_everything_are_strict() {
        let n = json!({"type": "integer"});
        let strict =
            json!({"type": "object", "properties": {"n": n}, "required": ["n"], "additionalProperties": false});
        let mut open = strict.clone();
        open.as_object_mut().unwrap().remove("additionalProperties");
        let optional = json!({"type": "object", "properties": {"n": n}, "additionalProperties": false});
        assert!(is_strict(&strict) && is_strict(&json!({"type": "array", "items": strict})));
        for lax in [open, optional, json!({"oneOf": [strict]})] {
            assert!(!is_strict(&lax), "{lax}");
            assert!(!is_strict(&json!({"type": "array", "items": lax})), "{lax}");
        }
    }

    #[test]
    fn a_closed_schema_says_no_more_than_a_grammar_knows() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "how many"},
            "minimum": {"type": "array", "minItems": 2, "items": {"properties": {"a": {"const": "x"}}}},
        }, "required": ["n"], "additionalProperties": {"type": "string"}});
        let expected = json!({"type": "object", "properties": {
            "n": {"type": "integer", "description": "how many"},
            "minimum": {"type": "array", "items": {"properties": {"a": {"const": "x"}}, "additionalProperties": false}},
        }, "required": ["n"], "additionalProperties": false});
        assert_eq!(closed(&schema), expected);
    }
}
