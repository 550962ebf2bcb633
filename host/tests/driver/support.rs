//! A driver over a store and a runtime in a directory of its own.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_engine::{
    event::{Event, Record},
    id::CallId,
    json::Json,
    limits::Limits,
};
use weir_host::{
    driver::{Answer, Companions, Driver, DriverConfig, Finished, StartExecution},
    identity::Principal,
    runtime::{Runtime, RuntimeConfig},
    store::{FirstGrant, NewPlugin, NewWorkflow, Store, StoreOptions, WorkflowVersion},
};

use crate::runtime::support::{component, guest};

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What was compiled, for all benches: large plugins take seconds.
static COMPILED: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

pub(crate) struct Bench {
    pub(crate) driver: Driver,
    pub(crate) store: Store,
    pub(crate) directory: TempDir,
}

impl Bench {
    pub(crate) async fn new(guests: &[&str]) -> Self {
        let bench = Self::open(tempfile::tempdir().unwrap(), DriverConfig::default()).await;
        for name in guests {
            bench.install(name).await;
        }
        bench
    }

    pub(crate) async fn open(directory: TempDir, config: DriverConfig) -> Self {
        let store = Store::open(StoreOptions::new(directory.path())).await.unwrap();
        let mut runtime = RuntimeConfig::new(directory.path().join("plugins"), COMPILED.path().join("cache")).unwrap();
        runtime.compiler = PathBuf::from(env!("CARGO_BIN_EXE_weir"));
        (runtime.tool_slots, runtime.agent_slots) = (8, 4);
        runtime.metrics = store.metrics().clone();
        let runtime = Arc::new(Runtime::new(runtime).unwrap());
        let driver = Driver::new(store.clone(), runtime.clone(), config);
        Self { driver, store, directory }
    }

    /// Installs a bundled plugin, with all that it asks for.
    pub(crate) async fn install_plugin(&self, name: &str) {
        self.install_component(name, component(name)).await;
    }

    pub(crate) async fn install(&self, name: &str) {
        self.install_component(name, guest(name)).await;
    }

    async fn install_component(&self, name: &str, bytes: bytes::Bytes) {
        let inspected = self.driver.runtime().validate_and_compile(bytes.clone()).await.unwrap();
        let new = NewPlugin {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            digest: inspected.digest,
            descriptor: inspected.descriptor_json,
            imports: inspected.imports,
            bytes,
            installed_by: "test".to_owned(),
        };
        self.store.install_plugin_with(new, FirstGrant::All).await.unwrap();
        self.driver.plugins_changed();
    }

    /// The host stops.
    pub(crate) async fn stopped(self) -> TempDir {
        let Self { driver, store, directory } = self;
        driver.stop().await;
        drop(driver);
        store.close().await;
        directory
    }

    /// The host stops, and another one starts on the same directory.
    pub(crate) async fn restarted(self) -> Self {
        let bench = Self::open(self.stopped().await, DriverConfig::default()).await;
        bench.driver.recover().await.unwrap();
        bench
    }

    pub(crate) async fn save(&self, definition: Value) -> Arc<WorkflowVersion> {
        let checked = self.driver.check(&definition).await.unwrap();
        assert!(checked.valid, "{:#?}", checked.diagnostics);
        let new = NewWorkflow {
            name: definition["name"].as_str().unwrap().to_owned(),
            description: None,
            active: true,
            definition: Json::from_value(definition),
            triggers: Vec::new(),
            expected_version: None,
            owner: None,
            entries: Vec::new(),
        };
        Arc::new(self.store.create_workflow(new).await.unwrap().version)
    }

    pub(crate) async fn start(&self, workflow: &Arc<WorkflowVersion>, input: Value) -> Arc<str> {
        self.driver.start(start(workflow, input, None)).await.unwrap().execution_id
    }

    /// Runs a workflow to its end.
    pub(crate) async fn run(&self, definition: Value, input: Value) -> Finished {
        let workflow = self.save(definition).await;
        let answer = self.driver.start(start(&workflow, input, Some(PATIENCE))).await.unwrap();
        *answer.finished.expect("the execution ends in time")
    }

    /// Waits until the committed log satisfies `done`.
    pub(crate) async fn log_until(&self, id: &str, done: impl Fn(&[Record]) -> bool) -> Vec<Record> {
        let mut live = self.driver.subscribe(id);
        tokio::time::timeout(PATIENCE, async {
            loop {
                let log = self.store.load(id).await.unwrap();
                if done(&log) {
                    return log;
                }
                // Whatever comes, or is lost because too much came: the log tells.
                let _ = live.recv().await;
            }
        })
        .await
        .expect("the log gets there in time")
    }

    /// Waits until nothing is in memory.
    pub(crate) async fn until_idle(&self) {
        let idle = async {
            while self.driver.in_memory() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, idle).await.expect("everything leaves memory");
    }

    /// Waits for the question of a step.
    pub(crate) async fn question(&self, id: &str, path: &str) -> CallId {
        let asked = |log: &[Record]| {
            let is_asked =
                |record: &&Record| matches!(&record.event, Event::StepStarted { path: at, .. } if **at == *path);
            log.iter().find(is_asked).map(|record| CallId(record.seq))
        };
        let log = self.log_until(id, |log| asked(log).is_some()).await;
        asked(&log).unwrap()
    }
}

pub(crate) fn start(workflow: &Arc<WorkflowVersion>, input: Value, wait: Option<Duration>) -> StartExecution {
    StartExecution {
        workflow: workflow.clone(),
        input: input.into(),
        limits: Limits::default(),
        trigger: json!({ "type": "manual" }).into(),
        companions: Companions::default(),
        wait,
    }
}

pub(crate) fn answer(option: &str) -> Answer {
    Answer {
        approval_id: None,
        option_id: Some(option.to_owned()),
        comment: None,
        data: None,
        decided_by: Principal::admin(),
        invited: false,
        request_digest: None,
        companions: Vec::new(),
    }
}
