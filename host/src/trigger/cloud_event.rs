//! Events as CloudEvents 1.0: read strictly, all problems at once. Pure.

mod attributes;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use weir_engine::json::{self as documents, Json, kind_of};

use crate::store::NewBusEvent;

/// The most events of a batch.
pub const BATCH_MAX: usize = 100;
/// The most attributes of an event, extensions included.
const ATTRIBUTES_MAX: usize = 64;
/// The most problems that are told.
const PROBLEMS_MAX: usize = 100;

/// Something that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventProblem {
    /// JSON pointer into the body, or a header's name.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl EventProblem {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Reads an event in the JSON format (`application/cloudevents+json`).
///
/// # Errors
/// Everything that is wrong with it.
pub fn structured(event: &Value) -> Result<NewBusEvent, Vec<EventProblem>> {
    let mut problems = Vec::new();
    let event = read(event, &|name| pointer("", name), &mut problems);
    finish(event, problems)
}

/// Reads a list of events in the JSON format (`application/cloudevents-batch+json`).
///
/// # Errors
/// Everything that is wrong with any of them: a batch is good as a whole or not at all.
pub fn batch(events: &Value) -> Result<Vec<NewBusEvent>, Vec<EventProblem>> {
    let Some(events) = events.as_array() else {
        return Err(vec![EventProblem::new("", format!("a batch must be a list of events, not {}", kind_of(events)))]);
    };
    if events.len() > BATCH_MAX {
        let message = format!("a batch holds at most {BATCH_MAX} events, not {}: send several", events.len());
        return Err(vec![EventProblem::new("", message)]);
    }
    let mut problems = Vec::new();
    let read = |(index, event)| read(event, &|name| pointer(&format!("/{index}"), name), &mut problems);
    let events: Vec<_> = events.iter().enumerate().filter_map(read).collect();
    finish(Some(events), problems)
}

/// Reads an event in the binary mode: attributes in headers (names without `ce-`, in lower case), data as the body.
///
/// # Errors
/// Everything that is wrong with it.
pub fn binary(
    headers: &[(String, Vec<u8>)],
    content_type: Option<&str>,
    body: &[u8],
) -> Result<NewBusEvent, Vec<EventProblem>> {
    let mut problems = Vec::new();
    let mut members = Map::new();
    for (name, value) in headers {
        let field = format!("ce-{name}");
        match header(value) {
            Ok(value) if members.contains_key(name) => {
                problems
                    .push(EventProblem::new(field, format!("the header is there twice, with {value:.50?} as well")));
            }
            Ok(value) => drop(members.insert(name.clone(), value.into())),
            Err(message) => problems.push(EventProblem::new(field, message)),
        }
    }
    for name in ["data", "data_base64", "datacontenttype"].into_iter().filter(|name| members.contains_key(*name)) {
        problems.push(EventProblem::new(format!("ce-{name}"), "the body and its content-type say this: leave it out"));
    }
    if let Some(kind) = content_type {
        members.insert("datacontenttype".to_owned(), kind.into());
    }
    match data(content_type, body) {
        Ok(data) => members.extend(data),
        Err(message) => problems.push(EventProblem::new("", message)),
    }
    let named = |name: &str| if name == "datacontenttype" { "content-type".to_owned() } else { format!("ce-{name}") };
    let event = read(&Value::Object(members), &named, &mut problems);
    finish(event, problems)
}

/// What an execution is given that an event starts: its data, `{}` where it has none.
#[must_use]
pub fn input(event: &Value) -> Value {
    match (event.get("data"), event.get("data_base64")) {
        (Some(data), _) => data.clone(),
        (None, Some(bytes)) => json!({ "data_base64": bytes }),
        (None, None) => json!({}),
    }
}

/// Everything that an event says beside its data.
#[must_use]
pub fn attributes(event: &Value) -> Map<String, Value> {
    let members = event.as_object().into_iter().flatten();
    let is_attribute = |name: &str| !["data", "data_base64"].contains(&name);
    members.filter(|(name, _)| is_attribute(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn finish<T>(read: Option<T>, mut problems: Vec<EventProblem>) -> Result<T, Vec<EventProblem>> {
    problems.truncate(PROBLEMS_MAX);
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(problems),
    }
}

fn pointer(place: &str, name: &str) -> String {
    if name.is_empty() { place.to_owned() } else { format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")) }
}

/// Reads one event; `named` makes the place of a member. Members that are null are absent.
fn read(event: &Value, named: &dyn Fn(&str) -> String, problems: &mut Vec<EventProblem>) -> Option<NewBusEvent> {
    let Some(members) = event.as_object() else {
        problems.push(EventProblem::new(named(""), format!("an event must be an object, not {}", kind_of(event))));
        return None;
    };
    let members: Map<_, _> =
        members.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    let before = problems.len();
    if members.len() > ATTRIBUTES_MAX {
        problems.push(EventProblem::new(named(""), format!("an event has at most {ATTRIBUTES_MAX} members")));
        return None;
    }
    for name in attributes::NEEDED.into_iter().filter(|name| !members.contains_key(*name)) {
        problems.push(EventProblem::new(named(name), format!("`{name}` is missing")));
    }
    for (name, value) in &members {
        if let Err(message) = attributes::check(name, value) {
            problems.push(EventProblem::new(named(name), message));
        }
    }
    if members.contains_key("data") && members.contains_key("data_base64") {
        problems.push(EventProblem::new(named("data_base64"), "`data` is there too: leave one of them out"));
    }
    if problems.len() > before {
        return None;
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(NewBusEvent {
        source: text("source")?,
        id: text("id")?,
        event_type: text("type")?,
        subject: text("subject"),
        time: text("time"),
        event: Json::from_value(Value::Object(members)),
        lineage: None,
    })
}

/// An attribute of a header: without quotes around it, percent-decoded, UTF-8.
fn header(value: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(value).map_err(|_| "the header is not UTF-8: percent-encode it".to_owned())?;
    let text = unquoted(text.trim());
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded.map(String::from).map_err(|_| "the header does not decode to UTF-8".to_owned())
}

fn unquoted(text: &str) -> String {
    let Some(inside) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return text.to_owned() };
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    plain
}

/// The member that holds a body: JSON as it is, text as a string, anything else in base64.
fn data(content_type: Option<&str>, body: &[u8]) -> Result<Option<(String, Value)>, String> {
    use base64::Engine as _;
    if body.is_empty() {
        return Ok(None);
    }
    let kind = content_type.unwrap_or("application/json");
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text =
        || std::str::from_utf8(body).map_err(|e| format!("the body is not UTF-8 after byte {}", e.valid_up_to()));
    let member = if kind.ends_with("/json") || kind.ends_with("+json") {
        documents::check(text()?).map_err(|e| e.to_string())?;
        ("data".to_owned(), serde_json::from_str(text()?).map_err(|e| e.to_string())?)
    } else if kind.starts_with("text/") {
        ("data".to_owned(), text()?.into())
    } else {
        ("data_base64".to_owned(), base64::engine::general_purpose::STANDARD.encode(body).into())
    };
    Ok(Some(member))
}

#[cfg(test)]
mod tests;
