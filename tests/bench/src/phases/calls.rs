//! One call of a plugin in a fresh instance: through the host's own runtime, and with nothing around it.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use weir_engine::json::Json;
use weir_host::runtime::{CallHost, PluginCall, Powerless, Runtime, RuntimeConfig};

use super::Bench;
use crate::{
    limits::wasm,
    numbers::{median, us},
    workload,
};

impl Bench {
    /// Measures calls.
    pub(crate) async fn measure_calls(&mut self) -> Result<()> {
        let input = workload::message();
        let host = self.host_call(&input).await?;
        let bare = wasm::bare_call(&self.component, &input, self.sizes.calls).await?;
        self.report.add_beside("plugin_call_us", us(host), "µs", us(bare.call));
        self.report.add("bare_call_us", us(bare.call), "µs");
        self.report.add("bare_instantiate_us", us(bare.instantiate), "µs");
        self.report.add("bare_run_us", us(bare.run), "µs");
        self.report.add("bare_drop_us", us(bare.drop), "µs");
        Ok(())
    }

    /// The median of a call by the host's runtime.
    async fn host_call(&self, input: &str) -> Result<Duration> {
        let folder = self.folder()?;
        let (components, cache) = (folder.path().join("components"), folder.path().join("cache"));
        fs::create_dir_all(&components).context("making a directory for components")?;
        let mut config = RuntimeConfig::new(components.clone(), cache).context("setting the runtime up")?;
        config.compiler = fs::canonicalize(&self.server).context("finding the server's program")?;
        let runtime = Runtime::new(config).context("starting the runtime")?;
        let bytes = fs::read(&self.component).with_context(|| format!("reading {}", self.component.display()))?;
        let digest = runtime.validate_and_compile(bytes.clone().into()).await.context("compiling the plugin")?.digest;
        fs::write(components.join(format!("{digest}.wasm")), bytes).context("keeping the plugin")?;
        repeat(&runtime, &digest, Json::parse(input).context("reading the input")?, self.sizes.calls).await
    }
}

async fn repeat(runtime: &Runtime, digest: &str, input: Json, count: usize) -> Result<Duration> {
    let host: Arc<dyn CallHost> = Arc::new(Powerless);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        let call = call(digest, input.clone());
        let outcome = runtime.call(call, Arc::clone(&host)).await;
        times.push(start.elapsed());
        match outcome.result {
            Ok(output) if output == input => {}
            Ok(output) => bail!("the plugin answered {}", output.text()),
            Err(failure) => bail!("the call failed: {}", failure.message),
        }
    }
    Ok(median(&mut times))
}

fn call(digest: &str, input: Json) -> PluginCall {
    PluginCall {
        digest: digest.to_owned(),
        name: "echo".to_owned(),
        agent: false,
        depth: 0,
        config: Json::from_value(serde_json::json!({})),
        input,
        idempotency_key: "0199b0f0-0000-7000-8000-000000000000/2".to_owned(),
        attempt: 0,
        execution_id: "0199b0f0-0000-7000-8000-000000000000".into(),
        path: "first".into(),
        timeout: Duration::from_secs(30),
        fuel: None,
        memory_bytes: None,
    }
}
