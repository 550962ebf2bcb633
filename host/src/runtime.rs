//! Runs plugins.
use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use weir_engine::{event::Report, failure::Failure, json::Json};

#[derive(Debug)]
pub struct RuntimeConfig;
impl RuntimeConfig {
    pub fn new(_components_dir: PathBuf, _cache_dir: PathBuf) -> io::Result<Self> {
        Ok(Self)
    }
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct RuntimeError;
#[derive(Debug)]
pub struct Runtime;
#[derive(Debug)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
}
#[derive(Debug)]
pub struct Inspected {
    pub digest: String,
    pub descriptor: Descriptor,
    pub descriptor_json: Json,
    pub imports: Vec<String>,
    pub size: u64,
}
#[derive(Debug, thiserror::Error)]
#[error("upload")]
pub struct UploadError {
    pub problems: Vec<String>,
}
impl UploadError {
    pub fn code(&self) -> &'static str {
        "x"
    }
    pub fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
}
pub trait CallHost: Send + Sync {
    fn call_tool(&self, tool: String, input: Json) -> BoxFuture<'static, Result<Json, Failure>>;
    fn tools(&self) -> Json;
}
#[derive(Debug, Clone)]
pub struct PluginCall {
    pub digest: String,
    pub name: String,
    pub agent: bool,
    pub config: Json,
    pub input: Json,
    pub idempotency_key: String,
    pub attempt: u32,
    pub execution_id: Arc<str>,
    pub path: Arc<str>,
    pub timeout: Duration,
    pub fuel: Option<u64>,
    pub memory_bytes: Option<u64>,
}
#[derive(Debug)]
pub struct CallOutcome {
    pub result: Result<Json, Failure>,
    pub report: Report,
}
impl Runtime {
    pub fn new(_config: RuntimeConfig) -> Result<Self, RuntimeError> {
        Ok(Self)
    }
    pub async fn validate_and_compile(&self, _b: Bytes) -> Result<Inspected, UploadError> {
        unimplemented!()
    }
    pub async fn call(&self, _c: PluginCall, _h: Arc<dyn CallHost>) -> CallOutcome {
        unimplemented!()
    }
}
