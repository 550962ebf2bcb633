//! Tools, and other agents, that an agent calls.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use weir_engine::{
    failure::{Failure, FailureCode},
    id::EffectId,
    json::Json,
    limits::{Amounts, Limits},
};

use super::{Callable, Done, EffectHost, Entry, Running, Wanted, callables, leave::Leave};
use crate::{
    driver::{lock, perform::at_most, task::Ask, timers::until},
    runtime::{CallOutcome, DEPTHS, PluginCall, ToolAnswer, ToolCall},
    store::{self, EffectKind},
};

/// One of several calls on its way.
enum Call<'c> {
    /// It is known how it ended.
    Over(Result<Json, Failure>),
    /// It is to be made.
    ToMake { entry: Entry, callable: &'c Callable, input: Json },
}

impl Running {
    /// Calls tools beside each other: all of them are admitted, or none.
    pub(super) async fn call_tools(&self, ids: Vec<EffectId>, asked: Vec<ToolCall>) -> Result<Json, Failure> {
        let mut calls = Vec::with_capacity(asked.len());
        for (id, call) in ids.into_iter().zip(&asked) {
            calls.push(self.prepare(id, call).await?);
        }
        let made = self.make(&calls).await?;
        let results: Vec<Result<Json, Failure>> = calls
            .into_iter()
            .zip(made)
            .map(|(call, made)| match call {
                Call::Over(result) => result,
                Call::ToMake { .. } => made.unwrap_or_else(|| Err(lost())),
            })
            .collect();
        for (call, result) in asked.iter().zip(&results) {
            let noted = lock(&self.loops).note(&call.tool, &call.input, result);
            noted.map_err(|failure| self.doom(failure))?;
        }
        let answers: Vec<ToolAnswer> = results.into_iter().map(ToolAnswer::from).collect();
        Ok(ToolAnswer::document(&answers))
    }

