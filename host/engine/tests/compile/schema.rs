//! The schema of definitions.

use serde_json::Value;
use weir_engine::definition::definition_schema;

/// Holds `value` against the parts of JSON Schema that the definition's schema is made of.
pub(super) fn schema_allows(value: &Value, schema: &Value, root: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    };
    if let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, member) in members {
            let at = format!("{at}/{name}");
            schema_allows(member, known.get(name).unwrap_or_else(|| panic!("{at} is not in the schema")), root, &at);
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(members.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
        }
    }
    if let (Some(items), true) = (value.as_array(), schema["items"].is_object()) {
        items.iter().for_each(|item| schema_allows(item, &schema["items"], root, at));
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value}");
    }
}

#[test]
fn the_schema_describes_every_field() {
    let schema = definition_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut count = 0;
    let mut ahead = vec![(String::new(), &schema)];
    while let Some((at, schema)) = ahead.pop() {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            assert!(member["description"].is_string() || member["$ref"].is_string(), "{at}/{name}");
            count += 1;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            assert!(definition_schema().pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
        let members = schema.as_object().into_iter().flatten().filter(|(name, _)| *name != "if");
        ahead.extend(members.map(|(name, member)| (format!("{at}/{name}"), member)));
        ahead.extend(schema.as_array().into_iter().flatten().map(|item| (at.clone(), item)));
    }
    assert!(count > 60, "{count}");
}
