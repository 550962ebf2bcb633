//! What a plugin can reach: the state of one call, and the host functions that work on it.

pub(super) mod log;

mod clock;
mod context;
mod random;
mod tools;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use self::log::{Console, LogBuffer};
use super::{
    CallHost,
    bindings::weir::plugin::types,
    limits::{HANDLES_MAX, HOST_CALLS_MAX, HOSTCALL_TOTAL_BYTES_MAX, HostCallsExceeded, Limiter, RANDOM_BYTES_MAX},
};

/// Everything that belongs to one call: the data of its store.
pub(super) struct CallState {
    pub(super) limiter: Limiter,
    pub(super) log: Arc<Mutex<LogBuffer>>,
    pub(super) due: Instant,
    host: Option<Arc<dyn CallHost>>,
    execution_id: Arc<str>,
    path: Arc<str>,
    wasi: WasiCtx,
    table: ResourceTable,
    host_calls: u64,
    host_bytes: u64,
}

/// What the state of a call is made from.
pub(super) struct CallContext<'a> {
    pub(super) idempotency_key: &'a str,
    pub(super) execution_id: Arc<str>,
    pub(super) path: Arc<str>,
    pub(super) memory_bytes_max: u64,
    pub(super) due: Instant,
    /// Where calls of other tools go; `None` where the call may make none.
    pub(super) host: Option<Arc<dyn CallHost>>,
}

impl CallState {
    pub(super) fn new(context: CallContext<'_>) -> Self {
        let log = Arc::new(Mutex::new(LogBuffer::default()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            limiter: Limiter::new(context.memory_bytes_max),
            wasi: wasi(context.idempotency_key, &log),
            log,
            due: context.due,
            host: context.host,
            execution_id: context.execution_id,
            path: context.path,
            table,
            host_calls: 0,
            host_bytes: 0,
        }
    }

    /// Whether the call has used the host's functions too often. WASI's functions only count: the answer is asked for
    /// at every tick.
    pub(super) fn check_host_calls(&self) -> Result<(), HostCallsExceeded> {
        if self.host_calls > HOST_CALLS_MAX {
            return Err(HostCallsExceeded::Calls);
        }
        if self.host_bytes > HOSTCALL_TOTAL_BYTES_MAX {
            return Err(HostCallsExceeded::Bytes);
        }
        Ok(())
    }

    /// Counts a host call that brought `bytes` bytes.
    fn count(&mut self, bytes: usize) -> Result<(), HostCallsExceeded> {
        self.host_calls += 1;
        self.host_bytes = self.host_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.check_host_calls()
    }
}

/// No arguments, environment, files, network or standard input; a clock and random numbers that are the same in every
/// attempt of a call.
fn wasi(idempotency_key: &str, log: &Arc<Mutex<LogBuffer>>) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    let random = random::Seeds::of(idempotency_key);
    wasi.wall_clock(clock::Wall::default())
        .monotonic_clock(clock::Monotonic::default())
        .secure_random(random.secure())
        .insecure_random(random.insecure())
        .insecure_random_seed(random.seed())
        .max_random_size(RANDOM_BYTES_MAX)
        .stdout(Console::output(Arc::clone(log)))
        .stderr(Console::error(Arc::clone(log)))
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.host_calls += 1;
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for CallState {}
