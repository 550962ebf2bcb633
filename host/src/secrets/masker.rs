//! Masks secrets in what is stored or shown.
//!
//! A masker knows the values that the host holds, each in the forms in which it usually turns up: as it is, escaped in
//! JSON or HTML, in base64 at any alignment, URL-encoded, in hexadecimal. Each becomes `[secret NAME]`. It is a net for
//! accidents, not a wall: whoever has a secret and means harm can spell it in ways that nobody expects. What keeps
//! secrets from plugins is that plugins never get them.
//!
//! A value is found by a table of the first eight bytes of every form, and confirmed in the ordered set of forms. That
//! costs about as much for thousands of secrets as for one, takes a new secret without building anything anew, and keeps
//! no bytes that are not wiped, which is why it is not one of the libraries for searching many texts.

mod document;
mod forms;
mod known;
mod stream;

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use weir_engine::{failure::Failure, json::Json};

use self::known::{Known, Span};
pub use self::stream::MaskStream;
use crate::vault::Secret;

/// The fewest bytes of a value that is masked: shorter ones stand in too many texts by chance.
pub const MASKED_BYTES_MIN: usize = 8;
/// How many bytes longer a text may become before names are left out. `[secret]` is never longer than what it masks.
const GROWTH_MAX: usize = 64 << 10;

/// Knows secrets and masks them. Clones share what it knows.
#[derive(Clone, Default)]
pub struct Masker(Arc<RwLock<Known>>);

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(…)")
    }
}

/// Two maskers are equal if they are the same one.
impl PartialEq for Masker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Masker {}

impl Masker {
    /// Masks this value from now on. A name may have several values; one of fewer than [`MASKED_BYTES_MIN`] bytes is
    /// passed over.
    pub fn learn(&self, name: &str, value: &Secret) {
        let value = value.reveal();
        if value.len() >= MASKED_BYTES_MIN {
            let forms = forms::of(value);
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(&name.into(), forms);
        }
    }

    /// Masks the values of this name no longer.
    pub fn forget(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// A text without secrets.
    #[must_use]
    pub fn mask_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known();
        replaced(text, &known.spans(text.as_bytes())).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// A text without secrets that may have been cut at its end, as log lines are: what could be the beginning of a
    /// secret there is masked too.
    #[must_use]
    pub fn mask_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known();
        let mut spans = known.spans(text.as_bytes());
        let body = text.trim_end_matches('…').as_bytes();
        if let Some((start, name)) = known.begun(body)
            && body.len() - start >= MASKED_BYTES_MIN
        {
            let whole = spans.partition_point(|span| span.end <= start);
            let joined = spans.get(whole).copied().filter(|span| span.start <= start);
            let (start, name) = joined.map_or((start, name), |span| (span.start, span.name));
            spans.truncate(whole);
            spans.push(Span { start, end: body.len(), name });
        }
        replaced(text, &spans).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Bytes without secrets; they need not be text.
    #[must_use]
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let known = self.known();
        let spans = known.spans(bytes);
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let (mut masked, mut copied) = (Vec::with_capacity(bytes.len()), 0);
        for span in &spans {
            masked.extend_from_slice(&bytes[copied..span.start]);
            masked.extend_from_slice(marker(Some(span.name)).as_bytes());
            copied = span.end;
        }
        masked.extend_from_slice(&bytes[copied..]);
        Cow::Owned(masked)
    }

    /// The name of the first secret that stands in a text.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<String> {
        self.known().next(text.as_bytes(), 0).map(|span| span.name.to_owned())
    }

    /// A document without secrets: in strings, in keys, and in numbers, which then become strings. All else stays as it
    /// is written.
    #[must_use]
    pub fn mask_json(&self, json: Json) -> Json {
        document::masked(&self.known(), json)
    }

    /// A failure whose message and details hold no secrets.
    #[must_use]
    pub fn mask_failure(&self, mut failure: Failure) -> Failure {
        if let Cow::Owned(message) = self.mask_cut(&failure.message) {
            failure.message = message;
        }
        failure.details = failure.details.map(|details| self.mask_json(details));
        failure
    }

    /// Masks a text that comes in pieces.
    #[must_use]
    pub fn stream(&self) -> MaskStream {
        MaskStream::new(self.clone())
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands in a secret's place.
fn marker(name: Option<&str>) -> String {
    name.map_or_else(|| "[secret]".to_owned(), |name| format!("[secret {name}]"))
}

/// The text with markers for the spans; `None` if there are none.
fn replaced(text: &str, spans: &[Span<'_>]) -> Option<String> {
    if spans.is_empty() {
        return None;
    }
    let named: usize = spans.iter().map(|span| marker(Some(span.name)).len()).sum();
    let hidden: usize = spans.iter().map(|span| span.end - span.start).sum();
    Some(marked(text, spans, named <= hidden + GROWTH_MAX))
}

fn marked(text: &str, spans: &[Span<'_>], with_names: bool) -> String {
    let (mut masked, mut copied) = (String::with_capacity(text.len()), 0);
    for span in spans {
        // Forms are whole characters, so spans begin and end between characters.
        masked.push_str(text.get(copied..span.start).unwrap_or_default());
        masked.push_str(&marker(with_names.then_some(span.name)));
        copied = span.end;
    }
    masked.push_str(text.get(copied..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests;
