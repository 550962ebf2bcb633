//! Answers far too much.

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    Ok(match call.input.trim_matches('"') {
        "just_over" => format!("\"{}\"", "x".repeat(1 << 20)),
        "huge" => format!("\"{}\"", "x".repeat(40 << 20)),
        "deep" => "[".repeat(10_000) + &"]".repeat(10_000),
        "keys" => {
            let keys: Vec<String> = (0..100_000).map(|n| format!("\"{n}\":1")).collect();
            format!("{{{}}}", keys.join(","))
        }
        _ => "null".to_owned(),
    })
}

weir_guests::guest!("h6_giant_output", run);
