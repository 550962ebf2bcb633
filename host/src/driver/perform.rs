//! One command to one effect: what a plugin call is made of, and what the host does for it while it runs.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use weir_engine::{
    execution::{Execution, PluginCall as Asked},
    failure::{Failure, FailureCode},
    graph::Target,
    id::{CallId, EffectId, Timestamp},
    json::Json,
    limits::Amounts,
};

use super::{Inner, flight::Landed, masked, task::News, timers::until};
use crate::{
    runtime::{CallHost, CallOutcome, Effect, PluginCall, Powerless, ToolAnswer, ToolCall},
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
        timeout,
        fuel: at_most(asked.target.wants.fuel, asked.fuel),
        memory_bytes: at_most(asked.target.wants.memory_bytes, asked.memory_bytes),
    };
    let host: Arc<dyn CallHost> = if asked.target.agent {
        let deadline = store::now().plus_ms(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        Arc::new(AgentHost::new(inner.clone(), started.targets.clone(), &asked, call.clone(), news, deadline))
    } else {
        Arc::new(Powerless)
    };
    let (inner, call_id, attempt) = (inner.clone(), asked.call, asked.attempt);
    Box::pin(async move {
        let outcome = inner.runtime.call(call, host).await;
        let CallOutcome { result, report } = masked::outcome(outcome, &inner.config.masker);
        Landed { call: call_id, attempt, result, report }
    })
}

/// What a plugin wants, at most what the guardrails allow; what neither names is the runtime's default.
fn at_most(wanted: Option<u64>, allowed: Option<u64>) -> Option<u64> {
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
    let own = named.map_or(config.call_timeout, Duration::from_millis).min(config.call_timeout_max);
    asked.deadline.map_or(own, |deadline| own.min(until(deadline, store::now())))
}

/// What an agent gets: the tools it asked for and those that its step lists, each call counted before it begins.
struct AgentHost {
    inner: Arc<Inner>,
    tools: Arc<Vec<(String, Arc<Target>)>>,
    template: PluginCall,
    /// What the guardrails around the step allow one call.
    fuel: Option<u64>,
    memory_bytes: Option<u64>,
    call: CallId,
    calls_made: std::sync::atomic::AtomicU32,
    news: mpsc::Sender<News>,
    deadline: Timestamp,
}

impl AgentHost {
    fn new(
        inner: Arc<Inner>,
        targets: Arc<std::collections::BTreeMap<String, Arc<Target>>>,
        asked: &Asked,
        template: PluginCall,
        news: mpsc::Sender<News>,
        deadline: Timestamp,
    ) -> Self {
        let own = asked.target.tools.iter().map(|(name, target)| (name.clone(), Arc::new(target.clone())));
        let listed = asked.config.get("tools").and_then(Value::as_array).into_iter().flatten();
        let listed =
            listed.filter_map(Value::as_str).filter_map(|name| Some((name.to_owned(), targets.get(name)?.clone())));
        let tools = Arc::new(own.chain(listed.filter(|(_, target)| !target.agent)).collect());
        let calls_made = std::sync::atomic::AtomicU32::new(0);
        let (fuel, memory_bytes) = (asked.fuel, asked.memory_bytes);
        Self { inner, tools, template, fuel, memory_bytes, call: asked.call, calls_made, news, deadline }
    }

    /// A tool by the name that the agent uses: as it was asked for, or without the plugin's name where that is clear.
    fn find(&self, name: &str) -> Option<Arc<Target>> {
        let exact = self.tools.iter().find(|(known, _)| known == name);
        let mut bare = self.tools.iter().filter(|(_, target)| target.name == name);
        let found = exact.or_else(|| bare.next().filter(|_| bare.next().is_none()))?;
        Some(found.1.clone())
    }
}

impl AgentHost {
    /// The answer of one tool, counted before it begins.
    fn call_tool(&self, asked: ToolCall) -> BoxFuture<'static, Result<Json, Failure>> {
        let Some(target) = self.find(&asked.tool) else {
            return Box::pin(async move { Err(denied(&asked.tool)) });
        };
        let n = self.calls_made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let wants = &target.wants;
        let call = PluginCall {
            digest: target.digest.clone(),
            name: target.name.clone(),
            agent: false,
            config: Json::from_value(json!({})),
            input: asked.input,
            idempotency_key: format!("{}/{n}", self.template.idempotency_key),
            timeout: wants
                .timeout_ms
                .map_or(self.inner.config.call_timeout, Duration::from_millis)
                .min(until(self.deadline, store::now())),
            fuel: at_most(wants.fuel, self.fuel),
            memory_bytes: at_most(wants.memory_bytes, self.memory_bytes),
            ..self.template.clone()
        };
        let (inner, news, of) = (self.inner.clone(), self.news.clone(), self.call);
        Box::pin(async move {
            admit(&news, of, n).await?;
            inner.runtime.call(call, Arc::new(Powerless)).await.result
        })
    }
}

impl CallHost for AgentHost {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        let calls = match effect {
            Effect::Tools(calls) => calls,
            effect @ (Effect::Model(_) | Effect::Http(_) | Effect::Kv(_)) => return Powerless.effect(effect),
        };
        let answers: Vec<_> = calls.into_iter().map(|call| self.call_tool(call)).collect();
        Box::pin(async move {
            let answers = join_all(answers).await.into_iter().map(ToolAnswer::from);
            Ok(ToolAnswer::document(&answers.collect::<Vec<_>>()))
        })
    }

    fn tools(&self) -> Json {
        let tools = self.tools.iter().map(|(name, target)| {
            let about = self.inner.workflows.about(target);
            let mut tool = json!({ "name": name });
            for member in ["title", "description", "input_schema", "output_schema"] {
                tool[member] = about.get(member).cloned().unwrap_or(Value::Null);
            }
            tool
        });
        Json::from_value(tools.collect())
    }
}

/// Asks the execution for room for one tool call. Where there is none, the answer never comes: the agent's call is
/// given up with it.
async fn admit(news: &mpsc::Sender<News>, call: CallId, n: u32) -> Result<(), Failure> {
    let (reply, admitted) = oneshot::channel();
    let asked =
        news.send(News::Reserve { call, effect: EffectId::CALL.child(n), amounts: Amounts::TOOL_CALL, reply }).await;
    if asked.is_ok() && admitted.await.is_ok() {
        return Ok(());
    }
    Err(Failure::new(FailureCode::GuardrailExceeded, "the execution has no room for another tool call"))
}

fn denied(tool: &str) -> Failure {
    let message = format!("tool {tool:?} is not among those that this agent may call; list it in agent_config.tools");
    Failure::new(FailureCode::Denied, message)
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
