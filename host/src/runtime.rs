//! Runs plugins.
use std::{sync::Arc, time::Duration};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use weir_engine::{event::Report, failure::Failure, json::Json};
#[derive(Debug)]
pub struct Runtime;
#[derive(Debug)]
pub struct Inspected { pub digest: String, pub name: String, pub version: String, pub descriptor_json: Json, pub imports: Vec<String>, pub size: u64 }
#[derive(Debug, thiserror::Error)]
#[error("upload")]
pub struct UploadError { pub problems: Vec<String> }
impl UploadError { pub fn code(&self) -> &'static str { "x" } }
pub trait CallHost: Send + Sync { fn call_tool(&self, tool: String, input: Json) -> BoxFuture<'static, Result<Json, Failure>>; fn tools(&self) -> Json; }
#[derive(Debug)]
pub struct PluginCall { pub digest: String, pub name: String, pub config: Json, pub input: Json, pub idempotency_key: String, pub attempt: u32, pub execution_id: Arc<str>, pub path: Arc<str>, pub timeout: Duration, pub fuel: Option<u64>, pub memory_bytes: Option<u64> }
#[derive(Debug)]
pub struct CallOutcome { pub result: Result<Json, Failure>, pub report: Report }
impl Runtime {
    pub async fn validate_and_compile(&self, _b: Bytes) -> Result<Inspected, UploadError> { unimplemented!() }
    pub async fn call(&self, _c: PluginCall, _h: Arc<dyn CallHost>) -> CallOutcome { unimplemented!() }
}
