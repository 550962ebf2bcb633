//! Puts a secret together from two halves, and lets it out in the way that it is told.

use std::io::Write as _;

use weir_guests::{Call, Failure, log};

fn run(call: Call) -> Result<String, Failure> {
    // {"how": "…", "a": "…", "b": "…"}, without escapes.
    let parts: Vec<&str> = call.input.split('"').collect();
    let (how, secret) = (parts[3], format!("{}{}", parts[7], parts[11]));
    match how {
        "plain" => Ok(format!("{{\"{secret}\": [\"Bearer {secret}\", \"{{\\\"token\\\": \\\"{secret}\\\"}}\"]}}")),
        "numbers" => Ok(format!("\"{}\"", secret.chars().map(numbered).collect::<String>())),
        "hex" => Ok(format!("\"{}\"", secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())),
        "url" => Ok(format!("\"https://a.example/?q={}\"", secret.bytes().map(percent).collect::<String>())),
        "base64" => Ok(format!("[{}]", ["", "u", "us"].map(|user| base64(&format!("{user}{secret}"))).join(","))),
        "log" => {
            log::write(log::Level::Info, &format!("sent {secret}, in base64 {}", base64(&secret)));
            // A standard stream that takes nothing is no matter of this test.
            writeln!(std::io::stdout(), "{secret}").ok();
            eprintln!("{secret:?}");
            // What the limit of a line cuts off leaves the beginning of a secret.
            log::write(log::Level::Info, &format!("{}{secret}", "-".repeat(8192 - secret.len() / 2)));
            Ok("{}".to_owned())
        }
        "panic" => panic!("could not use {secret}"),
        "own" => Err(Failure::Other(("bad_token".to_owned(), format!("the token {secret} is bad")))),
        _ => Err(Failure::Failed(format!("the token {secret} is bad"))),
    }
}

fn numbered(character: char) -> String {
    format!("\\u{:04x}", u32::from(character))
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// As a JSON string.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        let digits = (0..=chunk.len()).map(|at| char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]));
        out.extend(digits.chain("==".chars().take(3 - chunk.len())));
    }
    format!("\"{out}\"")
}

weir_guests::guest!("d1_leak", run);
