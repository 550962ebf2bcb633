//! Text that came from a plugin, made fit for logs and messages.

use std::fmt::Write as _;

/// `text` with control characters and invisible direction marks written as escapes, cut after about `bytes_max` bytes.
/// What a plugin says can then neither colour a terminal nor look like a line of its own.
pub(super) fn neutral(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        if out.len() + character.len_utf8() > bytes_max {
            out.push('…');
            break;
        }
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if misleads(character) => drop(write!(out, "\\u{{{:x}}}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out
}

fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::neutral;

    #[test]
    fn nothing_that_moves_colours_or_turns_is_left() {
        assert_eq!(neutral("a\n\u{1b}[31mb\r\u{202e}c\u{0}ü", 100), r"a\n\u{1b}[31mb\r\u{202e}c\u{0}ü");
        assert_eq!(neutral(&"é".repeat(10), 5), "éé…");
    }
}
