//! Runs executions: the loop between the engine, the store and the runtime.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::broadcast;
use weir_engine::{event::{Decision, Record}, execution::Status, json::Json, limits::Limits};

use crate::store::{ExecutionRow, StepOutput, StoreError, StoredExecution, WorkflowVersion};

/// A diagnostic.
#[derive(Debug, Clone)]
pub struct Diagnostic { pub is_error: bool, pub field: String, pub message: String, pub step_id: Option<String>, pub code: String }
#[derive(Debug, Clone)]
pub struct Checked { pub name: String, pub description: Option<String>, pub active: bool, pub valid: bool, pub diagnostics: Vec<Diagnostic> }
#[derive(Debug, Clone)]
pub struct StartExecution { pub workflow: Arc<WorkflowVersion>, pub input: Json, pub limits: Limits, pub trigger: Json, pub wait: Option<Duration> }
#[derive(Debug, Clone)]
pub struct Finished { pub execution: StoredExecution, pub step_outputs: Vec<StepOutput> }
#[derive(Debug, Clone)]
pub struct StartAnswer { pub execution_id: Arc<str>, pub finished: Option<Finished> }
#[derive(Debug, thiserror::Error)]
pub enum StartError { #[error(transparent)] Store(#[from] StoreError), #[error("invalid")] Invalid(Vec<Diagnostic>), #[error("stopping")] Stopping }
#[derive(Debug, thiserror::Error)]
pub enum SignalError { #[error("not found")] NotFound, #[error("ended")] Ended(Status), #[error(transparent)] Store(#[from] StoreError) }
#[derive(Debug, Clone)]
pub struct Answer { pub approval_id: Option<u64>, pub option_id: Option<String>, pub comment: Option<String>, pub data: Option<Json>, pub decided_by: String }
#[derive(Debug, thiserror::Error)]
pub enum DecideError { #[error("not found")] NotFound, #[error("x")] NotAwaiting(Status), #[error("ambiguous")] Ambiguous(Vec<u64>), #[error("decided")] AlreadyDecided(Option<Decision>), #[error("opt")] UnknownOption(Vec<String>), #[error("data")] InvalidData(Vec<(String, String)>), #[error(transparent)] Store(#[from] StoreError) }
#[derive(Debug, Clone)]
pub struct Driver;
impl Driver {
    pub async fn start(&self, _r: StartExecution) -> Result<StartAnswer, StartError> { unimplemented!() }
    pub async fn cancel(&self, _id: &str, _by: String, _reason: Option<String>) -> Result<Status, SignalError> { unimplemented!() }
    pub async fn decide(&self, _id: &str, _a: Answer) -> Result<(u64, Decision), DecideError> { unimplemented!() }
    pub fn subscribe(&self, _id: &str) -> broadcast::Receiver<Arc<Vec<Record>>> { unimplemented!() }
    pub async fn check(&self, _d: &Value) -> Result<Checked, StoreError> { unimplemented!() }
}
const _: fn(ExecutionRow) = |_| ();
