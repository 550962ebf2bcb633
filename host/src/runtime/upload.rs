//! Takes a component in: is it a plugin, can it be compiled, and what does it say about itself?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{task::spawn_blocking, time::timeout};
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

pub use super::inspect::Interface;
use super::{
    Runtime,
    call::{last_words, store},
    catalog::{LoadError, Ready},
    compile::CompileError,
    descriptor::{self, Descriptor},
    imports::CallContext,
    inspect,
    limits::{COMPONENT_BYTES_MAX, MEMORY_BYTES_DEFAULT},
    outcome::{Phase, accepted, failure, timed_out},
};
use crate::hex::sha256_hex;

/// Fuel for a descriptor.
const DESCRIBE_FUEL: u64 = 50_000_000;
/// Time for a descriptor.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A component that is a plugin.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// What it says about itself.
    pub descriptor: Descriptor,
    /// The same, as the plugin wrote it.
    pub descriptor_json: Json,
    /// What it imports: `weir:plugin/log@0.1.0`.
    pub imports: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
}

/// Why bytes are not taken as a plugin.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Too many bytes.
    #[error("the component has {0} bytes; at most {COMPONENT_BYTES_MAX} are taken")]
    TooLarge(usize),
    /// Not WebAssembly at all.
    #[error("could not read a component: this is {0}; send the bytes of a .wasm component as they are")]
    NotWasm(&'static str),
    /// A module that was not made a component.
    #[error("could not read a component: this is a core module; build it for wasm32-wasip2 or wrap it as a component")]
    CoreModule,
    /// Native code.
    #[error("could not read a component: this is compiled code; send the component, the host compiles it itself")]
    Precompiled,
    /// Not a sound component.
    #[error("the component is not sound: {0}")]
    Malformed(String),
    /// Larger inside than we compile.
    #[error("the component is too complex: {}", .0.join("; "))]
    TooComplex(Vec<String>),
    /// Not of our world.
    #[error("the component is not a plugin of this host: {}", .0.join("; "))]
    Interface(Vec<String>),
    /// The compiler was stopped at a limit.
    #[error("the component costs too much to compile: {0}")]
    CompileLimit(String),
    /// The compiler refused.
    #[error("could not compile the component: {0}")]
    Compile(String),
    /// `describe` did not answer.
    #[error("the plugin could not describe itself: {}", .0.message)]
    Describe(Failure),
    /// `describe` answered something that is not a descriptor.
    #[error("the plugin's descriptor is not sound: {}", .0.join("; "))]
    Descriptor(Vec<String>),
    /// Too many uploads wait for their turn.
    #[error("too many uploads wait to be compiled: try again later")]
    Busy,
    /// A fault of the host.
    #[error("could not take the component in")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl UploadError {
    /// A stable name of what is wrong.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "plugin_too_large",
            Self::NotWasm(_) => "not_webassembly",
            Self::CoreModule => "core_module",
            Self::Precompiled => "precompiled",
            Self::Malformed(_) => "malformed_component",
            Self::TooComplex(_) => "component_too_complex",
            Self::Interface(_) => "wrong_interface",
            Self::CompileLimit(_) => "compile_limit",
            Self::Compile(_) => "compile_failed",
            Self::Describe(_) => "describe_failed",
            Self::Descriptor(_) => "invalid_descriptor",
            Self::Busy => "upload_queue_full",
            Self::Internal(_) => "internal",
        }
    }

    /// Everything that is wrong, one entry each; at least one.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::TooComplex(problems) | Self::Interface(problems) | Self::Descriptor(problems) => problems.clone(),
            Self::TooLarge(_)
            | Self::NotWasm(_)
            | Self::CoreModule
            | Self::Precompiled
            | Self::Malformed(_)
            | Self::CompileLimit(_)
            | Self::Compile(_)
            | Self::Describe(_)
            | Self::Busy
            | Self::Internal(_) => vec![self.to_string()],
        }
    }
}

fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> UploadError {
    UploadError::Internal(error.into())
}

