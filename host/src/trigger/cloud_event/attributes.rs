//! What the attributes of an event may be.

use base64::Engine as _;
use serde_json::Value;
use weir_engine::json::kind_of;

/// What every event has.
pub(super) const NEEDED: [&str; 4] = ["specversion", "id", "source", "type"];
/// The most characters of a type.
const TYPE_CHARACTERS_MAX: usize = 256;
/// The most characters of any other attribute.
const CHARACTERS_MAX: usize = 1_024;
/// The most characters of an extension's name.
const NAME_CHARACTERS_MAX: usize = 20;

/// Checks one member of an event.
pub(super) fn check(name: &str, value: &Value) -> Result<(), String> {
    match name {
        "specversion" => match text(name, value, CHARACTERS_MAX)? {
            "1.0" => Ok(()),
            other => Err(format!("`specversion` must be \"1.0\", not {other:.50?}")),
        },
        "id" | "subject" => text(name, value, CHARACTERS_MAX).map(drop),
        "type" => text(name, value, TYPE_CHARACTERS_MAX).map(drop),
        "source" => source(text(name, value, CHARACTERS_MAX)?),
        "time" => time(text(name, value, CHARACTERS_MAX)?),
        "datacontenttype" => media_type(text(name, value, CHARACTERS_MAX)?),
        "dataschema" => {
            let schema = text(name, value, CHARACTERS_MAX)?;
            fluent_uri::Uri::parse(schema).map(drop).map_err(|e| format!("`dataschema` must be an absolute URI: {e}"))
        }
        "data" => Ok(()),
        "data_base64" => base64(value),
        extension => extension_of(extension, value),
    }
}

/// A text that is not empty and holds neither control characters nor noncharacters.
fn text<'v>(name: &str, value: &'v Value, characters_max: usize) -> Result<&'v str, String> {
    let Some(text) = value.as_str() else { return Err(format!("`{name}` must be a text, not {}", kind_of(value))) };
    if text.is_empty() {
        return Err(format!("`{name}` must not be empty: leave it out or fill it"));
    }
    if text.chars().count() > characters_max {
        return Err(format!("`{name}` has more than {characters_max} characters"));
    }
    let is_foreign =
        |c: char| c.is_control() || (u32::from(c) & 0xfffe) == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    match text.chars().find(|c| is_foreign(*c)) {
        Some(c) => Err(format!("`{name}` holds U+{:04X}, which no attribute may hold", u32::from(c))),
        None => Ok(text),
    }
}

/// A URI reference that does not claim to be the host.
fn source(text: &str) -> Result<(), String> {
    fluent_uri::UriRef::parse(text).map_err(|e| format!("`source` must be a URI reference: {e}"))?;
    if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("weir:")) {
        return Err("`source` must not begin with `weir:`: that is the host itself".to_owned());
    }
    Ok(())
}

/// RFC 3339, which is narrower than what the library reads.
fn time(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|(at, mark)| bytes.get(*at) == Some(mark));
    let date = digits(0..4) && digits(5..7) && digits(8..10) && matches!(bytes.get(10), Some(b'T' | b't'));
    let clock = digits(11..13) && digits(14..16) && digits(17..19);
    let rest = text.get(19..).unwrap_or_default();
    let fraction = rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    let zone = rest.get(fraction..).unwrap_or_default().as_bytes();
    let is_zone = matches!(zone, [b'Z' | b'z'] | [b'+' | b'-', _, _, b':', _, _]);
    if marks && date && clock && fraction != 1 && is_zone && text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(());
    }
    Err("`time` must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z".to_owned())
}

fn media_type(text: &str) -> Result<(), String> {
    let is_token = |part: &str| {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !part.is_empty() && part.bytes().all(is_inner)
    };
    let kind = text.split(';').next().unwrap_or_default().trim();
    match kind.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Ok(()),
        _ => Err("`datacontenttype` must be a media type, such as application/json".to_owned()),
    }
}

fn base64(value: &Value) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Err(format!("`data_base64` must be a text, not {}", kind_of(value)));
    };
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    decoded.map(drop).map_err(|e| format!("`data_base64` is not base64: {e}"))
}

fn extension_of(name: &str, value: &Value) -> Result<(), String> {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.bytes().all(is_inner) {
        return Err(format!(
            "{name:.50?} cannot be the name of an extension: it takes 1 to {NAME_CHARACTERS_MAX} of a-z and 0-9"
        ));
    }
    match value {
        Value::Bool(_) => Ok(()),
        Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => Ok(()),
        Value::String(empty) if empty.is_empty() => Ok(()),
        Value::String(_) => text(name, value, CHARACTERS_MAX).map(drop),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("`{name}` must be a text, true or false, or a whole number of 32 bits, not {}", kind_of(value)))
        }
    }
}
