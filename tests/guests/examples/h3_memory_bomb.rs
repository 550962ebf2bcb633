//! Takes memory until there is none.

use weir_guests::{Call, Failure};

fn run(_: Call) -> Result<String, Failure> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(vec![7; 1 << 20]);
        std::hint::black_box(&kept);
    }
}

weir_guests::guest!("h3_memory_bomb", run);
