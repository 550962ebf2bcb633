//! The seam between the SDK and the host: the real imports in a component, the fake of [`testing`](crate::testing)
//! natively.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
pub(crate) use component::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::fake::{
    Chat, budget, call_tool, call_tools, execution_id, kv_compare_and_set, kv_delete, kv_get, kv_keys, kv_set,
    list_tools, log, remaining_ms, send_http, step_path,
};
