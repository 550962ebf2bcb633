//! The one WebAssembly engine: what a plugin may be compiled from, and the pool that its instances live in.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    thread,
    time::Duration,
};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails, WasmFeatures,
};

use super::limits::{CORE_INSTANCES_MAX, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};

/// How often running plugins are asked whether they may go on.
const TICK: Duration = Duration::from_millis(10);
/// Stack of a plugin's own frames.
const STACK_BYTES: usize = 512 << 10;
/// What a slot of the pool keeps of an instance's memory, to reset it rather than to map it anew.
const MEMORY_KEPT_BYTES: usize = 1 << 20;
const TABLE_KEPT_BYTES: usize = 64 << 10;
const STACK_KEPT_BYTES: usize = 64 << 10;

/// The engine that plugins run in: a pool of `slots` instances.
///
/// # Errors
/// When the address space for the pool cannot be reserved.
pub(super) fn pooled(slots: u32) -> wasmtime::Result<Engine> {
    let mut config = settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    let engine = Engine::new(&config)?;
    start_ticking(&engine)?;
    Ok(engine)
}

/// The engine of the compiling child: the same code for the same plugin, and no pool to reserve.
///
/// # Errors
/// When the settings do not suit this machine.
pub(super) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&settings())
}

/// Names the settings that compiled code depends on.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn settings() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_features(refused_features(), false);
    config
}

/// What no tool chain that we support needs, and what would make two runs differ.
fn refused_features() -> WasmFeatures {
    WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC
        | WasmFeatures::MEMORY64
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_GC
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_VALUES
        | WasmFeatures::CM_NESTED_NAMES
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_MAX))
        .total_memories(slots.saturating_mul(MEMORIES_MAX))
        .total_tables(slots.saturating_mul(TABLES_MAX))
        .total_stacks(slots)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES_MAX)
        .max_memory_size(MEMORY_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .async_stack_keep_resident(STACK_KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// One thread an engine; it ends with the engine.
fn start_ticking(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("epoch".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    })?;
    Ok(())
}
