//! Answers far too much.

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    Ok(match call.input.trim_matches('"') {
        "just_over" => format!("\"{}\"", "x".repeat(1 << 20)),
        "huge" => format!("\"{}\"", "x".repeat(40 << 20)),
        "deep" => "[".repeat(10_000) + &"]".repeat(10_000),
        "keys" => {
            let mut text = String::with_capacity(16 << 20);
            for n in 0..1_000_000 {
                text.push_str(if n == 0 { "{\"" } else { ",\"" });
                text.push_str(&n.to_string());
                text.push_str("\":1");
            }
            text + "}"
        }
        _ => "null".to_owned(),
    })
}

weir_guests::guest!("h6_giant_output", run);
