//! References, templates and conditions, read a second time and more simply: only what the generator writes.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::{Value, json};

/// What the steps of a block see, innermost last.
pub(super) type Frames = Vec<BTreeMap<String, Value>>;

/// What a template comes to; the error is the reference that selects nothing.
pub(super) fn fill(template: &Value, frames: &Frames) -> Result<Value, String> {
    match template {
        Value::String(text) if text.starts_with("$.") => find(text, frames).ok_or_else(|| text.clone()),
        Value::String(text) => text_with(text, frames).map(Value::from),
        Value::Array(items) => items.iter().map(|item| fill(item, frames)).collect(),
        Value::Object(members) => match members.get("$path") {
            Some(path) => Ok(find(path.as_str().unwrap(), frames).unwrap_or_else(|| members["default"].clone())),
            None => members.iter().map(|(name, v)| Ok((name.clone(), fill(v, frames)?))).collect(),
        },
        other => Ok(other.clone()),
    }
}

fn text_with(text: &str, frames: &Frames) -> Result<String, String> {
    let text = text.replace("{{ ", "").replace(" }}", "");
    let words = text.split(' ').map(|word| {
        if !word.starts_with("$.") {
            return Ok(word.to_owned());
        }
        match find(word, frames) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Ok(other.to_string()),
            None => Err(word.to_owned()),
        }
    });
    Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// The value at `$.name.member[0]`.
pub(super) fn find(path: &str, frames: &Frames) -> Option<Value> {
    let path = path[2..].replace('[', ".").replace(']', "");
    let (name, rest) = path.split_once('.').unwrap_or((&path, ""));
    let mut value = frames.iter().rev().find_map(|frame| frame.get(name))?;
    for member in rest.split('.').filter(|member| !member.is_empty()) {
        value = match value {
            Value::Array(items) => items.get(member.parse::<usize>().ok()?)?,
            other => other.get(member)?,
        };
    }
    Some(value.clone())
}

pub(super) fn holds(condition: &Value, frames: &Frames) -> bool {
    let each = |parts: &Value| -> Vec<bool> { parts.as_array().unwrap().iter().map(|p| holds(p, frames)).collect() };
    if let Some(parts) = condition.get("all") {
        return each(parts).into_iter().all(|held| held);
    }
    if let Some(parts) = condition.get("any") {
        return each(parts).into_iter().any(|held| held);
    }
    if let Some(part) = condition.get("not") {
        return !holds(part, frames);
    }
    let field = find(condition["field"].as_str().unwrap(), frames).unwrap_or(Value::Null);
    let value = &condition["value"];
    match condition["operator"].as_str().unwrap() {
        "eq" => same(&field, value),
        "ne" => !same(&field, value),
        "gt" => order(&field, value).is_some_and(Ordering::is_gt),
        "lt" => order(&field, value).is_some_and(Ordering::is_lt),
        "gte" => order(&field, value).is_some_and(Ordering::is_ge),
        "lte" => order(&field, value).is_some_and(Ordering::is_le),
        "contains" => contains(&field, value),
        _ => field != Value::Null,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    if a.is_number() && b.is_number() { a.as_f64() == b.as_f64() } else { a == b }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        (Value::Array(items), part) => items.iter().any(|item| same(item, part)),
        (Value::Object(members), Value::String(name)) => members.contains_key(name),
        _ => false,
    }
}

/// What a failed step leaves where it was passed over.
pub(super) fn error_output(code: &str, step: &str, path: &str) -> Value {
    json!({ "error": { "code": code, "step_id": step, "path": path } })
}
