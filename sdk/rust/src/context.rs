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
/// answer. It is not recorded: a call that runs again after a stop of the host sees another time. Let it not decide
/// what is asked of the host, or the second run asks for something else than the first and fails.
pub fn remaining_ms() -> u64 {
    host::remaining_ms()
}

/// What is left to spend under all limits around the call, so that an agent can finish with what it has.
pub fn budget() -> Budget {
    host::budget()
}

/// What a call may still spend. `None`: nothing limits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Model requests.
    pub requests: Option<u64>,
    /// Tokens sent to models.
    pub input_tokens: Option<u64>,
    /// Tokens that models answer with.
    pub output_tokens: Option<u64>,
    /// Both kinds of tokens together.
    pub total_tokens: Option<u64>,
    /// Tool calls.
    pub tool_calls: Option<u64>,
    /// Money, in millionths of a US dollar.
    pub cost_microdollars: Option<u64>,
}
