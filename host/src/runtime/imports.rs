//! What a plugin can reach: the state of one call, and the host functions that work on it.

pub(super) mod log;
pub(super) mod model;

mod clock;
mod context;
mod http;
mod kv;
mod random;
mod tools;
mod web;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

use self::{
    log::{Console, LogBuffer},
    web::Web,
};
use super::{
    CallHost, Effect,
    bindings::weir::plugin::types,
    limits::{
        HANDLES_MAX, HOST_ANSWER_BYTES_MAX, HOST_CALLS_MAX, HOSTCALL_TOTAL_BYTES_MAX, HostCallsExceeded, Limiter,
        RANDOM_BYTES_MAX,
    },
};

/// Everything that belongs to one call: the data of its store.
pub(super) struct CallState {
    pub(super) limiter: Limiter,
    pub(super) log: Arc<Mutex<LogBuffer>>,
    pub(super) due: Instant,
    agent: bool,
    host: Option<Arc<dyn CallHost>>,
    execution_id: Arc<str>,
    path: Arc<str>,
    /// Bytes of all conversations.
    chat_bytes: usize,
    wasi: WasiCtx,
    web: Web,
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
    /// Whether it is an agent's call: only those may talk to models and call tools.
    pub(super) agent: bool,
    /// Who does what the call asks for; `None` where the call may ask for nothing.
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
            web: Web::new(context.host.clone(), &log),
            log,
            due: context.due,
            agent: context.agent,
            host: context.host,
            execution_id: context.execution_id,
            path: context.path,
            chat_bytes: 0,
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
        self.count_bytes(bytes)
    }

    /// Counts bytes that a host call brings or takes.
    fn count_bytes(&mut self, bytes: usize) -> Result<(), HostCallsExceeded> {
        self.host_bytes = self.host_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.check_host_calls()
    }

    /// The host, for what only agents may do.
    fn host_of_agents(&self, attempted: &str) -> Result<&Arc<dyn CallHost>, types::Failure> {
        match &self.host {
            Some(host) if self.agent => Ok(host),
            Some(_) | None => Err(types::Failure::Denied(format!("could not {attempted}: only agents may"))),
        }
    }

    /// Has the host do something. What it answers is counted, and not passed on if it is too long.
    async fn effect(&mut self, effect: Effect) -> wasmtime::Result<Result<Json, types::Failure>> {
        let Some(host) = self.host.clone() else {
            let message = "the host does nothing for a plugin that describes itself".to_owned();
            return Ok(Err(types::Failure::Denied(message)));
        };
        let answer = host.effect(effect).await.map_err(told).and_then(short_enough);
        self.count_bytes(answer.as_ref().map_or(0, |answer| answer.text().len()))?;
        Ok(answer)
    }
}

fn short_enough(answer: Json) -> Result<Json, types::Failure> {
    if answer.text().len() <= HOST_ANSWER_BYTES_MAX {
        return Ok(answer);
    }
    let message = format!("the answer is longer than {HOST_ANSWER_BYTES_MAX} bytes: ask for less");
    Err(types::Failure::Failed(message))
}

/// What stands for an answer of the host that cannot be read: a fault of the host itself.
fn unreadable(what: &str, error: &serde_json::Error) -> types::Failure {
    tracing::error!(error = %error, "could not read the host's own answer to {what}");
    types::Failure::Other((
        "internal".to_owned(),
        format!("could not read the answer to {what}: the host's log tells more"),
    ))
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

/// What a plugin is told about a failure of what it asked for.
fn told(failure: Failure) -> types::Failure {
    match failure.code {
        FailureCode::InvalidInput => types::Failure::InvalidInput(failure.message),
        FailureCode::Denied => types::Failure::Denied(failure.message),
        FailureCode::Unavailable => types::Failure::Unavailable(failure.message),
        FailureCode::Failed => types::Failure::Failed(failure.message),
        FailureCode::PluginFailure => {
            let code = failure.details.as_ref().and_then(|details| details.value().get("code")?.as_str());
            types::Failure::Other((code.unwrap_or("plugin_failure").to_owned(), failure.message))
        }
        code @ (FailureCode::FuelExhausted
        | FailureCode::Timeout
        | FailureCode::MemoryLimit
        | FailureCode::ResourceLimit
        | FailureCode::StackOverflow
        | FailureCode::PluginTrap
        | FailureCode::OutputTooLarge
        | FailureCode::InvalidOutput
        | FailureCode::HostCallLimit
        | FailureCode::PluginNotFound
        | FailureCode::PluginDisabled
        | FailureCode::ReferenceNotFound
        | FailureCode::NotAnArray
        | FailureCode::GuardrailExceeded
        | FailureCode::ApprovalTimeout
        | FailureCode::LoopDetected
        | FailureCode::Nondeterministic
        | FailureCode::Interrupted
        | FailureCode::Internal) => types::Failure::Other((code.as_str().to_owned(), failure.message)),
    }
}
