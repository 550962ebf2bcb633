//! Answers its input; the well-behaved neighbour.

use weir_guests::{Call, Failure, context, log};

fn run(call: Call) -> Result<String, Failure> {
    if call.input.contains("\"log\"") {
        let line = format!("{} {} {}", context::execution_id(), context::step_path(), call.attempt);
        log::write(log::Level::Info, &line);
        assert!(context::remaining_ms() > 0, "a call has time left");
    }
    Ok(call.input)
}

weir_guests::guest!("echo", run);
