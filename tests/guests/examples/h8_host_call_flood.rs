//! Calls the host ten million times.

use std::time::Instant;

use weir_guests::{Call, Failure, context, log};

fn run(call: Call) -> Result<String, Failure> {
    let mut sum = 0_u64;
    for _ in 0..10_000_000 {
        sum = sum.wrapping_add(match call.input.trim_matches('"') {
            "clock" => u64::try_from(Instant::now().elapsed().as_nanos()).unwrap_or(0),
            "large" => {
                log::write(log::Level::Info, &"x".repeat(7 << 20));
                1
            }
            _ => context::remaining_ms(),
        });
    }
    Ok(sum.to_string())
}

weir_guests::guest!("h8_host_call_flood", run);
