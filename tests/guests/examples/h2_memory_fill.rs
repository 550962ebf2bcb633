//! Fills and copies a large buffer again and again: instructions that do much for little fuel.

use weir_guests::{Call, Failure};

fn run(_: Call) -> Result<String, Failure> {
    let half = 24 << 20;
    let mut buffer = vec![1_u8; 2 * half];
    let mut byte = 0_u8;
    loop {
        byte = byte.wrapping_add(1);
        std::hint::black_box(&mut buffer).fill(byte);
        std::hint::black_box(&mut buffer).copy_within(..half, half);
    }
}

weir_guests::guest!("h2_memory_fill", run);
