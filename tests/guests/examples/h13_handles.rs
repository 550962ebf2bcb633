//! Opens handles and never closes them.

use std::{io, mem};

use weir_guests::{Call, Failure};

fn run(_: Call) -> Result<String, Failure> {
    for _ in 0..1_000_000 {
        mem::forget(weir_guests::subscribe_duration(1));
    }
    drop(io::stdout());
    Ok("null".to_owned())
}

weir_guests::guest!("h13_handles", run);
