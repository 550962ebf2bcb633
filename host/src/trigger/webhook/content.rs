//! What a webhook's body says: JSON, a form or text, as its type declares, and without secrets. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_engine::json::Json;

use crate::{secrets::Masker, store::DeliveryBody};

/// The most fields of a form or a query.
const FIELDS_MAX: usize = 1_000;

/// The types of bodies that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// `application/json`, or `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/plain`.
    Text,
}

/// Why a body is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Its type is not declared, or is none that is read.
    #[error(
        "the body's type is not supported: send application/json, application/x-www-form-urlencoded or text/plain, and say so in content-type"
    )]
    Unsupported,
    /// It is not what its type says.
    #[error("could not read the body: {0}")]
    Malformed(String),
}

impl ContentType {
    /// The type that a header `content-type` declares.
    #[must_use]
    pub fn of(header: &str) -> Option<Self> {
        let kind = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "text/plain" => Some(Self::Text),
            kind => (kind.starts_with("application/") && kind.ends_with("+json")).then_some(Self::Json),
        }
    }

    /// Reads a body of this type, and keeps it: a form becomes an object, text a string.
    fn read(self, body: String, masker: &Masker) -> Result<Content, ContentError> {
        match self {
            Self::Json => json(body, masker),
            Self::Form => {
                let body = masker.mask_text(&body);
                Ok(Content { input: Json::from_value(pairs(body.as_bytes())?), body: kept(&body) })
            }
            Self::Text if body.contains('\0') => Err(ContentError::Malformed("it holds a NUL".to_owned())),
            Self::Text => {
                let body = masker.mask_text(&body);
                Ok(Content { input: Json::from_value((&*body).into()), body: kept(&body) })
            }
        }
    }
}

/// What a body says, and what is kept of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) input: Json,
    pub(super) body: DeliveryBody,
}

/// A document, which is its body as well where nothing but secrets, or blanks around it, could be lost.
fn json(body: String, masker: &Masker) -> Result<Content, ContentError> {
    let is_trimmed = body.trim_ascii().len() == body.len();
    let blanks = if is_trimmed { None } else { Some(kept(&body)) };
    let read = Json::parse(body).map_err(|e| ContentError::Malformed(e.to_string()))?;
    let input = masker.mask_json(read.clone());
    let as_it_came = blanks.filter(|_| input.text() == read.text());
    let body = as_it_came.unwrap_or_else(|| DeliveryBody::Input(input.clone()));
    Ok(Content { input, body })
}

fn kept(body: &str) -> DeliveryBody {
    DeliveryBody::Text(body.into())
}

/// Reads a body by its declared type, secrets masked; an empty one without a type is an empty object.
///
/// # Errors
/// The type is not supported, or the body is not what it says.
pub(super) fn read(content_type: Option<&str>, body: String, masker: &Masker) -> Result<Content, ContentError> {
    match content_type {
        None if body.is_empty() => Ok(Content { input: Json::from_value(Value::Object(Map::new())), body: kept("") }),
        None => Err(ContentError::Unsupported),
        Some(header) => ContentType::of(header).ok_or(ContentError::Unsupported)?.read(body, masker),
    }
}

/// The text of a body's bytes, which are not copied where nobody else has them.
///
/// # Errors
/// It is not UTF-8.
pub(super) fn text(body: Bytes) -> Result<String, ContentError> {
    String::from_utf8(body.into()).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        ContentError::Malformed(format!("it is not UTF-8: the byte at {at} is wrong"))
    })
}

/// The pairs of a form or a query as an object; what is there several times becomes an array.
///
/// # Errors
/// There are too many.
pub(super) fn pairs(encoded: &[u8]) -> Result<Value, ContentError> {
    let mut object: Map<String, Value> = Map::new();
    for (number, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
        if number >= FIELDS_MAX {
            return Err(ContentError::Malformed(format!("it has more than {FIELDS_MAX} fields")));
        }
        add(&mut object, &name, value);
    }
    Ok(Value::Object(object))
}

