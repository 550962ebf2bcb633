//! Answers with bytes that are not JSON, or hardly.

use weir_guests::{Call, Failure};

#[expect(unsafe_code, reason = "a text that is no text is the point")]
fn run(call: Call) -> Result<String, Failure> {
    Ok(match call.input.trim_matches('"') {
        // SAFETY: none; the host has to notice.
        "utf8" => unsafe { String::from_utf8_unchecked(vec![b'"', 0xff, 0xfe, b'"']) },
        "surrogate" => r#""\ud800""#.to_owned(),
        "nan" => "NaN".to_owned(),
        "large_number" => "1e999".to_owned(),
        "u64" => "9223372036854775809".to_owned(),
        "proto" => r#"{"__proto__":{"admin":true}}"#.to_owned(),
        "duplicate" => r#"{"a":1,"a":2}"#.to_owned(),
        "two" => "1 2".to_owned(),
        "empty" => String::new(),
        _ => "not json".to_owned(),
    })
}

weir_guests::guest!("h12_odd_output", run);
