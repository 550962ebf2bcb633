//! Never ends.

use weir_guests::{Call, Failure};

fn run(call: Call) -> Result<String, Failure> {
    let mut state = u64::from(call.attempt) | 1;
    loop {
        state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        if state == 0 {
            return Ok(call.input);
        }
    }
}

weir_guests::guest!("h1_spin", run);
