//! Runs plugins: WebAssembly components in a sandbox, each call in an instance of its own under limits of its own.
//!
//! [`Runtime::validate_and_compile`] decides whether a component is a plugin, [`Runtime::call`] calls one of its tools
//! or agents. Nothing outside this module knows wasmtime.

mod bindings;
mod cache;
mod call;
mod catalog;
pub mod compile;
pub mod descriptor;
pub(crate) mod effect;
mod engine;
mod imports;
mod inspect;
pub mod limits;
mod outcome;
mod text;
pub mod upload;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use weir_engine::{event::Report, failure::Failure, json::Json};

use self::{cache::Cache, catalog::Catalog, compile::Compiler};
pub use self::{
    compile::CompileLimits,
    descriptor::Descriptor,
    effect::{
        CallHost, ChatTurn, Effect, HttpAnswer, HttpBody, HttpRequest, HttpResponse, KvEntry, KvOperation, KvSpace,
        Powerless, ToolAnswer, ToolCall,
    },
    upload::{Inspected, UploadError},
};
use crate::metrics::Metrics;

/// How deep agents may call agents, the one of the step counted.
pub const DEPTHS: usize = 4;
/// Uploads that are under way, waiting ones included.
const UPLOADS_WAITING_MAX: usize = 8;

/// How a runtime is set up.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Where the components lie, each named `DIGEST.wasm`. The runtime only reads there.
    pub components_dir: PathBuf,
    /// The runtime's own directory, for compiled components; nobody else may enter it.
    pub cache_dir: PathBuf,
    /// The program that has the subcommand [`compile::SUBCOMMAND`].
    pub compiler: PathBuf,
    /// What compiling one component may use.
    pub compile_limits: CompileLimits,
    /// Tools that run at the same time.
    pub tool_slots: u32,
    /// Agents that run at the same time, those that were called by agents not counted: each depth has as many. They have
    /// slots of their own: agents that wait for tools, or for agents that they called, cannot keep those from running.
    pub agent_slots: u32,
    /// Where calls are counted.
    pub metrics: Metrics,
}

impl RuntimeConfig {
    /// A runtime with the defaults, compiling with this very program.
    ///
    /// # Errors
    /// When the path of the running program cannot be found out.
    pub fn new(components_dir: PathBuf, cache_dir: PathBuf) -> io::Result<Self> {
        let compiler = std::env::current_exe()?;
        let (compile_limits, metrics) = (CompileLimits::default(), Metrics::default());
        Ok(Self { components_dir, cache_dir, compiler, compile_limits, tool_slots: 48, agent_slots: 48, metrics })
    }
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine cannot be made on this machine.
    #[error("could not set up the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// The directory of compiled components cannot be used.
    #[error("could not open the directory of compiled components {}", .0.display())]
    Cache(PathBuf, #[source] io::Error),
}

/// One call of a tool or an agent.
#[derive(Debug, Clone)]
pub struct PluginCall {
    /// The component, by SHA-256 in hex.
    pub digest: String,
    /// The tool's or agent's own name.
    pub name: String,
    /// Whether it is an agent: only agents may talk to models and call tools.
    pub agent: bool,
    /// The step's configuration.
    pub config: Json,
    /// How many agents call each other around it: 0 for the call of a step.
    pub depth: usize,
    /// What to work on.
    pub input: Json,
    /// The same for every attempt of the same call; the plugin's clock and random numbers follow from it.
    pub idempotency_key: String,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// The execution that the call is part of.
    pub execution_id: Arc<str>,
    /// The step's place.
    pub path: Arc<str>,
    /// How long the call may take, from the moment that it has a slot.
    pub timeout: Duration,
    /// How much fuel it may use; [`limits::FUEL_DEFAULT`] if nobody says.
    pub fuel: Option<u64>,
    /// How much memory it may use; [`limits::MEMORY_BYTES_DEFAULT`] if nobody says.
    pub memory_bytes: Option<u64>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// The answer, or why there is none.
    pub result: Result<Json, Failure>,
    /// What the call logged and used.
    pub report: Report,
}

/// The sandbox.
pub struct Runtime {
    catalog: Catalog,
    tools: Semaphore,
    /// By the depth of their calls.
    agents: [Semaphore; DEPTHS],
    uploads: Semaphore,
    uploads_waiting: Semaphore,
    metrics: Metrics,
}

impl Runtime {
    /// Sets up the engine, its pool and its cache. Needs no running tokio.
    ///
    /// # Errors
    /// When the machine or the cache directory does not allow it.
    pub fn new(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let agents = config.agent_slots.max(1);
        let slots = config.tool_slots.saturating_add(agents.saturating_mul(DEPTHS as u32)).max(1);
        let engine = engine::pooled(slots).map_err(RuntimeError::Engine)?;
        let cache = Cache::open(config.cache_dir.clone(), &engine)
            .map_err(|error| RuntimeError::Cache(config.cache_dir, error))?;
        let compiler = Compiler::new(config.compiler, config.compile_limits);
        let catalog = Catalog::new(engine, cache, compiler, config.components_dir).map_err(RuntimeError::Engine)?;
        Ok(Self {
            catalog,
            tools: Semaphore::new(config.tool_slots.max(1) as usize),
            agents: std::array::from_fn(|_| Semaphore::new(agents as usize)),
            uploads: Semaphore::new(1),
            uploads_waiting: Semaphore::new(UPLOADS_WAITING_MAX),
            metrics: config.metrics,
        })
    }

    /// Drops the component with this digest from memory and from the cache. Calls that are running go on.
    pub fn forget(&self, digest: &str) {
        if catalog::is_digest(digest) {
            self.catalog.forget(digest);
        }
    }
}
