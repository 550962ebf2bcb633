//! The forms in which a secret turns up: what usual programs make of it on its way through texts, URLs and documents.

use base64::{Engine as _, engine::general_purpose};
use zeroize::Zeroizing;

use crate::hex::hex;

/// The punctuation that a way of URL-encoding leaves as it is, and whether a space becomes a plus.
const URL_STYLES: [(&str, bool); 7] = [
    // Everything is encoded that may be.
    ("-_.~", false),
    // `encodeURIComponent`.
    ("-_.!~*'()", false),
    // Forms.
    ("*-._", true),
    // Paths.
    ("-_.~/", false),
    // `encodeURI`.
    ("-_.!~*'();/?:@&=+$,#", false),
    // Queries, by the rules of browsers.
    ("-_.!~*();/?:@&=+$,%[]\\^`{|}", false),
    ("", false),
];

/// How a program escapes texts in JSON beyond what it must.
struct JsonStyle {
    slash: bool,
    /// Whether everything beyond ASCII is escaped.
    ascii: bool,
    /// What else is escaped by number.
    numbered: &'static str,
    upper: bool,
}

const JSON_STYLES: [JsonStyle; 7] = [
    JsonStyle { slash: false, ascii: false, numbered: "", upper: false },
    JsonStyle { slash: true, ascii: false, numbered: "", upper: false },
    JsonStyle { slash: false, ascii: true, numbered: "", upper: false },
    JsonStyle { slash: true, ascii: true, numbered: "", upper: false },
    JsonStyle { slash: false, ascii: true, numbered: "", upper: true },
    JsonStyle { slash: false, ascii: false, numbered: "<>&", upper: false },
    JsonStyle { slash: false, ascii: true, numbered: "<>&'\"+`", upper: true },
];

/// What HTML has for `"` and `'`.
const HTML_QUOTES: [(&str, &str); 3] = [("&quot;", "&#39;"), ("&#34;", "&#x27;"), ("\"", "'")];

/// Every form of a value, some of them more than once, the value itself first.
pub(super) fn of(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![Zeroizing::new(value.to_owned()), Zeroizing::new(hex(value.as_bytes()))];
    forms.push(Zeroizing::new(hex(value.as_bytes()).to_uppercase()));
    forms.extend(HTML_QUOTES.map(|quotes| html(value, quotes)));
    forms.extend(url_encoded(value));
    forms.extend(in_json(value));
    let escaped = json_escaped(value, &JSON_STYLES[0]);
    for text in [value, escaped.as_str()] {
        forms.extend(base64(text.as_bytes()));
    }
    forms
}

/// In JSON, and in JSON that stands in a string of other JSON, up to three deep.
fn in_json(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms: Vec<_> = JSON_STYLES.iter().map(|style| json_escaped(value, style)).collect();
    let inner = forms.clone();
    forms.extend(inner.iter().flat_map(|form| JSON_STYLES[..2].iter().map(|style| json_escaped(form, style))));
    let twice = json_escaped(&json_escaped(value, &JSON_STYLES[0]), &JSON_STYLES[0]);
    forms.push(json_escaped(&twice, &JSON_STYLES[0]));
    forms
}

fn json_escaped(text: &str, style: &JsonStyle) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(2 * text.len()));
    for character in text.chars() {
        let is_numbered = style.numbered.contains(character) || style.ascii && !character.is_ascii();
        match character {
            _ if is_numbered => numbered(&mut out, character, style.upper),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '/' if style.slash => out.push_str("\\/"),
            _ if character < ' ' => numbered(&mut out, character, style.upper),
            _ => out.push(character),
        }
    }
    out
}

fn numbered(out: &mut String, character: char, upper: bool) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let digits = format!("{unit:04x}");
        out.push_str("\\u");
        out.push_str(&if upper { digits.to_uppercase() } else { digits });
    }
}

fn html(text: &str, (double, single): (&str, &str)) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(2 * text.len()));
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str(double),
            '\'' => out.push_str(single),
            _ => out.push(character),
        }
    }
    out
}

fn url_encoded(text: &str) -> Vec<Zeroizing<String>> {
    let styles = URL_STYLES.iter().flat_map(|style| [(style, true), (style, false)]);
    let mut forms: Vec<_> = styles.map(|((kept, plus), upper)| percent(text, kept, *plus, upper)).collect();
    // An address in an address.
    forms.extend(
        [true, false].map(|upper| percent(&percent(text, URL_STYLES[0].0, false, upper), "-_.~", false, upper)),
    );
    forms.push(every_byte(text, true));
    forms.push(every_byte(text, false));
    forms
}

fn percent(text: &str, kept: &str, plus: bool, upper: bool) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        match byte {
            b' ' if plus => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => out.push(char::from(byte)),
            _ => escaped_byte(&mut out, byte, upper),
        }
    }
    out
}

fn every_byte(text: &str, upper: bool) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(3 * text.len()));
    text.bytes().for_each(|byte| escaped_byte(&mut out, byte, upper));
    out
}

fn escaped_byte(out: &mut String, byte: u8, upper: bool) {
    let digits = format!("{byte:02x}");
    out.push('%');
    out.push_str(&if upper { digits.to_uppercase() } else { digits });
}

/// In base64 of both alphabets, also as a part of something longer, wherever it begins there; and what URLs and JSON make
/// of that.
fn base64(bytes: &[u8]) -> Vec<Zeroizing<String>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        forms.push(base64_inside(&general_purpose::STANDARD_NO_PAD, bytes, before));
        forms.push(base64_inside(&general_purpose::URL_SAFE_NO_PAD, bytes, before));
    }
    let whole = [
        general_purpose::STANDARD,
        general_purpose::STANDARD_NO_PAD,
        general_purpose::URL_SAFE,
        general_purpose::URL_SAFE_NO_PAD,
    ];
    forms.extend(whole.map(|engine| Zeroizing::new(engine.encode(bytes))));
    let plain = forms.clone();
    for form in &plain {
        forms.extend([true, false].map(|upper| percent(form, "-_", false, upper)));
        forms.push(json_escaped(form, &JSON_STYLES[1]));
    }
    forms
}

/// The characters of base64 that these bytes alone decide where `before` (mod 3) others stand before them.
fn base64_inside(engine: &general_purpose::GeneralPurpose, bytes: &[u8], before: usize) -> Zeroizing<String> {
    let padded = Zeroizing::new([&[0; 2][..before], bytes].concat());
    let encoded = Zeroizing::new(engine.encode(&*padded));
    let first = (before * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    Zeroizing::new(encoded.get(first..end).unwrap_or_default().to_owned())
}
