//! Fails in each way that the interface has.

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    let text = "could not do it: \u{1b}[31mred".to_owned();
    Err(match call.input.trim_matches('"') {
        "invalid" => Failure::InvalidInput(text),
        "denied" => Failure::Denied(text),
        "unavailable" => Failure::Unavailable(text),
        "failed" => Failure::Failed(text),
        "long" => Failure::Failed("x".repeat(1_000_000)),
        code => Failure::Other((code.to_owned(), text)),
    })
}

weir_guests::guest!("failures", run);
