//! Components that are loaded and ready to be instantiated, by digest.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::task::spawn_blocking;
use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};

use super::{
    bindings::{Agent, AgentPre},
    cache::Cache,
    compile::{CompileError, Compiler},
    imports::CallState,
};
use crate::hex::sha256_hex;

/// Components in memory.
const LOADED_MAX: usize = 128;

/// Why a component is not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("no component with the digest {0} is stored")]
    Missing(String),
    #[error("the stored component with the digest {0} was changed")]
    Changed(String),
    #[error("could not compile the component: {0}")]
    Compile(#[from] CompileError),
    #[error("could not link the component")]
    Link(#[source] wasmtime::Error),
    #[error("could not load what was just compiled")]
    Unloadable,
    #[error("the host is stopping")]
    Stopping,
}

/// A component that only has to be instantiated.
pub(super) struct Ready {
    pub(super) instance: AgentPre<CallState>,
    used: AtomicU64,
}

/// All that is loaded, and the way to more.
pub(super) struct Catalog {
    pub(super) engine: Engine,
    pub(super) cache: Arc<Cache>,
    pub(super) compiler: Compiler,
    linker: Linker<CallState>,
    components: PathBuf,
    ready: RwLock<HashMap<String, Arc<Ready>>>,
    loading: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    uses: AtomicU64,
}

impl Catalog {
    /// A catalog of the components in the directory `components`, each named `DIGEST.wasm`.
    ///
    /// # Errors
    /// When two imports collide.
    pub(super) fn new(engine: Engine, cache: Cache, compiler: Compiler, components: PathBuf) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        Agent::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        Ok(Self {
            engine,
            cache: Arc::new(cache),
            compiler,
            linker,
            components,
            ready: RwLock::default(),
            loading: Mutex::default(),
            uses: AtomicU64::new(0),
        })
    }

    /// The component with this digest, loaded first where it is not.
    ///
    /// # Errors
    /// When it is not stored, was changed, or cannot be compiled.
    pub(super) async fn get(&self, digest: &str) -> Result<Arc<Ready>, LoadError> {
        match self.loaded(digest) {
            Some(ready) => Ok(ready),
            None => self.load(digest).await,
        }
    }

    fn loaded(&self, digest: &str) -> Option<Arc<Ready>> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner).get(digest).map(Arc::clone)?;
        ready.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(ready)
    }

    /// Loads a component, once however many ask for it.
    async fn load(&self, digest: &str) -> Result<Arc<Ready>, LoadError> {
        let turn = Arc::clone(
            self.loading.lock().unwrap_or_else(PoisonError::into_inner).entry(digest.to_owned()).or_default(),
        );
        let _turn = turn.lock().await;
        let loaded = match self.loaded(digest) {
            Some(ready) => Ok(ready),
            None => self.load_now(digest).await,
        };
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        loaded
    }

    async fn load_now(&self, digest: &str) -> Result<Arc<Ready>, LoadError> {
        if let Some(component) = self.cached(digest).await? {
            return self.keep(digest, &component);
        }
        let path = self.components.join(format!("{digest}.wasm"));
        let wanted = digest.to_owned();
        let bytes = spawn_blocking(move || stored(&path, &wanted)).await.map_err(|_| LoadError::Stopping)??;
        self.compile(digest, &bytes).await
    }

    /// The component with this digest if it is loaded or lies compiled in the cache.
    ///
    /// # Errors
    /// When what lies there does not fit our world.
    pub(super) async fn get_compiled(&self, digest: &str) -> Result<Option<Arc<Ready>>, LoadError> {
        if let Some(ready) = self.loaded(digest) {
            return Ok(Some(ready));
        }
        let component = self.cached(digest).await?;
        component.map(|component| self.keep(digest, &component)).transpose()
    }

    /// Compiles a component and loads it. `bytes` must have been checked, and have this digest.
    ///
    /// # Errors
    /// When it cannot be compiled within the limits, or does not fit our world.
    pub(super) async fn compile(&self, digest: &str, bytes: &[u8]) -> Result<Arc<Ready>, LoadError> {
        self.compiler.compile(bytes, &self.cache.path(digest)).await?;
        let component = self.cached(digest).await?.ok_or(LoadError::Unloadable)?;
        self.keep(digest, &component)
    }

    async fn cached(&self, digest: &str) -> Result<Option<Component>, LoadError> {
        let (engine, cache, digest) = (self.engine.clone(), Arc::clone(&self.cache), digest.to_owned());
        spawn_blocking(move || cache.load(&engine, &digest)).await.map_err(|_| LoadError::Stopping)
    }

    /// Links a component and keeps it; the one that was not used for longest goes when there are too many.
    fn keep(&self, digest: &str, component: &Component) -> Result<Arc<Ready>, LoadError> {
        let instance = self.linker.instantiate_pre(component).and_then(AgentPre::new).map_err(LoadError::Link)?;
        let used = AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed));
        let ready = Arc::new(Ready { instance, used });
        let mut all = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(digest.to_owned(), Arc::clone(&ready));
        if all.len() > LOADED_MAX {
            let oldest = all.iter().min_by_key(|(_, ready)| ready.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) {
                all.remove(&oldest);
            }
        }
        Ok(ready)
    }

    /// Drops a component from memory and from the cache. Calls that are running keep theirs.
    pub(super) fn forget(&self, digest: &str) {
        self.ready.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
        self.cache.remove(digest);
    }
}

/// The stored component, if it is still the one that was uploaded.
fn stored(path: &Path, digest: &str) -> Result<Vec<u8>, LoadError> {
    let bytes = fs::read(path).map_err(|_| LoadError::Missing(digest.to_owned()))?;
    if sha256_hex(&bytes) != digest {
        return Err(LoadError::Changed(digest.to_owned()));
    }
    Ok(bytes)
}

/// Whether `text` can be a digest: it becomes part of a file's name.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
