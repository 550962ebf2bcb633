//! Leaves a canary in its globals and its heap, and looks for the one that an earlier call left.

use std::sync::atomic::{AtomicU64, Ordering};

use weir_guests::{Call, Failure};

static CANARY: AtomicU64 = AtomicU64::new(0);
static MARK: [u8; 16] = *b"WEIR-CANARY-16-B";

fn run(_: Call) -> Result<String, Failure> {
    let before = CANARY.swap(0xdead_beef, Ordering::Relaxed);
    let mut heap = Vec::<u8>::with_capacity(1 << 20);
    let spare = heap.spare_capacity_mut().as_ptr().cast::<u8>();
    let mut found = 0;
    for at in (0..(1 << 20) - 16).step_by(16) {
        // SAFETY: the address lies in the allocation; linear memory is always initialised.
        #[expect(unsafe_code, reason = "looks at memory that was not written yet")]
        let word = unsafe { spare.add(at).cast::<[u8; 16]>().read_unaligned() };
        found += u32::from(word == MARK);
    }
    for _ in 0..(1 << 16) {
        heap.extend_from_slice(&std::hint::black_box(MARK));
    }
    std::hint::black_box(&heap);
    Ok(format!(r#"{{"before":{before},"found":{found}}}"#))
}

weir_guests::guest!("h22_canary", run);
