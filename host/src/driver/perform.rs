//! One command to one effect: what a plugin call is made of, and what the host does for it while it runs.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use weir_engine::{
    execution::{Execution, PluginCall as Asked},
    json::Json,
};

use super::{
    Inner,
    effects::{EffectHost, Running, Shared},
    flight::Landed,
    masked,
    task::News,
    timers::until,
};
use crate::{
    runtime::{CallOutcome, PluginCall},
    store,
};

/// The future of a call; nothing happens until it is polled.
pub(super) fn call(
    inner: &Arc<Inner>,
    execution: &Execution,
    asked: Asked,
    news: mpsc::Sender<News>,
) -> std::pin::Pin<Box<dyn Future<Output = Landed> + Send>> {
    let started = execution.started();
    let key = format!("{}/{}", started.execution_id, asked.call);
    let timeout = timeout(inner, &asked);
    let call = PluginCall {
        digest: asked.target.digest.clone(),
        name: asked.target.name.clone(),
        agent: asked.target.agent,
        config: Json::from_value(asked.config.clone()),
        input: asked.input.clone(),
        idempotency_key: key,
        attempt: asked.attempt,
        execution_id: started.execution_id.clone(),
        path: asked.path.clone(),
        depth: 0,
        timeout,
        fuel: at_most(asked.target.wants.fuel, asked.fuel),
        memory_bytes: at_most(asked.target.wants.memory_bytes, asked.memory_bytes),
    };
    let shared = Arc::new(Shared {
        inner: inner.clone(),
        execution_id: started.execution_id.clone(),
        workflow_id: started.workflow_id.clone(),
        targets: started.targets.clone(),
        call: asked.call,
        generation: asked.generation,
        resumes: asked.resumes,
        news,
        deadline: store::now().plus_ms(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        fuel: asked.fuel,
        memory_bytes: asked.memory_bytes,
        trace: inner.config.spans.of(started),
    });
    let running = Arc::new(Running::new(shared, asked.target.clone(), call.clone(), &asked.tools));
    let (inner, call_id, attempt) = (inner.clone(), asked.call, asked.attempt);
    Box::pin(async move {
        // After a restart nobody may have looked at the plugins yet, and an agent is told about its tools.
        if call.agent
            && let Err(error) = inner.workflows.catalog(&inner.store).await
        {
            tracing::warn!(%error, "could not read what the tools of an agent are");
        }
        let outcome = inner.runtime.call(call, Arc::new(EffectHost(running.clone()))).await;
        let CallOutcome { result, report } = masked::outcome(outcome, &inner.config.masker);
        Landed { call: call_id, attempt, result: running.fatal().map_or(result, Err), report }
    })
}

/// What a plugin wants, at most what the guardrails allow; what neither names is the runtime's default.
pub(super) fn at_most(wanted: Option<u64>, allowed: Option<u64>) -> Option<u64> {
    match (wanted, allowed) {
        (Some(wanted), Some(allowed)) => Some(wanted.min(allowed)),
        (wanted, allowed) => wanted.or(allowed),
    }
}

/// The wall time of a call: the step's own limit, what the plugin wants, or the host's default; never past a deadline
/// around it.
fn timeout(inner: &Inner, asked: &Asked) -> Duration {
    let config = &inner.config;
    let named = asked.timeout_ms.or(asked.target.wants.timeout_ms);
    let usual = if asked.target.agent { config.agent_timeout } else { config.call_timeout };
    let own = named.map_or(usual, Duration::from_millis).min(config.call_timeout_max);
    asked.deadline.map_or(own, |deadline| own.min(until(deadline, store::now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_gets_what_it_wants_within_what_is_allowed() {
        assert_eq!(at_most(Some(5), Some(3)), Some(3));
        assert_eq!(at_most(Some(2), Some(3)), Some(2));
        assert_eq!(at_most(None, Some(3)), Some(3));
        assert_eq!(at_most(Some(5), None), Some(5));
        assert_eq!(at_most(None, None), None);
    }
}
