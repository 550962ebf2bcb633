//! The headers of a request, as far as webhooks look at them. Knows no HTTP library.

use std::{borrow::Cow, collections::BTreeMap};

use weir_engine::json::Json;

use super::verify::Refusal;

/// The most bytes of a header that is looked at.
const VALUE_BYTES_MAX: usize = 4096;
/// Parts of names whose values are credentials, or as good as.
const CREDENTIALS: [&str; 9] =
    ["authorization", "cookie", "signature", "token", "secret", "password", "credential", "api-key", "apikey"];

/// The headers of a request in their order, with names in lower case.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(String, Vec<u8>)>);

/// Why a header cannot be used.
enum Fault {
    Missing,
    Doubled,
    Malformed,
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let lower = |(name, value): (N, V)| (name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec());
        Self(headers.into_iter().map(lower).collect())
    }
}

impl Headers {
    /// The value of a header that must be there once, hold something, and be visible ASCII.
    pub(super) fn only(&self, name: &'static str) -> Result<&str, Refusal> {
        self.single(name).map_err(|fault| match fault {
            Fault::Missing => Refusal::Missing(name),
            Fault::Doubled => Refusal::Doubled(name),
            Fault::Malformed => Refusal::Malformed(name),
        })
    }

    /// The value of a header that may be missing, and is under the rules of [`Headers::only`] where it is not. Faults are
    /// reported under another name, as this one comes from a configuration.
    pub(super) fn optional(&self, name: &str, shown: &'static str) -> Result<Option<&str>, Refusal> {
        match self.single(name) {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Missing) => Ok(None),
            Err(Fault::Doubled) => Err(Refusal::Doubled(shown)),
            Err(Fault::Malformed) => Err(Refusal::Malformed(shown)),
        }
    }

    /// The declared type of the body, where it is declared once.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.single("content-type").ok()
    }

    fn single(&self, name: &str) -> Result<&str, Fault> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        let value = match (values.next(), values.next()) {
            (Some((_, value)), None) => value,
            (Some(_), Some(_)) => return Err(Fault::Doubled),
            (None, _) => return Err(Fault::Missing),
        };
        if value.is_empty() {
            return Err(Fault::Missing);
        }
        let is_sound = value.len() <= VALUE_BYTES_MAX && value.iter().all(|byte| matches!(byte, b' '..=b'~'));
        std::str::from_utf8(value).ok().filter(|_| is_sound).ok_or(Fault::Malformed)
    }

    /// What may be kept and shown: everything but credentials and what is no text. Values of one name are joined by
    /// commas, as HTTP has it.
    #[must_use]
    pub fn shown(&self) -> Json {
        let mut shown: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
        for (name, value) in self.0.iter().filter(|(name, _)| !is_credential(name)) {
            let Ok(text) = std::str::from_utf8(value) else { continue };
            let joined = |before: &mut Cow<'_, str>| *before = format!("{before}, {text}").into();
            shown.entry(name).and_modify(joined).or_insert(text.into());
        }
        Json::of(&shown)
    }
}

fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_header_counts_only_where_it_is_there_once() {
        let headers: Headers = [("X-One", "1"), ("x-two", "a"), ("X-TWO", "b"), ("x-none", "")].into_iter().collect();
        assert_eq!(headers.only("x-one").unwrap(), "1");
        assert_eq!(headers.only("x-two"), Err(Refusal::Doubled("x-two")));
        assert_eq!(headers.only("x-none"), Err(Refusal::Missing("x-none")));
        assert_eq!(headers.only("x-three"), Err(Refusal::Missing("x-three")));
        assert_eq!(headers.optional("x-one", "?"), Ok(Some("1")));
        assert_eq!(headers.optional("x-two", "?"), Err(Refusal::Doubled("?")));
        assert_eq!(headers.optional("x-none", "?"), Ok(None));
        let odd: Headers = [("x-one", &b"\xff"[..]), ("x-two", b"a\tb")].into_iter().collect();
        assert_eq!(odd.only("x-one"), Err(Refusal::Malformed("x-one")));
        assert_eq!(odd.only("x-two"), Err(Refusal::Malformed("x-two")));
    }

    #[test]
    fn credentials_are_never_shown() {
        let headers: Headers = [
            ("Authorization", "Bearer x"),
            ("Proxy-Authorization", "x"),
            ("Cookie", "x"),
            ("X-Hub-Signature-256", "x"),
            ("Stripe-Signature", "x"),
            ("webhook-signature", "x"),
            ("X-Gitlab-Token", "x"),
            ("X-Api-Key", "x"),
            ("X-GitHub-Event", "push"),
            ("Accept", "a"),
            ("Accept", "b"),
        ]
        .into_iter()
        .collect();
        assert_eq!(headers.shown().value(), &json!({"x-github-event": "push", "accept": "a, b"}));
    }
}
