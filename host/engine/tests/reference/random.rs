//! Random queries, templates and conditions over random values.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_engine::{
    condition::Condition,
    reference::{Reference, Template},
};

use super::Scope;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        (-3..3_i64).prop_map(|n| json!(n as f64 / 2.0)),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Queries of the part of the language that we take.
fn queries() -> impl Strategy<Value = String> {
    let query = "[@$]\\.[a-c]";
    let function = prop_oneof!["length\\(@\\.[a-c]\\)", "count\\(@\\.\\*\\)", "value\\(@\\.\\*\\)"];
    let operand = prop_oneof![query, "-?[0-3]", "'[a-c]'", "true|null", function.clone()];
    let equality = (operand.clone(), "==|!=", operand).prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    // Of what is neither a number nor a string the other implementation has its own order, against the RFC.
    let ordered = (prop_oneof![query, function], "<|<=|>|>=", prop_oneof!["-?[0-3]", "'[a-c]'"]);
    let order = ordered.prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    let test = prop_oneof![equality, order, "!?@\\.[a-c]", "@\\[[0-2]\\]"];
    let filter = (test.clone(), "&&|\\|\\|", test.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    let selector = prop_oneof![
        "'[a-c]'",
        "-?[1-3]",
        Just("0".to_owned()),
        Just("*".to_owned()),
        "(-?[1-4])?:(-?[1-4])?(:(-?[1-2])?)?",
        prop_oneof![test, filter].prop_map(|filter| format!("?{filter}")),
    ];
    let bracket = prop::collection::vec(selector, 1..3).prop_map(|selectors| format!("[{}]", selectors.join(", ")));
    let segment = prop_oneof!["\\.[a-c]", Just(".*".to_owned()), bracket];
    (prop::collection::vec(segment, 1..5), any::<bool>()).prop_map(|(segments, descend)| {
        let text: String = segments.concat();
        if descend && !text.starts_with('.') { format!("$..{text}") } else { format!("${text}") }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn queries_select_what_another_implementation_selects(
        query in queries(),
        data in prop::collection::btree_map("[a-c]", values(), 1..4),
    ) {
        let data: Value = data.into_iter().collect();
        let other = serde_json_path::JsonPath::parse(&query).unwrap();
        let expected: Vec<Value> = other.query(&data).all().into_iter().cloned().collect();
        let reference = Reference::parse(&query).unwrap();
        let scope = Scope(data);
        let found = reference.resolve(&scope).map(Cow::into_owned);
        // The scope has no order of its own: names come sorted here, and so do they in the data.
        let expected = if reference.is_singular() { expected.into_iter().next() } else { Some(expected.into()) };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn strings_never_hurt(text in "\\PC{0,200}", data in values()) {
        let scope = Scope(json!({ "a": data }));
        if let Ok(reference) = Reference::parse(&text) {
            reference.resolve(&scope);
        }
        if let Ok(template) = Template::compile(&json!(text)) {
            drop(template.resolve(&scope));
        }
    }

    #[test]
    fn strings_that_look_like_queries_never_hurt(text in "[$@.*?!()\\[\\]'\"ab{} 01:,=<>&|\\\\-]{0,80}", data in values()) {
        let scope = Scope(json!({ "a": data }));
        for text in [format!("$.a{text}"), format!("$[{text}"), text] {
            if let Ok(reference) = Reference::parse(&text) {
                reference.resolve(&scope);
            }
            if let Ok(template) = Template::compile(&json!(text)) {
                drop(template.resolve(&scope));
            }
        }
    }

    #[test]
    fn conditions_never_hurt(condition in values(), data in values()) {
        let (condition, _) = Condition::parse(&json!({"field": "$.a", "operator": "lt", "value": condition}));
        condition.unwrap().evaluate(&Scope(json!({ "a": data })), &mut Vec::new());
    }
}
