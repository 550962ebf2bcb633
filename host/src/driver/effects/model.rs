//! Requests to models.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{
    failure::{Failure, FailureCode},
    id::EffectId,
    json::Json,
    limits::Amounts,
};

use super::{Done, Entry, Running, Wanted};
use crate::{
    driver::{
        lock,
        task::{Admission, Ask},
    },
    models::{ChatRequest, ModelAnswer, ModelError, Prepared, ToolSpec},
    runtime::ChatTurn,
    store::EffectKind,
};

impl Running {
    /// One request to a model: counted in full before it is sent, settled with what the provider counted.
    pub(super) async fn ask_model(&self, id: EffectId, turn: ChatTurn) -> Result<Json, Failure> {
        let answer = self.asked_model(id, turn).await?;
        *lock(&self.wanted) = wanted(&answer);
        Ok(answer)
    }

    async fn asked_model(&self, id: EffectId, turn: ChatTurn) -> Result<Json, Failure> {
        let alias = ChatRequest::alias_of(&turn.options).to_owned();
        let nudge = lock(&self.loops).take_nudge();
        let entry = Entry::new(id, EffectKind::Model, &alias, &shown(&turn, nudge.as_deref()));
        if let Some(known) = self.known(&entry).await? {
            return known;
        }
        let specs = if turn.options.value().get("tools").is_some() { self.tool_specs().await } else { Vec::new() };
        let prepared = match self.prepared(&alias, turn, nudge, &specs) {
            Ok(prepared) => Arc::new(prepared),
            Err(failure) => return self.refused(&entry, failure).await,
        };
        let ask = Ask::Model { effect: entry.id.clone(), prepared: prepared.clone() };
        let admission = match self.begin(ask, &[&entry], true).await {
            Ok(admission) => admission,
            Err(failure) => return self.refused(&entry, failure).await,
        };
        let done = self.send(&entry, &prepared, admission).await;
        self.end(&entry, done, true).await
    }

    fn prepared(
        &self,
        alias: &str,
        turn: ChatTurn,
        nudge: Option<String>,
        specs: &[ToolSpec],
    ) -> Result<Prepared, Failure> {
        let denied = |message: String| Failure::new(FailureCode::Denied, message);
        if !self.target.agent {
            return Err(denied(format!("could not ask the model {alias:?}: only agents talk to models")));
        }
        if !self.granted().model(alias) {
            let plugin = &self.target.plugin;
            return Err(denied(format!(
                "could not ask the model {alias:?}: plugin {plugin} was not granted it; an administrator can, with \
                 `weir plugin grant {plugin} --model {alias}`"
            )));
        }
        let mut messages = turn.messages;
        messages.extend(nudge.map(|nudge| Json::from_value(json!({ "role": "user", "content": nudge }))));
        let request = ChatRequest::read(&turn.options, &messages, specs)
            .map_err(|problem| Failure::new(problem.code(), problem.to_string()))?;
        self.shared.inner.config.reach.models.prepare(request).map_err(|error| error.failure())
    }

    /// The tools of this call, as models are told of them.
    async fn tool_specs(&self) -> Vec<ToolSpec> {
        let listed = self.tools_listed().await;
        let text = |tool: &Value, name: &str| tool.get(name).and_then(Value::as_str).map(str::to_owned);
        let specs = listed.value().as_array().into_iter().flatten().filter_map(|tool| {
            Some(ToolSpec {
                name: text(tool, "name")?,
                description: text(tool, "description"),
                input_schema: Json::from_value(tool.get("input_schema").cloned().unwrap_or(Value::Bool(true))),
            })
        });
        specs.collect()
    }

    async fn send(&self, entry: &Entry, prepared: &Prepared, admission: Admission) -> Done {
        let Admission { max_tokens, reserved } = admission;
        let inner = &self.shared.inner;
        let mut stream = inner.config.masker.stream();
        let mut told = |piece: &str| {
            let text = stream.push(piece);
            if !text.is_empty() {
                inner.live.say(&self.shared.execution_id, self.shared.call, &entry.id, text);
            }
        };
        let sent = inner.config.reach.models.send(prepared, max_tokens, &mut told).await;
        let rest = stream.finish();
        if !rest.is_empty() {
            inner.live.say(&self.shared.execution_id, self.shared.call, &entry.id, rest);
        }
        match sent {
            Ok(answer) => answered(prepared, &answer, &reserved),
            Err(error) => failed(prepared, &error, &reserved),
        }
    }
}

/// What is asked, as the journal has it: the options, and the messages that are new since the request before.
fn shown(turn: &ChatTurn, nudge: Option<&str>) -> Value {
    let new = turn.messages.get(turn.sent_before..).unwrap_or_default();
    let mut shown = json!({ "options": turn.options, "messages": new, "messages_before": turn.sent_before });
    if let Some(nudge) = nudge {
        shown["nudge"] = nudge.into();
    }
    shown
}

/// The tools that an answer asks for.
fn wanted(answer: &Json) -> Vec<Wanted> {
    let calls = answer.value().get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let wanted = calls.filter_map(|call| {
        let text = |name: &str| call.get(name)?.as_str().map(str::to_owned);
        let input = Json::from_value(call.get("input").cloned().unwrap_or(Value::Null));
        Some(Wanted { id: text("id")?, tool: text("tool")?, input })
    });
    wanted.collect()
}

fn answered(prepared: &Prepared, answer: &ModelAnswer, reserved: &Amounts) -> Done {
    let used = prepared.settle(answer.usage.as_ref(), reserved);
    let cost = prepared.price.as_ref().map(|_| used.cost_microusd);
    let shortened = (reserved.output_tokens < prepared.max_tokens).then_some(reserved.output_tokens);
    let usage = answer.usage.clone().unwrap_or_default();
    let mut shown = json!({
        "text": answer.text,
        "tool_calls": answer.tool_calls,
        "stop": answer.stop,
        "usage": {
            "input_tokens": used.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "output_tokens": used.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "cost_microdollars": cost,
        },
    });
    if let Some(max_tokens) = shortened {
        shown["max_tokens"] = max_tokens.into();
    }
    if let Some(usage) = shown["usage"].as_object_mut() {
        usage.retain(|_, value| !value.is_null());
    }
    let mut details = about(prepared, &used);
    details["response_model"] = answer.response_model.clone().into();
    details["counted"] = answer.usage.is_some().into();
    details["stop"] = json!(answer.stop);
    details["max_tokens"] = reserved.output_tokens.into();
    details["attempts"] = json!(answer.attempts);
    details["latency_ms"] = answer.latency_ms.into();
    let details = Some(Json::from_value(details));
    Done { result: Ok(Json::from_value(shown)), used, details, companions: Vec::new() }
}

/// A request that failed is counted in full where the provider may have worked for it.
fn failed(prepared: &Prepared, error: &ModelError, reserved: &Amounts) -> Done {
    let used = match (error.may_have_cost, error.attempts.is_empty()) {
        (true, _) => *reserved,
        (false, true) => Amounts::NONE,
        (false, false) => Amounts { requests: 1, ..Amounts::NONE },
    };
    let mut details = about(prepared, &used);
    details["attempts"] = json!(error.attempts);
    Done { result: Err(error.failure()), used, details: Some(Json::from_value(details)), companions: Vec::new() }
}

fn about(prepared: &Prepared, used: &Amounts) -> Value {
    json!({
        "provider": prepared.provider(),
        "model": prepared.model(),
        "requests": used.requests,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost_microusd": prepared.price.as_ref().map(|_| used.cost_microusd),
        "price": prepared.price,
    })
}
