//! Runs executions: the loop between the engine, the store and the runtime.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;
use weir_engine::{
    compile::{ArgumentProblem, Catalog, Found},
    event::{Decision, Record},
    execution::Status,
    graph::Target,
    id::CallId,
    json::Json,
    limits::Limits,
};

use crate::{
    runtime::Runtime,
    store::{StepOutput, Store, StoreError, StoredExecution},
};

#[derive(Debug, Clone, Default)]
pub struct DriverConfig;
#[derive(Debug, Default)]
pub struct Compiled;
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Store(#[from] StoreError),
}
#[derive(Debug, Clone)]
pub struct StartExecution {
    pub workflow: Arc<Compiled>,
    pub input: Json,
    pub limits: Limits,
    pub trigger: Json,
    pub wait: Option<Duration>,
}
#[derive(Debug, Clone)]
pub struct Finished {
    pub execution: StoredExecution,
    pub step_outputs: Vec<StepOutput>,
}
#[derive(Debug, Clone)]
pub struct StartAnswer {
    pub execution_id: Arc<str>,
    pub finished: Option<Box<Finished>>,
}
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not start the execution: {0} executions run already, try again later")]
    Overloaded(usize),
    #[error("could not start the execution: the host is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    #[error("could not find execution {0:?}")]
    NotFound(String),
    #[error("the execution has ended already: it is {}", .0.as_str())]
    Ended(Status),
    #[error("could not reach the execution: the host is stopping")]
    Stopping,
    #[error("could not load execution {execution_id}: {reason}")]
    Load { execution_id: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}
#[derive(Debug, Clone)]
pub struct Answer {
    pub approval_id: Option<CallId>,
    pub option_id: Option<String>,
    pub comment: Option<String>,
    pub data: Option<Json>,
    pub decided_by: String,
}
#[derive(Debug, Clone)]
pub struct Answered {
    pub approval_id: Option<CallId>,
    pub decision: Decision,
}
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error(transparent)]
    Signal(#[from] SignalError),
    #[error("the execution asks nothing at the moment")]
    NothingAsked,
    #[error("question {0} is not open: it was answered, lapsed, or never asked")]
    NotOpen(CallId),
    #[error("{} questions are open: name one by approval_id", .0.len())]
    Several(Vec<(CallId, String)>),
    #[error("the answer does not fit the question")]
    Unfit(Vec<crate::schema::SchemaProblem>),
}
pub struct HostCatalog;
impl Catalog for HostCatalog {
    fn find(&self, _name: &str, _agent: bool) -> Found {
        unimplemented!()
    }
    fn check_arguments(&self, _target: &Target, _arguments: &serde_json::Value) -> Vec<ArgumentProblem> {
        unimplemented!()
    }
}
#[derive(Debug, Default, Clone, Copy)]
pub struct Recovered {
    pub running: usize,
    pub waiting: usize,
}
#[derive(Debug, Clone)]
pub struct Driver;
impl Driver {
    pub fn new(_store: Store, _runtime: Arc<Runtime>, _config: DriverConfig) -> Self {
        Self
    }
    pub async fn start(&self, _r: StartExecution) -> Result<StartAnswer, StartError> {
        unimplemented!()
    }
    pub async fn cancel(&self, _id: &str, _by: &str, _reason: Option<String>) -> Result<(), SignalError> {
        unimplemented!()
    }
    pub async fn decide(&self, _id: &str, _a: Answer) -> Result<Answered, DecideError> {
        unimplemented!()
    }
    pub fn subscribe(&self, _id: &str) -> broadcast::Receiver<Arc<Vec<Record>>> {
        unimplemented!()
    }
    pub async fn recover(&self) -> Result<Recovered, StoreError> {
        unimplemented!()
    }
    pub async fn stop(&self) {}
    pub async fn compiled(&self, _workflow_id: &str, _version: u32) -> Result<Arc<Compiled>, CompileError> {
        unimplemented!()
    }
    pub async fn catalog(&self) -> Result<Arc<HostCatalog>, StoreError> {
        unimplemented!()
    }
    pub fn plugins_changed(&self) {}
}
