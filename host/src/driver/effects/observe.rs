//! What is counted and told of effects that are over.

use std::time::Duration;

use serde_json::Value;
use weir_engine::{failure::Failure, id::EffectId, json::Json};

use super::{Entry, OK, Running};
use crate::{
    metrics::ModelRequest,
    spans::{At, ChatSpan, Took, ToolSpan},
    store::{self, EffectKind},
};

/// The outcome of what was answered from the journal.
const REPLAYED: &str = "replayed";

impl Running {
    /// An effect is answered from the journal: it was counted when it was done.
    pub(super) fn observe_replay(&self, entry: &Entry) {
        self.shared.inner.store.metrics().effect(entry.kind.as_str(), REPLAYED, Duration::ZERO);
    }

    /// An effect is over.
    pub(super) fn observe(&self, entry: &Entry, result: &Result<Json, Failure>, details: Option<&Json>) {
        let (to, failure) = (store::now(), result.as_ref().err().map(|failure| failure.code.as_str()));
        let took = Took { from: entry.at, to, failure };
        let latency = Duration::from_micros(u64::try_from(to.0.saturating_sub(entry.at.0)).unwrap_or(0));
        self.shared.inner.store.metrics().effect(entry.kind.as_str(), failure.unwrap_or(OK), latency);
        match entry.kind {
            EffectKind::Model => self.observe_model(entry, result, details, took, latency),
            EffectKind::Tool => {
                if let Some(trace) = &self.shared.trace {
                    trace.tool(&ToolSpan {
                        at: self.place(&entry.id),
                        tool: &entry.name,
                        call_id: entry.call_id.as_deref(),
                        took,
                    });
                }
            }
            EffectKind::Http | EffectKind::Kv | EffectKind::Stream | EffectKind::Budget | EffectKind::Tools => {}
        }
    }

    /// A request to a model; one that was refused before it was made has no details, and is none.
    fn observe_model(
        &self,
        entry: &Entry,
        result: &Result<Json, Failure>,
        details: Option<&Json>,
        took: Took<'_>,
        latency: Duration,
    ) {
        let Some(details) = details.map(Json::value) else { return };
        let usage = result.as_ref().map_or(&Value::Null, |answer| &answer.value()["usage"]);
        let (text, number) = (|name: &str| details[name].as_str(), |name: &str| details[name].as_u64());
        let part = |name: &str| usage[name].as_u64().unwrap_or_default();
        let provider = text("provider").unwrap_or_default();
        self.shared.inner.store.metrics().model_request(&ModelRequest {
            alias: &entry.name,
            provider,
            outcome: result.as_ref().err().map_or(OK, |failure| failure.code.as_str()),
            input_tokens: number("input_tokens").unwrap_or_default(),
            cached_tokens: part("cached_input_tokens"),
            output_tokens: number("output_tokens").unwrap_or_default(),
            reasoning_tokens: part("reasoning_tokens"),
            cost_microusd: number("cost_microusd"),
            latency,
        });
        let Some(trace) = &self.shared.trace else { return };
        trace.chat(&ChatSpan {
            at: self.place(&entry.id),
            alias: &entry.name,
            provider,
            model: text("model").filter(|model| !model.is_empty()).unwrap_or(&entry.name),
            max_tokens: number("max_tokens"),
            response_model: text("response_model"),
            finish_reasons: text("stop").as_slice(),
            input_tokens: number("input_tokens"),
            output_tokens: number("output_tokens"),
            took,
        });
    }

    fn place<'a>(&'a self, effect: &'a EffectId) -> At<'a> {
        At { call: self.shared.call, generation: self.shared.generation, effect, around: &self.at }
    }
}
