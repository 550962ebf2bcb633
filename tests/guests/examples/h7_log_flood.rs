//! Writes to its log as often as its input says: lines that forge others and colour the terminal.

use weir_guests::{Call, Failure, log};

#[expect(clippy::print_stdout, reason = "what is printed belongs into the log")]
fn run(call: Call) -> Result<String, Failure> {
    if call.input == "\"long\"" {
        log::write(log::Level::Info, &"x".repeat(4 << 20));
        return Ok("1".to_owned());
    }
    let count: u32 = call.input.parse().map_err(|_| Failure::InvalidInput("not a number".to_owned()))?;
    for n in 0..count {
        log::write(log::Level::Warn, &format!("line {n}\n\u{1b}[2Jinfo: all is well\r\u{202e}"));
    }
    eprintln!("from stderr");
    println!("from stdout");
    Ok(call.input)
}

weir_guests::guest!("h7_log_flood", run);
