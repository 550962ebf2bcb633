//! What a schema costs to apply to a value, counted before it is applied.
//!
//! A part of a value may be looked at by several parts of a schema, and in a recursive schema their number may double
//! with each level of the value. Counting meets each part of the schema once a place, with how often it is applied.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// How many applications of a part of a schema to a place of a value are not too many.
const APPLICATIONS_MAX: u64 = 4_000_000;
/// So many bytes of a text are another place: patterns look at all of them.
const BYTES_PER_PLACE: usize = 256;

/// Whether the schema `root`, which is sound, can be applied to a value at a bearable cost.
pub(super) fn is_bearable(root: &Value, value: &Value) -> bool {
    let mut work = Work { root, left: APPLICATIONS_MAX, active: HashSet::new() };
    work.place(HashMap::from([(std::ptr::from_ref(root), (root, 1))]), value).is_some()
}

/// Whether a schema that applies at most `weight` parts to any place can be applied to a value at a bearable cost.
pub(super) fn is_small(weight: u64, value: &Value) -> bool {
    weight.saturating_mul(places(value)) <= APPLICATIONS_MAX
}

fn places(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => length(text),
        Value::Array(items) => items.iter().map(places).fold(1, u64::saturating_add),
        Value::Object(members) => {
            members.iter().map(|(name, member)| length(name) + places(member)).fold(1, u64::saturating_add)
        }
    }
}

fn length(text: &str) -> u64 {
    (1 + text.len() / BYTES_PER_PLACE) as u64
}

/// Schemas that are applied to one place, by where they stand, and how often.
type Applied<'a> = HashMap<*const Value, (&'a Value, u64)>;
/// The keywords of a schema that is applied, and how often.
type Keywords<'a> = (&'a Map<String, Value>, u64);

struct Work<'a> {
    root: &'a Value,
    left: u64,
    /// Schemas within each other: a validator does not apply one again to the place that it is applied to.
    active: HashSet<*const Value>,
}

impl<'a> Work<'a> {
    fn spend(&mut self, units: u64) -> Option<()> {
        self.left = self.left.checked_sub(units)?;
        Some(())
    }

    /// Counts what is applied to a place and to everything in it; `None` when it is too much.
    fn place(&mut self, applied: Applied<'a>, value: &Value) -> Option<()> {
        let mut here = Vec::new();
        for (schema, count) in applied.into_values() {
            self.expand(schema, count, &mut here)?;
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(()),
            Value::String(text) => {
                let looks = here.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
                self.spend(looks.saturating_mul(length(text) - 1))
            }
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(index, item)| self.part(&here, item, |k| of_item(k, index)))
            }
            Value::Object(members) => {
                members.iter().try_for_each(|(name, member)| self.part(&here, member, |k| of_member(k, name)))
            }
        }
    }

    /// Counts what is applied to a part of a place.
    fn part<S: Iterator<Item = &'a Value>>(
        &mut self,
        around: &[Keywords<'a>],
        value: &Value,
        schemas: impl Fn(&'a Map<String, Value>) -> S,
    ) -> Option<()> {
        self.spend(around.len() as u64)?;
        let mut applied = Applied::new();
        for (keywords, count) in around {
            for schema in schemas(keywords) {
                self.spend(1)?;
                let sum = &mut applied.entry(std::ptr::from_ref(schema)).or_insert((schema, 0)).1;
                *sum = sum.saturating_add(*count);
            }
        }
        if applied.is_empty() { Some(()) } else { self.place(applied, value) }
    }

    /// Adds a schema and those that are applied to the same place because of it.
    fn expand(&mut self, schema: &'a Value, count: u64, here: &mut Vec<Keywords<'a>>) -> Option<()> {
        self.spend(count)?;
        let Value::Object(keywords) = schema else { return Some(()) };
        let place = std::ptr::from_ref(schema);
        if !self.active.insert(place) {
            return Some(());
        }
        here.push((keywords, count));
        let choices = keywords.get("enum").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        self.spend(count.saturating_mul(choices))?;
        // What is left over is found by applying everything else again.
        let again = ["unevaluatedProperties", "unevaluatedItems"].iter().any(|name| keywords.contains_key(*name));
        let count = if again { count.saturating_mul(2) } else { count };
        in_place(self.root, keywords).try_for_each(|part| self.expand(part, count, here))?;
        self.active.remove(&place);
        Some(())
    }
}

