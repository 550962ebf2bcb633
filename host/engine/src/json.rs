//! JSON documents as they travel through an execution: text that is kept, a tree that is built when it is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// How deep arrays and objects may be nested in any document from outside.
pub const DEPTH_MAX: usize = 64;

/// From how many bytes on a document is read member by member: a tree takes ten to fifty times the room of its text.
const LARGE_FROM: usize = 64 * 1024;

/// One JSON document: immutable, cheap to clone, stored and sent as the text it came as.
#[derive(Clone)]
pub struct Json(Arc<Inner>);

struct Inner {
    text: Box<RawValue>,
    value: OnceLock<Value>,
    /// The members of a large object, each with a tree of its own.
    members: OnceLock<BTreeMap<Box<str>, Json>>,
}

impl Inner {
    fn new(text: Box<RawValue>) -> Arc<Self> {
        Arc::new(Self { text, value: OnceLock::new(), members: OnceLock::new() })
    }
}

/// Why a text is not a document that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not acceptable as JSON: {0}")]
pub struct JsonError(String);

impl Json {
    /// Reads a document from hostile text: whole, nested at most [`DEPTH_MAX`] deep, without duplicate keys, lone
    /// surrogates or numbers that do not fit.
    ///
    /// # Errors
    /// Says what is wrong and where (line and column).
    pub fn parse(text: impl Into<String>) -> Result<Self, JsonError> {
        Self::parse_within(text, DEPTH_MAX)
    }

    /// Reads a document from hostile text as [`Json::parse`] does, nested at most `depth_max` deep.
    ///
    /// # Errors
    /// Says what is wrong and where (line and column).
    pub fn parse_within(text: impl Into<String>, depth_max: usize) -> Result<Self, JsonError> {
        let text = text.into();
        check_within(&text, depth_max)?;
        let text = RawValue::from_string(text).map_err(|e| JsonError(e.to_string()))?;
        Ok(Self(Inner::new(text)))
    }

    /// The document of a tree.
    #[must_use]
    pub fn from_value(value: Value) -> Self {
        let inner = Inner::new(written(&value));
        drop(inner.value.set(value));
        Self(inner)
    }

    /// The document that something is written as; `null` where it cannot be, as with keys that are no text.
    #[must_use]
    pub fn of(document: &impl Serialize) -> Self {
        Self(Inner::new(written(document)))
    }

    /// A document from text that this crate wrote itself.
    pub(crate) fn from_own_text(text: String) -> Self {
        Self(Inner::new(raw(text)))
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::from_value(Value::Null)
    }

    /// The document's text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text.get()
    }

    /// The document's tree, built at the first call and kept.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| serde_json::from_str(self.text()).unwrap_or(Value::Null))
    }

    /// What an object has under a name. Of a large document only that member becomes a tree: the length of a long list
    /// costs no more than the list's text.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        if self.text().len() < LARGE_FROM || self.0.value.get().is_some() {
            return self.value().get(name);
        }
        let members = self.0.members.get_or_init(|| serde_json::from_str(self.text()).unwrap_or_default());
        members.get(name).map(Self::value)
    }

    /// The same document without the tree, for what is kept long and read seldom.
    #[must_use]
    pub fn without_tree(&self) -> Self {
        Self(Inner::new(self.0.text.clone()))
    }
}

/// Unlike [`raw`] it does not read once more what it wrote.
fn written(document: &impl Serialize) -> Box<RawValue> {
    to_raw_value(document).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || self.value() == other.value()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from_value(value)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Inner::new(text)))
    }
}

/// Whether `text` is a document that [`Json::parse`] accepts.
///
/// # Errors
/// Says what is wrong and where.
pub fn check(text: &str) -> Result<(), JsonError> {
    check_within(text, DEPTH_MAX)
}

/// Whether `text` is a document that [`Json::parse_within`] accepts.
///
/// # Errors
/// Says what is wrong and where.
pub fn check_within(text: &str, depth_max: usize) -> Result<(), JsonError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Checked { depth: 0, depth_max }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|e| JsonError(e.to_string()))
}

/// What kind of value this is, in words: `a string`, `an object`.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Walks a document without building it.
#[derive(Clone, Copy)]
struct Checked {
    depth: usize,
    depth_max: usize,
}

impl Checked {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth_max = self.depth_max;
        if self.depth >= depth_max {
            return Err(E::custom(format_args!("nested deeper than {depth_max}")));
        }
        Ok(Self { depth: self.depth + 1, depth_max })
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
            keys.insert(key);
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Json::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn hostile_documents_are_refused_with_a_reason() {
        assert!(error(r#"{"a":1,"a":2}"#).contains("duplicate key \"a\""));
        assert!(error(r#""\ud800""#).contains("escape"));
        assert!(error("1e999").contains("out of range"));
        assert!(error("NaN").contains("expected"));
        assert!(error("1 2").contains("trailing"));
        let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
        assert!(error(&deep).contains("nested deeper"));
        assert!(error(&"[".repeat(1_000_000)).contains("nested deeper"));
    }

    #[test]
    fn of_a_large_document_only_the_member_that_is_asked_for_becomes_a_tree() {
        let list: Vec<u32> = (0..LARGE_FROM as u32).collect();
        let large = Json::of(&serde_json::json!({ "list": list, "count": list.len(), "a\"b": null }));
        assert_eq!(large.member("count"), Some(&Value::from(LARGE_FROM)));
        assert_eq!((large.member("a\"b"), large.member("lis")), (Some(&Value::Null), None));
        let members = large.0.members.get().unwrap();
        assert!(large.0.value.get().is_none() && members["list"].0.value.get().is_none());
        assert_eq!(large.member("list"), large.value().get("list"));
        assert_eq!(Json::of(&list).member("0"), None);
        assert_eq!(Json::parse(r#"{"a":1}"#).unwrap().member("a"), Some(&1.into()));
    }

    #[test]
    fn odd_but_sound_documents_are_kept_as_they_came() {
        for text in ["9223372036854775809", r#"{"__proto__": 1}"#, " [1, 2] ", "\"\\u0000\""] {
            assert_eq!(Json::parse(text).unwrap().text(), text.trim());
        }
    }
}
