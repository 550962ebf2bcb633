//! Asks for random bytes, the environment and the arguments.

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    if call.input == "\"flood\"" {
        return Ok(weir_guests::random_bytes(1 << 32).len().to_string());
    }
    let bytes: Vec<String> = weir_guests::random_bytes(64).iter().map(ToString::to_string).collect();
    let environment = std::env::vars().count() + std::env::args().count();
    Ok(format!(r#"{{"random":[{}],"environment":{environment}}}"#, bytes.join(",")))
}

weir_guests::guest!("h14_entropy", run);