/// The schemas that a schema applies to its own place.
fn in_place<'a>(root: &'a Value, keywords: &'a Map<String, Value>) -> impl Iterator<Item = &'a Value> {
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| keywords.get(name)?.as_array()).flatten();
    let single = ["not", "if", "then", "else"].into_iter().filter_map(|name| keywords.get(name));
    let target = |name| root.pointer(keywords.get(name)?.as_str()?.strip_prefix('#')?);
    let references = ["$ref", "$dynamicRef"].into_iter().filter_map(target);
    lists.chain(single).chain(references).chain(members(keywords, "dependentSchemas"))
}

/// The schemas that a schema applies to an item of a list.
fn of_item(keywords: &Map<String, Value>, index: usize) -> impl Iterator<Item = &Value> {
    let own = keywords.get("prefixItems").and_then(|all| all.get(index));
    let all = ["items", "contains", "unevaluatedItems"].into_iter().filter_map(|name| keywords.get(name));
    all.chain(own)
}

/// The schemas that a schema may apply to a member of an object.
fn of_member<'a>(keywords: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let own = keywords.get("properties").and_then(|all| all.get(name));
    let all = ["additionalProperties", "unevaluatedProperties", "propertyNames"];
    let all = all.into_iter().filter_map(|name| keywords.get(name));
    all.chain(own).chain(members(keywords, "patternProperties"))
}

fn members<'a>(keywords: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    keywords.get(name).and_then(Value::as_object).into_iter().flat_map(Map::values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn what_doubles_with_each_level_is_not_bearable() {
        let items = json!({ "items": { "$ref": "#/$defs/n" } });
        let twice = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "allOf": [items, items] } } });
        assert!(is_bearable(&twice, &nested(10)));
        assert!(!is_bearable(&twice, &nested(60)));
        let members = json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": { "$ref": "#" } });
        assert!(!is_bearable(
            &json!({ "oneOf": [members, members] }),
            &(0..60).fold(json!(1), |v, _| json!({ "a": v }))
        ));
        let left_over = (0..40).fold(json!({}), |inner, _| json!({ "unevaluatedItems": false, "anyOf": [inner] }));
        assert!(!is_bearable(&left_over, &json!(1)));
    }

    #[test]
    fn trees_and_long_lists_are_bearable() {
        let node = json!({ "type": "object", "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } } });
        let tree = (0..60).fold(json!({}), |inner, _| json!({ "left": inner, "right": {} }));
        assert!(is_bearable(&node, &tree));
        let list = json!({ "items": { "properties": { "n": { "type": "integer" } } } });
        let items: Vec<Value> = (0..100_000).map(|n| json!({ "n": n })).collect();
        assert!(is_bearable(&list, &json!(items)));
        assert!(is_bearable(&json!({ "$ref": "#" }), &nested(60)), "one place, one application");
    }

    #[test]
    fn many_patterns_of_a_long_text_are_not_bearable() {
        let patterns: Vec<Value> = (0..1_500).map(|n| json!({ "pattern": format!("a*{n}") })).collect();
        let (schema, text) = (json!({ "allOf": patterns }), json!("a".repeat(1 << 20)));
        assert!(!is_bearable(&schema, &text) && !is_small(1_501, &text));
        assert!(is_bearable(&json!({ "pattern": "^a*$" }), &text) && is_small(2, &text));
    }
}
