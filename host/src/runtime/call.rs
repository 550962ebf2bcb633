//! One call: a slot, a fresh store, an instance, the answer. The store is thrown away whatever happened, and the
//! future may be dropped at any point.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use wasmtime::{Store, UpdateDeadline};
use weir_engine::{
    event::Report,
    failure::{Failure, FailureCode},
};

use super::{
    CallHost, CallOutcome, DEPTHS, PluginCall, Runtime,
    bindings::{exports::weir::plugin::plugin, weir::plugin::types},
    catalog::{LoadError, Ready, is_digest},
    imports::{CallContext, CallState, log::locked},
    limits::{FUEL_DEFAULT, FUEL_MAX, HOSTCALL_BYTES_MAX, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, OWN_HANDLES_MAX},
    outcome::{DeadlinePassed, Phase, accepted, failure, timed_out, with_limit},
};

impl Runtime {
    /// Calls a tool or an agent. Every way to fail is a [`FailureCode`] of its own; the future may be dropped at any
    /// point, and the instance goes with it.
    pub async fn call(&self, call: PluginCall, host: Arc<dyn CallHost>) -> CallOutcome {
        let running = self.metrics.call_begins(if call.agent { "agent" } else { "tool" });
        let outcome = self.answer(call, host).await;
        running.ended(outcome.result.as_ref().err().map(|failure| failure.code.as_str()));
        outcome
    }

    async fn answer(&self, call: PluginCall, host: Arc<dyn CallHost>) -> CallOutcome {
        let ready = match self.ready(&call.digest).await {
            Ok(ready) => ready,
            Err(failure) => return CallOutcome { result: Err(failure), report: Report::default() },
        };
        let slots = if call.agent { &self.agents[call.depth.min(DEPTHS - 1)] } else { &self.tools };
        let Ok(_slot) = slots.acquire().await else {
            let failure = Failure::new(FailureCode::Interrupted, "the host is stopping");
            return CallOutcome { result: Err(failure), report: Report::default() };
        };
        let fuel = call.fuel.unwrap_or(FUEL_DEFAULT).min(FUEL_MAX);
        let mut store = match store(&self.catalog.engine, context(&call, host), fuel) {
            Ok(store) => store,
            Err(error) => {
                let result = Err(failure(&error, Phase::Instantiating, None));
                return CallOutcome { result, report: Report::default() };
            }
        };
        let ended = timeout(call.timeout, run(&mut store, &ready, &call)).await;
        let result = match ended {
            Ok(Ok(answer)) => accepted(answer),
            Ok(Err((phase, error))) => Err(failure(&error, phase, last_words(&store))),
            Err(_) => Err(timed_out()),
        };
        let result = result.map_err(|failure| with_limit(failure, fuel, call.timeout));
        CallOutcome { result, report: report(&store, fuel) }
    }

    async fn ready(&self, digest: &str) -> Result<Arc<Ready>, Failure> {
        if !is_digest(digest) {
            return Err(Failure::new(FailureCode::PluginNotFound, "no plugin is stored under that digest"));
        }
        self.catalog.get(digest).await.map_err(|error| not_ready(digest, &error))
    }
}

fn not_ready(digest: &str, error: &LoadError) -> Failure {
    match error {
        LoadError::Missing(_) => Failure::new(FailureCode::PluginNotFound, error.to_string()),
        LoadError::Stopping => Failure::new(FailureCode::Interrupted, error.to_string()),
        LoadError::Changed(_) | LoadError::Compile(_) | LoadError::Link(_) | LoadError::Unloadable => {
            tracing::error!(plugin.digest = digest, error = ?error, "could not load a plugin");
            Failure::new(FailureCode::Internal, "could not load the plugin: the host's log tells more")
        }
    }
}

fn context(call: &PluginCall, host: Arc<dyn CallHost>) -> CallContext<'_> {
    let memory_bytes = call.memory_bytes.unwrap_or(MEMORY_BYTES_DEFAULT);
    CallContext {
        idempotency_key: &call.idempotency_key,
        execution_id: Arc::clone(&call.execution_id),
        path: Arc::clone(&call.path),
        memory_bytes_max: memory_bytes.min(MEMORY_BYTES_MAX as u64),
        due: due(call.timeout),
        agent: call.agent,
        host: Some(host),
    }
}

/// The end of a call that begins now. A time-out beyond all reckoning is none that anyone waits for.
fn due(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(365 * 86_400))
}

/// A store with every limit set.
pub(super) fn store(
    engine: &wasmtime::Engine,
    context: CallContext<'_>,
    fuel: u64,
) -> wasmtime::Result<Store<CallState>> {
    let mut store = Store::new(engine, CallState::new(context));
    store.limiter(|state| &mut state.limiter);
    store.set_fuel(fuel)?;
    store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
    store.set_max_component_handles(OWN_HANDLES_MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        context.data().check_host_calls()?;
        if Instant::now() >= context.data().due {
            return Err(DeadlinePassed.into());
        }
        Ok(UpdateDeadline::Yield(1))
    });
    Ok(store)
}

type Answer = Result<String, types::Failure>;

async fn run(
    store: &mut Store<CallState>,
    ready: &Ready,
    call: &PluginCall,
) -> Result<Answer, (Phase, wasmtime::Error)> {
    let instance =
        ready.instance.instantiate_async(&mut *store).await.map_err(|error| (Phase::Instantiating, error))?;
    let request = plugin::Call {
        name: &call.name,
        config: call.config.text(),
        input: call.input.text(),
        idempotency_key: &call.idempotency_key,
        attempt: call.attempt,
    };
    instance.weir_plugin_plugin().call_run(store, request).await.map_err(|error| (Phase::Running, error))
}

pub(super) fn last_words(store: &Store<CallState>) -> Option<String> {
    locked(&store.data().log).last_words()
}

fn report(store: &Store<CallState>, fuel: u64) -> Report {
    let left = store.get_fuel().unwrap_or(0);
    Report { fuel: Some(fuel.saturating_sub(left)), logs: locked(&store.data().log).finish(), ..Report::default() }
}
