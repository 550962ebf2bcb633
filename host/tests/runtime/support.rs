//! A runtime that the tests share, and calls of guest programs.

use std::{
    env, fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use tempfile::TempDir;
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};
use weir_host::{
    metrics::Metrics,
    runtime::{
        CallHost, CallOutcome, CompileLimits, Effect, Inspected, PluginCall, Powerless, Runtime, RuntimeConfig,
        ToolAnswer, ToolCall,
    },
};

/// How much later than its limit any single call may end: the machine that runs the tests does other things too.
const LATE_MAX: Duration = Duration::from_secs(2);
/// How often a call is made whose lateness is measured.
const CALLS: usize = 5;

/// A runtime in a directory of its own.
pub(crate) struct Sandbox {
    pub(crate) runtime: Runtime,
    pub(crate) directory: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::with_limits(CompileLimits::default())
    }

    pub(crate) fn with_limits(limits: CompileLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { runtime: open(&directory, limits), directory }
    }

    /// The same directory after a restart.
    pub(crate) fn reopened(self) -> Self {
        let Self { runtime, directory } = self;
        drop(runtime);
        Self { runtime: open(&directory, CompileLimits::default()), directory }
    }
}

fn open(directory: &TempDir, compile_limits: CompileLimits) -> Runtime {
    let config = RuntimeConfig {
        components_dir: directory.path().join("plugins"),
        cache_dir: directory.path().join("compiled"),
        compiler: PathBuf::from(env!("CARGO_BIN_EXE_weir")),
        compile_limits,
        tool_slots: 12,
        agent_slots: 4,
        metrics: Metrics::default(),
    };
    fs::create_dir_all(&config.components_dir).unwrap();
    Runtime::new(config).unwrap()
}

/// The runtime that most tests share.
pub(crate) fn shared() -> &'static Runtime {
    static SHARED: OnceLock<Sandbox> = OnceLock::new();
    &SHARED.get_or_init(Sandbox::new).runtime
}

/// The component of a guest program.
pub(crate) fn guest(name: &str) -> Bytes {
    built(&format!("examples/{name}"), "guests")
}

/// A bundled plugin.
pub(crate) fn component(name: &str) -> Bytes {
    built(name, "plugins")
}

fn built(name: &str, goal: &str) -> Bytes {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from);
    let path = target.join(format!("wasm32-wasip2/plugin/{name}.wasm"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make {goal}` first", path.display()));
    Bytes::from(bytes)
}

pub(crate) async fn installed(name: &str) -> Inspected {
    loop {
        match shared().validate_and_compile(guest(name)).await {
            Ok(inspected) => return inspected,
            Err(weir_host::runtime::UploadError::Busy) => tokio::task::yield_now().await,
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// A call of a guest's tool.
pub(crate) async fn request(name: &str, input: &str) -> PluginCall {
    PluginCall {
        digest: installed(name).await.digest,
        name: "run".to_owned(),
        agent: false,
        config: json("{}"),
        depth: 0,
        input: json(input),
        idempotency_key: "execution/1".to_owned(),
        attempt: 0,
        execution_id: "execution".into(),
        path: "step".into(),
        timeout: Duration::from_secs(20),
        fuel: None,
        memory_bytes: None,
    }
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

pub(crate) async fn perform(call: PluginCall) -> CallOutcome {
    shared().call(call, Arc::new(Powerless)).await
}

pub(crate) async fn run(name: &str, input: &str) -> CallOutcome {
    perform(request(name, input).await).await
}

/// The failure that a call must end with.
pub(crate) fn failed(outcome: CallOutcome, code: FailureCode) -> Failure {
    let Err(failure) = outcome.result else { panic!("the guest was expected to fail with {code:?}") };
    assert_eq!(failure.code, code, "{}", failure.message);
    failure
}

/// Makes a call that must fail with `code` several times, one after the other. Half of them must have ended at most
/// `late_max` after `limit`, which is what the host adds to it; what the machine's other work adds is in the rest.
pub(crate) async fn ends_in_time(call: &PluginCall, code: FailureCode, limit: Duration, late_max: Duration) {
    let mut late = Vec::new();
    for _ in 0..CALLS {
        let started = Instant::now();
        failed(perform(call.clone()).await, code);
        late.push(started.elapsed().saturating_sub(limit));
    }
    late.sort();
    assert!(late[CALLS / 2] <= late_max, "later than {limit:?} by {late:?}, not by {late_max:?} at most");
    assert!(late[CALLS - 1] <= LATE_MAX, "later than {limit:?} by {late:?}");
}

/// Answers each call of a tool; nothing else is granted.
pub(crate) fn each<F>(effect: Effect, answer: impl Fn(ToolCall) -> F) -> BoxFuture<'static, Result<Json, Failure>>
where
    F: Future<Output = Result<Json, Failure>> + Send + 'static,
{
    let Effect::Tools(calls) = effect else { return Powerless.effect(effect) };
    let answers: Vec<F> = calls.into_iter().map(answer).collect();
    Box::pin(async move {
        let answers: Vec<ToolAnswer> = join_all(answers).await.into_iter().map(ToolAnswer::from).collect();
        Ok(ToolAnswer::document(&answers))
    })
}