impl From<LoadError> for UploadError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Compile(limit @ CompileError::Limit(_)) => Self::CompileLimit(limit.to_string()),
            LoadError::Compile(CompileError::Refused(why)) => Self::Compile(why),
            LoadError::Link(why) => Self::Interface(vec![format!("{why:#}")]),
            error @ (LoadError::Compile(CompileError::Run(_))
            | LoadError::Missing(_)
            | LoadError::Changed(_)
            | LoadError::Unloadable
            | LoadError::Stopping) => internal(error),
        }
    }
}

impl Runtime {
    /// Decides whether a component is a plugin: checks it, compiles it in a child process under limits, type-checks it
    /// against our world and asks it for its descriptor. One at a time; a few wait. What was compiled is kept.
    ///
    /// # Errors
    /// Names what is wrong, all of it where that is possible.
    pub async fn validate_and_compile(&self, bytes: Bytes) -> Result<Inspected, UploadError> {
        if bytes.len() > COMPONENT_BYTES_MAX {
            return Err(UploadError::TooLarge(bytes.len()));
        }
        let _waiting = self.uploads_waiting.try_acquire().map_err(|_| UploadError::Busy)?;
        let _turn = self.uploads.acquire().await.map_err(internal)?;
        let (digest, interface) = self.inspected(bytes.clone()).await?;
        let known = self.catalog.get_compiled(&digest).await?;
        let ready = match &known {
            Some(ready) => Arc::clone(ready),
            None => self.catalog.compile(&digest, &bytes).await?,
        };
        match self.described(&digest, &ready).await {
            Ok((descriptor, descriptor_json)) => {
                let size = bytes.len() as u64;
                Ok(Inspected { digest, descriptor, descriptor_json, imports: interface.imports, size })
            }
            Err(error) => {
                if known.is_none() {
                    self.forget(&digest);
                }
                Err(error)
            }
        }
    }

    /// Decides whether bytes are a sound component of our world, without compiling them. Takes as long as reading them
    /// once: run it where blocking is allowed.
    ///
    /// # Errors
    /// As [`Runtime::validate_and_compile`], up to compiling.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Interface, UploadError> {
        if bytes.len() > COMPONENT_BYTES_MAX {
            return Err(UploadError::TooLarge(bytes.len()));
        }
        inspect::inspect(bytes, self.catalog.engine.get_wasm_features())
    }

    async fn inspected(&self, bytes: Bytes) -> Result<(String, Interface), UploadError> {
        let features = self.catalog.engine.get_wasm_features();
        spawn_blocking(move || Ok((sha256_hex(&bytes), inspect::inspect(&bytes, features)?))).await.map_err(internal)?
    }

    async fn described(&self, digest: &str, ready: &Ready) -> Result<(Descriptor, Json), UploadError> {
        let json = self.describe(digest, ready).await.map_err(UploadError::Describe)?;
        let descriptor = descriptor::check(json.value()).map_err(UploadError::Descriptor)?;
        Ok((descriptor, json.without_tree()))
    }

    /// Asks a component for its descriptor, with little fuel and no powers.
    async fn describe(&self, digest: &str, ready: &Ready) -> Result<Json, Failure> {
        let stopping = |_| Failure::new(FailureCode::Interrupted, "the host is stopping");
        let _slot = self.tools.acquire().await.map_err(stopping)?;
        let context = CallContext {
            idempotency_key: digest,
            execution_id: "describe".into(),
            path: "describe".into(),
            memory_bytes_max: MEMORY_BYTES_DEFAULT,
            due: Instant::now() + DESCRIBE_TIMEOUT,
            agent: false,
            host: None,
        };
        let mut store = store(&self.catalog.engine, context, DESCRIBE_FUEL)
            .map_err(|error| failure(&error, Phase::Instantiating, None))?;
        let asked = async {
            let made = ready.instance.instantiate_async(&mut store).await;
            let instance = made.map_err(|error| (Phase::Instantiating, error))?;
            let answer = instance.weir_plugin_plugin().call_describe(&mut store).await;
            answer.map_err(|error| (Phase::Running, error))
        };
        match timeout(DESCRIBE_TIMEOUT, asked).await {
            Ok(Ok(answer)) => accepted(Ok(answer)),
            Ok(Err((phase, error))) => Err(failure(&error, phase, last_words(&store))),
            Err(_) => Err(timed_out()),
        }
    }
}
