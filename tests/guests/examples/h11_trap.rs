//! Ends in ways that are not an answer.

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    match call.input.trim_matches('"') {
        "panic" => panic!("the \u{1b}[31mcore is red"),
        "unreachable" => std::process::abort(),
        "exit" => std::process::exit(3),
        "exit0" => std::process::exit(0),
        "bounds" => Ok([1, 2, 3][call.input.len()].to_string()),
        _ => Ok(call.input),
    }
}

weir_guests::guest!("h11_trap", run);
