//! The program `weir`.

use std::process::ExitCode;

/// Many small documents are made on one thread and dropped on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    weir_host::cli::main()
}