    async fn prepare(&self, id: EffectId, call: &ToolCall) -> Result<Call<'_>, Failure> {
        let mut entry = Entry::new(id, EffectKind::Tool, &call.tool, call);
        entry.call_id = self.wanted(call);
        if let Some(known) = self.known(&entry).await? {
            return Ok(Call::Over(known));
        }
        let callable = match self.callable(&call.tool) {
            Ok(callable) => callable,
            Err(failure) => return Ok(Call::Over(self.refused(&entry, failure).await)),
        };
        Ok(Call::ToMake { entry, callable, input: call.input.clone() })
    }

    /// The name that the model gave to a call that it wanted: of two that are the same, the first is the first.
    fn wanted(&self, call: &ToolCall) -> Option<String> {
        let mut wanted = lock(&self.wanted);
        let same = |wanted: &Wanted| wanted.tool == call.tool && wanted.input.value() == call.input.value();
        let index = wanted.iter().position(same)?;
        Some(wanted.remove(index).id)
    }

    /// Makes those calls that are to be made; `None` for the others.
    async fn make(&self, calls: &[Call<'_>]) -> Result<Vec<Option<Result<Json, Failure>>>, Failure> {
        let to_make = calls.iter().filter_map(|call| match call {
            Call::Over(_) => None,
            Call::ToMake { entry, callable, input } => Some((entry, *callable, input)),
        });
        let to_make: Vec<(&Entry, &Callable, &Json)> = to_make.collect();
        if to_make.is_empty() {
            return Ok(calls.iter().map(|_| None).collect());
        }
        let questions: Vec<_> =
            to_make.iter().map(|(entry, callable, input)| (entry.id.clone(), *callable, (*input).clone())).collect();
        let leave = self.leave(&questions).await;
        let mut results = self.call_allowed(&to_make, leave).await?.into_iter();
        Ok(calls.iter().map(|call| if matches!(call, Call::ToMake { .. }) { results.next() } else { None }).collect())
    }

    async fn call_allowed(
        &self,
        calls: &[(&Entry, &Callable, &Json)],
        leave: Vec<Result<Leave, Failure>>,
    ) -> Result<Vec<Result<Json, Failure>>, Failure> {
        let allowed = calls.iter().zip(&leave).filter(|(_, leave)| leave.is_ok()).map(|((entry, ..), _)| *entry);
        let entries: Vec<&Entry> = allowed.collect();
        let waits = calls.iter().any(|(_, callable, _)| self.has_effects(callable));
        if !entries.is_empty() {
            let each = entries.iter().map(|entry| (entry.id.clone(), Amounts::TOOL_CALL)).collect();
            if let Err(refusal) = self.begin(Ask::Each(each), &entries, waits).await {
                return Ok(self.refuse_all(calls, &refusal).await);
            }
        }
        let running = calls.iter().zip(leave).map(|((entry, callable, _), leave)| async move {
            match leave {
                Ok(leave) => self.call_tool(entry, callable, leave).await,
                Err(failure) => self.refused(entry, failure).await,
            }
        });
        Ok(join_all(running).await)
    }

    async fn refuse_all(&self, calls: &[(&Entry, &Callable, &Json)], refusal: &Failure) -> Vec<Result<Json, Failure>> {
        let mut results = Vec::with_capacity(calls.len());
        for (entry, ..) in calls {
            results.push(self.refused(entry, refusal.clone()).await);
        }
        results
    }

    async fn call_tool(&self, entry: &Entry, callable: &Callable, leave: Leave) -> Result<Json, Failure> {
        let inner = self.shared.inner.clone();
        let spent = self.time_spent(entry, callable).await;
        let call = self.plugin_call(&entry.hash, callable, leave.input, spent);
        let running = Arc::new(self.child(entry.id.clone(), callable, call.clone()));
        let CallOutcome { result, report } = inner.runtime.call(call, Arc::new(EffectHost(running.clone()))).await;
        let result = running.fatal().map_or(result, Err).map_err(|failure| too_slow(callable, failure));
        let details = json!({
            "plugin": callable.target.plugin, "version": callable.target.version, "fuel": report.fuel,
            "logs": report.logs, "decided": leave.decided,
        });
        let details = Some(Json::from_value(without_nulls(details)));
        let done = Done { result, used: Amounts::TOOL_CALL, details, companions: Vec::new() };
        self.end(entry, done, self.has_effects(callable)).await
    }

    fn plugin_call(&self, hash: &str, callable: &Callable, input: Json, spent: Duration) -> PluginCall {
        let (target, shared) = (&callable.target, &self.shared);
        let config = &shared.inner.config;
        let usual = if target.agent { config.agent_timeout } else { config.call_timeout };
        let timeout = target.wants.timeout_ms.map_or(usual, Duration::from_millis);
        let limits = &callable.terms.limits;
        let left = limits.timeout_ms.map(|limit_ms| Duration::from_millis(limit_ms).saturating_sub(spent));
        let timeout = left.map_or(timeout, |left| timeout.min(left));
        let around = self.within.iter().map(|(_, limits)| limits).chain([limits]);
        let (fuel, memory_bytes) = around.fold((shared.fuel, shared.memory_bytes), |(fuel, memory_bytes), limits| {
            (at_most(limits.fuel, fuel), at_most(limits.memory_bytes, memory_bytes))
        });
        PluginCall {
            digest: target.digest.clone(),
            name: target.name.clone(),
            agent: target.agent,
            config: Json::from_value(json!({})),
            input,
            idempotency_key: self.idempotency_key(hash),
            timeout: timeout.min(until(shared.deadline, store::now())),
            fuel: at_most(target.wants.fuel, fuel),
            memory_bytes: at_most(target.wants.memory_bytes, memory_bytes),
            depth: self.at.depth() + 1,
            ..self.template.clone()
        }
    }

    /// How much of the time that an agent's own limit allows is over: it goes on while the host is down.
    async fn time_spent(&self, entry: &Entry, callable: &Callable) -> Duration {
        if !self.shared.resumes || callable.terms.limits.timeout_ms.is_none() {
            return Duration::ZERO;
        }
        let row = self.shared.inner.store.journal_row(&self.key(&entry.id)).await.ok().flatten();
        let micros = row.map_or(0, |row| store::now().0.saturating_sub(row.started_at.0));
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// The call that this one makes. An agent's own limits hold what it does.
    fn child(&self, id: EffectId, callable: &Callable, template: PluginCall) -> Self {
        let target = callable.target.clone();
        let tools = callables(&self.shared, &target, &[]);
        let mut within = self.within.clone();
        if callable.terms.limits != Limits::default() {
            within.push((id.clone(), callable.terms.limits.clone()));
        }
        Self::of(self.shared.clone(), id, target, template, tools, within)
    }

    /// Whether a call may do something outside: then its row must be on disk before it begins.
    fn has_effects(&self, callable: &Callable) -> bool {
        callable.target.agent || !self.shared.inner.store.grants().of(&callable.target.digest).is_nothing()
    }

    /// A tool by the name that the agent uses: as it was asked for, or without the plugin's name where that is clear.
    fn callable(&self, name: &str) -> Result<&Callable, Failure> {
        let denied = |message: String| Failure::new(FailureCode::Denied, message);
        if !self.target.agent {
            return Err(denied(format!("could not call {name:?}: only agents call tools")));
        }
        if self.at.depth() >= DEPTHS {
            return Err(denied(format!("could not call {name:?}: agents call each other at most {DEPTHS} deep")));
        }
        // What was granted may have been taken away since the call began.
        let granted = self.granted();
        let may = |callable: &&Callable| !callable.is_granted || granted.tool(&callable.name).is_some();
        let exact = self.tools.iter().filter(may).find(|callable| callable.name == name);
        let mut bare = self.tools.iter().filter(may).filter(|callable| callable.target.name == name);
        exact.or_else(|| bare.next().filter(|_| bare.next().is_none())).ok_or_else(|| {
            denied(format!(
                "tool {name:?} is not among those that this agent may call: an administrator grants what its plugin asks \
                 for, and agent_config.tools lists more"
            ))
        })
    }

    /// What the agent may call, as it sees it.
    pub(super) fn tools_shown(&self) -> Value {
        let tools = self.tools.iter().map(|callable| {
            let about = self.shared.inner.workflows.about(&callable.target);
            let mut tool = json!({ "name": callable.name });
            for member in ["title", "description", "input_schema", "output_schema"] {
                if let Some(known) = about.get(member).filter(|known| !known.is_null()) {
                    tool[member] = known.clone();
                }
            }
            tool
        });
        tools.collect()
    }

    pub(super) fn input_schema(&self, callable: &Callable) -> Value {
        self.shared.inner.workflows.about(&callable.target).get("input_schema").cloned().unwrap_or(Value::Null)
    }
}

/// Names the limit where an agent met its own.
fn too_slow(callable: &Callable, failure: Failure) -> Failure {
    let Some(limit_ms) = callable.terms.limits.timeout_ms.filter(|_| failure.code == FailureCode::Timeout) else {
        return failure;
    };
    let message = format!("{} took longer than its own timeout of {limit_ms} ms", callable.name);
    let seconds = Duration::from_millis(limit_ms).as_secs_f64();
    Failure::new(FailureCode::Timeout, message).with_details(json!({ "limit": "timeout_seconds", "value": seconds }))
}

fn lost() -> Failure {
    Failure::new(FailureCode::Internal, "the answer of a tool was lost")
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    }
    value
}
