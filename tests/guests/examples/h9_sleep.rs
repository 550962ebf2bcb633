//! Sleeps for an hour.

use std::time::Duration;

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    std::thread::sleep(Duration::from_secs(3600));
    Ok(call.input)
}

weir_guests::guest!("h9_sleep", run);
