//! What the call is part of.

use crate::host;

/// The execution's id.
pub fn execution_id() -> String {
    host::execution_id()
}

/// The step's place in the execution: `scrape_loop[3].scrape_url`.
pub fn step_path() -> String {
    host::step_path()
}

/// Milliseconds until the host ends this call. A long computation that looks at it can stop early with a part of the
/// answer.
pub fn remaining_ms() -> u64 {
    host::remaining_ms()
}
