//! What is a reference in a text, and what is text.

use super::super::parser::{is_name_start, name_length};

/// How far behind `{{` its `}}` may stand, in bytes.
const BRACES_BYTES_MAX: usize = 1_024;
/// The most bytes of an index in text, brackets included.
const INDEX_BYTES_MAX: usize = 12;

/// What stands at the start of a text, and how many bytes of it.
pub(super) enum Token<'t> {
    Text(usize),
    /// A backslash, and what it makes a text of.
    Escaped(usize),
    Reference {
        query: &'t str,
        length: usize,
    },
}

/// Looks at a text that starts with `$`, `{` or a backslash. `first`: it is the start of the whole string.
pub(super) fn token(text: &str, first: bool) -> Token<'_> {
    if let Some(escaped) = text.strip_prefix('\\') {
        return match escaped {
            _ if escaped.starts_with("{{") => Token::Escaped(3),
            _ if dotted_length(escaped) > 0 => Token::Escaped(2),
            _ if first && (escaped.starts_with("$.") || escaped.starts_with("$[")) => Token::Escaped(2),
            _ => Token::Text(1),
        };
    }
    if let Some(inside) = text.strip_prefix("{{") {
        return braced(inside).unwrap_or(Token::Text(2));
    }
    match dotted_length(text) {
        0 => Token::Text(1),
        length => Token::Reference { query: &text[..length], length },
    }
}

/// The query between `{{` and `}}`, if there is one.
fn braced(inside: &str) -> Option<Token<'_>> {
    let near = &inside[..inside.floor_char_boundary(BRACES_BYTES_MAX)];
    let query = near.trim_start();
    if !query.starts_with("$.") && !query.starts_with("$[") {
        return None;
    }
    let end = near.find("}}")?;
    Some(Token::Reference { query: near[..end].trim(), length: 2 + end + 2 })
}

/// The length of `$.name.name[0]` at the start of `text`; 0 if it starts with no such thing.
fn dotted_length(text: &str) -> usize {
    let Some(first) = text.strip_prefix("$.") else { return 0 };
    let mut length = match name_length(first, true) {
        0 => return 0,
        name => 2 + name,
    };
    loop {
        let rest = &text[length..];
        let more = match rest.strip_prefix('.') {
            Some(name) => match name_length(name, false) {
                0 => 0,
                name => 1 + name,
            },
            None => index_length(rest),
        };
        if more == 0 {
            return length;
        }
        length += more;
    }
}

/// The length of `[0]` or `[-1]` at the start of `text`.
fn index_length(text: &str) -> usize {
    let near = &text[..text.floor_char_boundary(INDEX_BYTES_MAX)];
    let Some((index, _)) = near.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return 0 };
    let digits = index.strip_prefix('-').unwrap_or(index);
    let sound = !digits.is_empty()
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && (!digits.starts_with('0') || index == "0");
    if sound { index.len() + 2 } else { 0 }
}

/// Whether a string that starts like a query and is none has what only queries have: then it is a mistake, not a text.
pub(super) fn is_meant_as_query(text: &str) -> bool {
    let rest = match dotted_length(text) {
        0 => &text[1..],
        length => &text[length..],
    };
    let after_dots =
        rest.strip_prefix("..").is_some_and(|rest| rest.starts_with(|c| is_name_start(c) || "[*".contains(c)));
    after_dots || rest.starts_with('[') || rest.starts_with(".*")
}