fn add(object: &mut Map<String, Value>, name: &str, value: Cow<'_, str>) {
    let value = Value::String(value.into_owned());
    match object.get_mut(name) {
        None => drop(object.insert(name.to_owned(), value)),
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vault::Secret;

    fn read_as(content_type: Option<&str>, body: &str) -> Result<Content, ContentError> {
        read(content_type, body.to_owned(), &Masker::default())
    }

    fn value(content_type: &str, body: &str) -> Value {
        read_as(Some(content_type), body).unwrap().input.value().clone()
    }

    #[test]
    fn bodies_are_read_by_their_declared_type_only() {
        assert_eq!(value("application/json; charset=utf-8", "{\"a\":1}"), json!({"a": 1}));
        assert_eq!(value("application/cloudevents+json", "[1]"), json!([1]));
        assert_eq!(value("text/plain", "{\"a\":1}"), json!("{\"a\":1}"));
        let form = value("application/x-www-form-urlencoded", "a=1&b=x+y&a=%32&c");
        assert_eq!(form, json!({"a": ["1", "2"], "b": "x y", "c": ""}));
        assert_eq!(read_as(None, "").unwrap().input.value(), &json!({}));
        for unsupported in [None, Some("application/xml"), Some("multipart/form-data"), Some(""), Some("text/json")] {
            assert_eq!(read_as(unsupported, "{}"), Err(ContentError::Unsupported), "{unsupported:?}");
        }
    }

    #[test]
    fn bodies_are_kept_as_they_came() {
        for (kind, body) in [
            ("application/json", "{ \"a\": 1.0 }"),
            ("application/json", " \n{\"a\":1}\r\n"),
            ("application/x-www-form-urlencoded", "a=%31"),
            ("text/plain", " text "),
        ] {
            let content = read_as(Some(kind), body).unwrap();
            assert_eq!(content.body.text(), body, "{kind}");
            let is_shared = matches!(content.body, DeliveryBody::Input(_));
            assert_eq!(is_shared, body.starts_with('{'), "{body}");
        }
    }

    #[test]
    fn d3_a_secret_is_kept_of_no_body() {
        let masker = Masker::default();
        masker.learn("key", &Secret::new("12345678"));
        for (kind, body, masked, input) in [
            (
                "application/json",
                " {\"a\": 12345678, \"b\": \"12345678\"}\n",
                "{\"a\": \"[secret key]\", \"b\": \"[secret key]\"}",
                json!({"a": "[secret key]", "b": "[secret key]"}),
            ),
            ("application/json", " {\"a\": 1}\n", " {\"a\": 1}\n", json!({"a": 1})),
            (
                "application/x-www-form-urlencoded",
                "a=x12345678&b=1",
                "a=x[secret key]&b=1",
                json!({"a": "x[secret key]", "b": "1"}),
            ),
            ("text/plain", "12345678\n", "[secret key]\n", json!("[secret key]\n")),
        ] {
            let content = read(Some(kind), body.to_owned(), &masker).unwrap();
            assert_eq!((content.body.text(), content.input.value()), (masked, &input), "{kind}");
        }
    }

    #[test]
    fn hostile_bodies_are_refused() {
        let fields = "a&".repeat(FIELDS_MAX + 1);
        let deep = "[".repeat(100_000);
        let wrong = [
            ("application/json", ""),
            ("application/json", "{\"a\":1,\"a\":2}"),
            ("application/json", &deep),
            ("application/x-www-form-urlencoded", &fields),
            ("text/plain", "a\0b"),
        ];
        for (kind, body) in wrong {
            assert!(matches!(read_as(Some(kind), body), Err(ContentError::Malformed(_))), "{kind}");
        }
        assert!(text(Bytes::from_static(b"\xff")).is_err());
    }
}
