//! Masks JSON documents token by token, so that all else stays as it is written.

use std::{borrow::Cow, collections::BTreeSet};

use weir_engine::json::Json;

use super::{GROWTH_MAX, known::Known, marked};

/// The document without secrets; the same one where it holds none.
pub(super) fn masked(known: &Known, json: Json) -> Json {
    let text = json.text();
    // Without escapes, strings are what stands in the text, and one look at the whole is enough.
    if known.is_empty() || !text.contains('\\') && known.next(text.as_bytes(), 0).is_none() {
        return json;
    }
    let Some(mut changed) = Rewriter::new(known, text, true).run() else { return json };
    if changed.len() > text.len() + GROWTH_MAX {
        changed = Rewriter::new(known, text, false).run().unwrap_or(changed);
    }
    // It is a document as before, but for strings and numbers that became other strings.
    serde_json::from_str(&changed).unwrap_or_else(|_| Json::null())
}

struct Rewriter<'a> {
    known: &'a Known,
    text: &'a str,
    with_names: bool,
    /// Keys that were masked: no two of them may become the same.
    keys: BTreeSet<String>,
}

impl<'a> Rewriter<'a> {
    fn new(known: &'a Known, text: &'a str, with_names: bool) -> Self {
        Self { known, text, with_names, keys: BTreeSet::new() }
    }

    /// The text with its secrets masked; `None` if there are none.
    fn run(mut self) -> Option<String> {
        let bytes = self.text.as_bytes();
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        while at < bytes.len() {
            let end = match bytes[at] {
                b'"' => string_end(bytes, at),
                b'-' | b'0'..=b'9' => number_end(bytes, at),
                _ => {
                    at += 1;
                    continue;
                }
            };
            if let Some(masked) = self.token(at, end) {
                out.push_str(self.text.get(copied..at).unwrap_or_default());
                out.push_str(&masked);
                copied = end;
            }
            at = end;
        }
        out.push_str(self.text.get(copied..).unwrap_or_default());
        (copied > 0).then_some(out)
    }

    /// What stands in a token's place, if it holds a secret.
    fn token(&mut self, start: usize, end: usize) -> Option<String> {
        let token = self.text.get(start..end)?;
        let content = content(token)?;
        let spans = self.known.spans(content.as_bytes());
        if spans.is_empty() {
            return None;
        }
        let mut masked = marked(&content, &spans, self.with_names);
        if self.is_key(end) {
            masked = self.unique(masked);
        }
        serde_json::to_string(&masked).ok()
    }

    fn is_key(&self, end: usize) -> bool {
        self.text.as_bytes()[end..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
    }

    fn unique(&mut self, key: String) -> String {
        let mut candidate = key.clone();
        let mut number = 1;
        while !self.keys.insert(candidate.clone()) {
            number += 1;
            candidate = format!("{key} ({number})");
        }
        candidate
    }
}

/// What a string says, or a number as it is written.
fn content(token: &str) -> Option<Cow<'_, str>> {
    match token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(_) if token.contains('\\') => serde_json::from_str::<String>(token).ok().map(Cow::Owned),
        Some(plain) => Some(Cow::Borrowed(plain)),
        None => Some(Cow::Borrowed(token)),
    }
}

/// Behind the quote that ends the string at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes[start..].iter();
    start + rest.take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).count()
}
