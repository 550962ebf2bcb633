//! Recurses without end.

use weir_guests::{Call, Failure};

#[expect(unconditional_recursion, reason = "that is what this program is for")]
#[inline(never)]
fn deeper(depth: u64, trail: [u64; 8]) -> u64 {
    let next = std::hint::black_box([depth; 8]);
    deeper(depth + 1, next).wrapping_add(std::hint::black_box(trail)[3])
}

fn run(_: Call) -> Result<String, Failure> {
    Ok(deeper(0, [0; 8]).to_string())
}

weir_guests::guest!("h5_recursion", run);
