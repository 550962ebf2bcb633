//! The program `weir`.

use std::process::ExitCode;

/// Many small documents are made on one thread and dropped on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Pages of 2 MiB under the allocator's many small ones nearly double the host's resident memory and make nothing
    // faster. Where the system cannot be told so, it costs memory and nothing else.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    weir_host::cli::main()
}
