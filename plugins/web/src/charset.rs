//! From bytes to text: pages say in several places, or nowhere, in which encoding they are.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far into a page its own word about the encoding is looked for, as browsers do.
const LOOKED_AT_BYTES: usize = 1024;

/// The text of a page: by its byte order mark, by the header's `charset`, by the page's own word, else as UTF-8.
pub(crate) fn decode(body: &[u8], content_type: &str) -> String {
    let said = label_in(content_type.as_bytes()).or_else(|| in_the_page(body));
    let (text, _, _) = said.unwrap_or(UTF_8).decode(body);
    text.into_owned()
}

/// The encoding that a `<meta>` names. A page that can be read that far is not UTF-16, whatever it says.
fn in_the_page(body: &[u8]) -> Option<&'static Encoding> {
    let beginning = &body[..body.len().min(LOOKED_AT_BYTES)];
    label_in(beginning).map(|said| if said == UTF_16LE || said == UTF_16BE { UTF_8 } else { said })
}

/// The encoding after `charset=`.
fn label_in(text: &[u8]) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let start = lower.windows(8).position(|window| window == b"charset=")? + 8;
    let label = lower[start..].trim_ascii_start();
    let label = label.strip_prefix(b"\"").or_else(|| label.strip_prefix(b"'")).unwrap_or(label);
    let end = label.iter().position(|byte| b"\"'>;/ \t\r\n".contains(byte)).unwrap_or(label.len());
    Encoding::for_label(&label[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_found() {
        assert_eq!(decode(b"\xe4", "text/html; charset=ISO-8859-1"), "ä");
        assert_eq!(decode("ä".as_bytes(), "text/html"), "ä");
        assert_eq!(decode(b"<meta charset='windows-1251'>\xc4", ""), "<meta charset='windows-1251'>Д");
        let old = b"<meta http-equiv=content-type content=\"text/html; charset=Shift_JIS\"/>\x93\xfa";
        assert!(decode(old, "text/html").ends_with('日'));
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa4", "text/html; charset=latin1"), "ä", "a byte order mark is stronger");
        assert_eq!(decode(b"\xff\xfea\0", ""), "a");
        assert_eq!(decode(b"\xff", "text/html; charset=nonsense"), "\u{fffd}");
        assert_eq!(decode(b"<meta charset=utf-16>a", ""), "<meta charset=utf-16>a");
        assert_eq!(decode(b"", ""), "");
    }
}
