//! What one call of a plugin may use. Each limit has its own error, so that each has its own failure code.

use wasmtime::ResourceLimiter;

/// Fuel of a call where nobody says otherwise: about a second of computing.
pub const FUEL_DEFAULT: u64 = 1_000_000_000;
/// The most fuel that guardrails may give a call.
pub const FUEL_MAX: u64 = 1_000_000_000_000;
/// Memory of a call where nobody says otherwise, in bytes.
pub const MEMORY_BYTES_DEFAULT: u64 = 64 << 20;
/// The most memory that guardrails may give a call, in bytes.
pub const MEMORY_BYTES_MAX: usize = 256 << 20;
/// The longest answer of a call, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// The largest component that is taken, in bytes.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Module instances in one component.
pub const CORE_INSTANCES_MAX: u32 = 32;
/// Linear memories in one component; their sizes are counted together.
pub const MEMORIES_MAX: u32 = 8;
/// Tables in one component.
pub const TABLES_MAX: u32 = 16;
/// Elements of all tables together.
pub const TABLE_ELEMENTS_MAX: usize = 10_000;
/// What may pass from a plugin to the host in one host call or one answer, in bytes.
pub(super) const HOSTCALL_BYTES_MAX: usize = 8 << 20;
/// What may pass between a plugin and the host in all host calls of a call together, in bytes.
pub(super) const HOSTCALL_TOTAL_BYTES_MAX: u64 = 64 << 20;
/// Host calls of one call.
pub const HOST_CALLS_MAX: u64 = 10_000;
/// The longest answer of the host to one host call, in bytes.
pub const HOST_ANSWER_BYTES_MAX: usize = 8 << 20;
/// Tool calls that an agent may ask for at once.
pub const TOOL_CALLS_AT_ONCE_MAX: usize = 64;
/// Messages of one conversation with a model.
pub const CHAT_MESSAGES_MAX: usize = 2_000;
/// Options and messages of all conversations of a call together, in bytes.
pub const CHAT_BYTES_MAX: usize = 8 << 20;
/// Requests over HTTP of one call, redirects that are followed included.
pub const HTTP_REQUESTS_MAX: u32 = 20;
/// The body of a request over HTTP, in bytes.
pub const HTTP_BODY_BYTES_MAX: usize = 5 << 20;
/// Bodies of all requests of one call that stream, in bytes.
pub(super) const HTTP_SENT_BYTES_MAX: usize = 20 << 20;
/// One map of headers that a plugin makes, as it lies in memory, in bytes.
pub(super) const HTTP_FIELDS_BYTES_MAX: usize = 64 << 10;
/// A key of a plugin's documents, in bytes.
pub const KV_KEY_BYTES_MAX: usize = 512;
/// A document of a plugin, in bytes.
pub const KV_VALUE_BYTES_MAX: usize = 64 << 10;
/// Open handles (streams, pollables) of one call.
pub const HANDLES_MAX: usize = 256;
/// Handles of resources that a component defines itself.
pub(super) const OWN_HANDLES_MAX: usize = 1_000;
/// Random bytes that one host call may ask for.
pub(super) const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// The call wanted more memory than it may have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the plugin wanted {wanted_bytes} bytes of memory; the limit is {limit_bytes}")]
pub(super) struct MemoryExceeded {
    pub(super) wanted_bytes: u64,
    pub(super) limit_bytes: u64,
}

/// The call wanted more table elements than it may have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the plugin wanted {wanted} table elements; the limit is {TABLE_ELEMENTS_MAX}")]
pub(super) struct TablesExceeded {
    pub(super) wanted: u64,
}

/// The call used the host's functions too often or passed too much through them.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum HostCallsExceeded {
    #[error("the plugin called the host more than {HOST_CALLS_MAX} times")]
    Calls,
    #[error("more than {HOSTCALL_TOTAL_BYTES_MAX} bytes passed between the plugin and the host")]
    Bytes,
}

/// Counts the memory and tables of all instances of one call against one limit each.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_bytes: u64,
    memory_bytes_max: u64,
    table_elements: u64,
}

impl Limiter {
    pub(super) fn new(memory_bytes_max: u64) -> Self {
        Self { memory_bytes: 0, memory_bytes_max, table_elements: 0 }
    }
}

fn grown(total: u64, current: usize, desired: usize) -> u64 {
    total.saturating_add(u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX))
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted_bytes = grown(self.memory_bytes, current, desired);
        if wanted_bytes > self.memory_bytes_max {
            return Err(MemoryExceeded { wanted_bytes, limit_bytes: self.memory_bytes_max }.into());
        }
        self.memory_bytes = wanted_bytes;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = grown(self.table_elements, current, desired);
        if wanted > TABLE_ELEMENTS_MAX as u64 {
            return Err(TablesExceeded { wanted }.into());
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}
