//! What one call of the component costs when nothing stands around it: a fresh instance, the call, its end.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, HasSelf, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::numbers;

/// How many instances the pool holds; only one is alive at a time.
const POOL: u32 = 16;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "tool",
        imports: { default: async },
        exports: { default: async },
    });
}

use bindings::{ToolPre, exports::weir::plugin::plugin::Call, weir::plugin::context::Amounts};

struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl bindings::weir::plugin::types::Host for Guest {}

impl bindings::weir::plugin::log::Host for Guest {
    async fn write(&mut self, _: bindings::weir::plugin::log::Level, _: String) {}
}

impl bindings::weir::plugin::context::Host for Guest {
    async fn execution_id(&mut self) -> String {
        String::new()
    }
    async fn step_path(&mut self) -> String {
        String::new()
    }
    async fn remaining_ms(&mut self) -> u64 {
        1000
    }
    async fn budget(&mut self) -> Amounts {
        Amounts {
            requests: None,
            input_tokens: None,
            output_tokens: None,
            total_tokens: None,
            tool_calls: None,
            cost_microdollars: None,
        }
    }
}

/// Medians of one call and of its parts.
pub(crate) struct CallCost {
    /// The whole.
    pub(crate) call: Duration,
    /// Making a store and an instance.
    pub(crate) instantiate: Duration,
    /// The call itself, with JSON in and out.
    pub(crate) run: Duration,
    /// Giving the instance back.
    pub(crate) drop: Duration,
}

/// Calls the component `count` times, each time in a fresh instance.
pub(crate) async fn bare_call(component: &Path, input: &str, count: usize) -> Result<CallCost> {
    let engine = engine()?;
    let pre = prepare(&engine, component)?;
    let mut parts: [Vec<Duration>; 4] = Default::default();
    for _ in 0..count {
        let times = one_call(&engine, &pre, input).await?;
        for (all, one) in parts.iter_mut().zip(times) {
            all.push(one);
        }
    }
    let [call, instantiate, run, drop] = parts.each_mut().map(|part| numbers::median(part));
    Ok(CallCost { call, instantiate, run, drop })
}

fn engine() -> Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOL).total_core_instances(POOL * 8).total_memories(POOL).total_tables(POOL * 4);
    pool.total_stacks(POOL).max_unused_warm_slots(POOL);
    pool.linear_memory_keep_resident(1 << 20).table_keep_resident(64 << 10).async_stack_keep_resident(64 << 10);
    pool.pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config.epoch_interruption(true).consume_fuel(true).concurrency_support(false);
    Ok(Engine::new(&config)?)
}

fn prepare(engine: &Engine, component: &Path) -> Result<ToolPre<Guest>> {
    let bytes = std::fs::read(component).with_context(|| format!("reading {}", component.display()))?;
    let component = Component::new(engine, bytes)?;
    let mut linker: Linker<Guest> = Linker::new(engine);
    bindings::weir::plugin::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    bindings::weir::plugin::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    bindings::weir::plugin::context::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(ToolPre::new(linker.instantiate_pre(&component)?)?)
}

/// The times of the whole call, of instantiating, of running, and of dropping.
async fn one_call(engine: &Engine, pre: &ToolPre<Guest>, input: &str) -> Result<[Duration; 4]> {
    let start = Instant::now();
    let guest = Guest { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
    let mut store = Store::new(engine, guest);
    store.set_fuel(1_000_000_000)?;
    store.set_epoch_deadline(1_000_000);
    let tool = pre.instantiate_async(&mut store).await?;
    let instantiated = Instant::now();
    let call = Call {
        name: "echo".to_owned(),
        config: "{}".to_owned(),
        input: input.to_owned(),
        idempotency_key: "0199b0f0-0000-7000-8000-000000000000/2".to_owned(),
        attempt: 0,
    };
    let output = tool.weir_plugin_plugin().call_run(&mut store, &call).await?;
    let ran = Instant::now();
    drop(store);
    let dropped = Instant::now();
    ensure!(output.is_ok_and(|text| text == input), "the component does not answer its input");
    Ok([dropped - start, instantiated - start, ran - instantiated, dropped - ran])
}
