//! Conditions.

use serde_json::{Value, json};
use weir_engine::{condition::Condition, definition::DiagnosticCode};

use super::scope;

fn holds(condition: &Value) -> (bool, Vec<String>) {
    let (condition, diagnostics) = Condition::parse(condition);
    assert!(diagnostics.iter().all(|d| !d.is_error()), "{diagnostics:?}");
    let mut warnings = Vec::new();
    let result = condition.unwrap().evaluate(&scope(), &mut warnings);
    (result, warnings)
}

#[test]
fn conditions_compare_as_the_format_says() {
    let test = |field: &str, operator: &str, value: Value| {
        holds(&json!({"field": field, "operator": operator, "value": value, "then_step": "x", "else_step": null}))
    };
    let table = [
        ("$.input.a", "eq", json!(1.0), true),
        ("$.input.a", "ne", json!("1"), true),
        ("$.input.a", "gt", json!(0.5), true),
        ("$.input.a", "lt", json!(1), false),
        ("$.input.a", "gte", json!(1), true),
        ("$.input.a", "lte", json!(0), false),
        ("$.input.text", "lt", json!("help"), true),
        ("$.input.text", "contains", json!("ell"), true),
        ("$.input.list", "contains", json!(4.0), true),
        ("$.input", "contains", json!("text"), true),
        ("$.input.a", "contains", json!(1), false),
        ("$.input.a", "exists", Value::Null, true),
        ("$.input.null", "exists", Value::Null, false),
        ("$.input.none", "exists", Value::Null, false),
        ("$.input.none", "eq", Value::Null, true),
        ("$.input.people[?@.age > 20]", "eq", json!([{"age": 36, "name": "Ada"}]), true),
        ("$.input.list[1]", "gt", json!("$.input.a"), true),
    ];
    for (field, operator, value, expected) in table {
        assert_eq!(test(field, operator, value), (expected, vec![]), "{field} {operator}");
    }
}

#[test]
fn comparisons_that_make_no_sense_are_false_and_leave_a_warning() {
    for (field, operator, value) in [
        ("$.input.none", "gt", json!(1)),
        ("$.input.a", "lte", json!("1")),
        ("$.input.list", "lt", json!([9])),
        ("$.input.a", "gte", Value::Null),
    ] {
        let (result, warnings) = holds(&json!({"field": field, "operator": operator, "value": value}));
        assert!(!result);
        assert_eq!(warnings.len(), 1, "{field}: {warnings:?}");
    }
    let (result, warnings) = holds(&json!({"field": "$.input.null", "operator": "eq", "value": "$.input.none"}));
    assert!(result);
    assert!(warnings[0].contains("$.input.none"), "{warnings:?}");
}

#[test]
fn groups_of_conditions() {
    let yes = json!({"field": "$.input.a", "operator": "eq", "value": 1});
    let no = json!({"not": yes});
    assert!(holds(&json!({"all": [yes, yes]})).0);
    assert!(!holds(&json!({"all": [yes, no]})).0);
    assert!(holds(&json!({"any": [no, yes], "then_step": "a"})).0);
    assert!(!holds(&json!({"any": [no, {"not": {"all": [yes]}}]})).0);
    let (condition, _) = Condition::parse(&json!({"all": [yes, {"any": [no]}]}));
    let sources: Vec<String> = condition.unwrap().references().iter().map(|r| r.source().to_owned()).collect();
    assert_eq!(sources, ["$.input.a", "$.input.a"]);
}

#[test]
fn conditions_are_checked() {
    use DiagnosticCode::{
        Empty, ImpliedReference, InvalidCondition, InvalidReference, TooDeep, TooMany, UnknownOperator,
    };
    let test = json!({"field": "$.a", "operator": "eq", "value": 1});
    let deep = (0..9).fold(test.clone(), |inner, _| json!({ "not": inner }));
    let table = [
        (json!({"field": "input.a", "operator": "exists"}), ImpliedReference, ""),
        (json!({"field": "{{ input.a }}", "operator": "exists"}), ImpliedReference, ""),
        (json!({"field": "$.a[", "operator": "eq"}), InvalidReference, "/field"),
        (json!({"field": "", "operator": "eq"}), InvalidReference, "/field"),
        (json!({"field": "$.a", "operator": "like"}), UnknownOperator, "/operator"),
        (json!({"field": "$.a", "all": [test]}), InvalidCondition, ""),
        (json!({}), InvalidCondition, ""),
        (json!({"all": []}), Empty, "/all"),
        (json!({"any": vec![test.clone(); 101]}), TooMany, "/any"),
        (deep, TooDeep, "/not/not/not/not/not/not/not/not/not"),
        (json!({"not": {"field": "$.a", "operator": "eq", "value": "$..a..b"}}), InvalidReference, "/not/value"),
    ];
    for (condition, code, field) in table {
        let (_, diagnostics) = Condition::parse(&condition);
        let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
        let field = if code == ImpliedReference { "/field" } else { field };
        assert_eq!(found, [(code, field)], "{condition}");
    }
}

#[test]
fn a_field_that_selects_too_much_is_null_and_leaves_a_warning() {
    let items: Vec<Value> = (0..2_000).map(|n| json!({ "n": n })).collect();
    let scope = super::Scope(json!({ "input": { "items": items } }));
    // Two thousand times two thousand values to look at.
    let condition = json!({ "field": "$.input.items[?count($.input.items[*]) == @.n]", "operator": "exists" });
    let (condition, _) = Condition::parse(&condition);
    let mut warnings = Vec::new();
    assert!(!condition.unwrap().evaluate(&scope, &mut warnings));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("selects too much: taken as null"), "{warnings:?}");
}
