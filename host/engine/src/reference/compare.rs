//! Equality and order of JSON values: numbers by value, strings by code point.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::budget::{Budget, Exhausted};

/// Deep equality; `1` equals `1.0`, the order of members does not matter.
pub(crate) fn equal(a: &Value, b: &Value, budget: &mut Budget) -> Result<bool, Exhausted> {
    budget.spend(1)?;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(order_numbers(a, b).is_eq()),
        (Value::String(a), Value::String(b)) => {
            budget.spend(a.len().min(b.len()) / 32)?;
            Ok(a == b)
        }
        (Value::Array(a), Value::Array(b)) => equal_arrays(a, b, budget),
        (Value::Object(a), Value::Object(b)) => equal_objects(a, b, budget),
        _ => Ok(a == b),
    }
}

fn equal_arrays(a: &[Value], b: &[Value], budget: &mut Budget) -> Result<bool, Exhausted> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !equal(a, b, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

type Members = serde_json::Map<String, Value>;

fn equal_objects(a: &Members, b: &Members, budget: &mut Budget) -> Result<bool, Exhausted> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (name, a) in a {
        budget.spend(name.len() / 32)?;
        match b.get(name) {
            Some(b) if equal(a, b, budget)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The order of two numbers or two strings; `None` for anything else.
pub(crate) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(order_numbers(a, b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Exact: no integer is rounded to a float on the way.
fn order_numbers(a: &Number, b: &Number) -> Ordering {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => order_whole_and_float(a, float(b)),
        (None, Some(b)) => order_whole_and_float(b, float(a)).reverse(),
        (None, None) => float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}

#[expect(clippy::cast_possible_truncation, reason = "a saturating cast keeps the order: integers here have 65 bits")]
fn order_whole_and_float(a: i128, b: f64) -> Ordering {
    a.cmp(&(b.trunc() as i128)).then_with(|| 0.0.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_compare_by_value_and_exactly() {
        let ordered = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(0),
            json!(0.5),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(1e300),
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(order(a, b), Some(i.cmp(&j)), "{a} and {b}");
            }
        }
        assert_eq!(order(&json!(1), &json!(1.0)), Some(Ordering::Equal));
        assert_eq!(order(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992.0)), Some(Ordering::Greater));
    }

    #[test]
    fn equality_is_deep() {
        let equal = |a, b| equal(&a, &b, &mut Budget::unlimited()).unwrap();
        assert!(equal(json!({"a": [1, 2.0], "b": null}), json!({"b": null, "a": [1.0, 2]})));
        assert!(!equal(json!({"a": 1}), json!({"b": 1})));
        assert!(!equal(json!([1]), json!([1, 2])));
        assert!(!equal(json!("1"), json!(1)));
    }
}
