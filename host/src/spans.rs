//! Tells OpenTelemetry what executions do: a trace for each, with spans for steps, requests to models and tools. Off unless
//! a collector is configured; then a span that nobody can take is counted and forgotten, and nothing ever waits for it.
//!
//! Ids follow from the execution's id, so that what is told after a restart fits what was told before it: the trace's id is
//! the execution's own, unless a caller's `traceparent` says otherwise. What people, plugins and models say to each other
//! is in no span.

mod config;
mod exporter;
pub mod otlp;
mod parent;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{self, Sender};
use weir_engine::{
    event::Started,
    id::{CallId, EffectId, Timestamp},
};

pub use self::{
    config::{HeaderText, OtelConfig, OtelConfigError, Share},
    exporter::Exporter,
    parent::{TraceParent, TraceParentError},
};
use self::{
    exporter::QUEUE,
    otlp::{
        AnyValue, ArrayValue, KIND_CLIENT, KIND_INTERNAL, KIND_SERVER, KeyValue, STATUS_ERROR, Span, Status, Value,
    },
};
use crate::{egress::Egress, metrics::Metrics};

/// The most bytes of a text in a span: names, and nothing longer.
const TEXT_BYTES_MAX: usize = 256;
/// The most texts of a list in a span.
const TEXTS_MAX: usize = 16;
/// The member of an execution's trigger that holds the caller's `traceparent`.
pub const TRACEPARENT: &str = "traceparent";

/// Where spans are told, if anywhere. Clones tell the same collector.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Telling>>);

#[derive(Debug)]
struct Telling {
    sender: Sender<Span>,
    sample: Share,
    metrics: Metrics,
}

/// The trace of one execution that is told of.
#[derive(Debug, Clone)]
pub struct Trace {
    telling: Arc<Telling>,
    execution_id: Arc<str>,
    trace_id: [u8; 16],
    /// The caller's span.
    parent: Option<[u8; 8]>,
}

/// From when to when something took, and why it failed: a code, never words.
#[derive(Debug, Clone, Copy)]
pub struct Took<'a> {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// Why it failed.
    pub failure: Option<&'a str>,
}

/// A step that ended.
#[derive(Debug, Clone, Copy)]
pub struct StepSpan<'a> {
    /// The visit.
    pub call: CallId,
    /// The visit of the parallel or loop step around it.
    pub around: Option<CallId>,
    /// The step's id.
    pub step: &'a str,
    /// The visit's path.
    pub path: &'a str,
    /// The step's type.
    pub kind: &'static str,
    /// How it ended.
    pub status: &'static str,
    /// How many attempts it took.
    pub attempts: u32,
    /// The agent that it called, as its author names it.
    pub agent: Option<&'a str>,
    /// From when to when.
    pub took: Took<'a>,
}

/// Where in an execution an effect belongs.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The visit whose plugin asked for it.
    pub call: CallId,
    /// How many attempts of that call had failed: the same when an interrupted call is made again.
    pub generation: u32,
    /// Which effect of the call.
    pub effect: &'a EffectId,
    /// The effect around it, of a tool or agent that an agent calls; [`EffectId::CALL`] for the call itself.
    pub around: &'a EffectId,
}

/// A request to a model that is over.
#[derive(Debug, Clone, Copy)]
pub struct ChatSpan<'a> {
    /// Where it belongs.
    pub at: At<'a>,
    /// The alias that the plugin named.
    pub alias: &'a str,
    /// Who answers for it, as `gen_ai.provider.name` has it: `openai`, `anthropic`, `gcp.gemini`, `ollama`, `scripted`.
    pub provider: &'a str,
    /// The model that was asked for.
    pub model: &'a str,
    /// The most tokens of an answer that were asked for.
    pub max_tokens: Option<u64>,
    /// The model that answered, as it calls itself.
    pub response_model: Option<&'a str>,
    /// Why it stopped.
    pub finish_reasons: &'a [&'a str],
    /// Tokens that were sent.
    pub input_tokens: Option<u64>,
    /// Tokens that were answered.
    pub output_tokens: Option<u64>,
    /// From when to when.
    pub took: Took<'a>,
}

/// A tool that an agent called, or an agent.
#[derive(Debug, Clone, Copy)]
pub struct ToolSpan<'a> {
    /// Where it belongs.
    pub at: At<'a>,
    /// The tool, as the agent named it.
    pub tool: &'a str,
    /// The model's own id of the call.
    pub call_id: Option<&'a str>,
    /// From when to when.
    pub took: Took<'a>,
}

impl Spans {
    /// Tells a collector, by an exporter that is to be run.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn to(config: &OtelConfig, egress: Egress, metrics: Metrics) -> Result<(Self, Exporter), OtelConfigError> {
        config.check()?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let exporter = Exporter::new(config, config.headers()?, egress, metrics.clone(), receiver);
        Ok((Self(Some(Arc::new(Telling { sender, sample: config.sample, metrics }))), exporter))
    }

    /// The trace of an execution; `None` where nothing is told of it.
    #[must_use]
    pub fn of(&self, started: &Started) -> Option<Trace> {
        let telling = self.0.as_ref()?;
        let execution_id = Arc::clone(&started.execution_id);
        let parent = started.trigger.value().get(TRACEPARENT).and_then(serde_json::Value::as_str);
        if let Some(TraceParent { trace_id, span_id, sampled }) = parent.and_then(|text| text.parse().ok()) {
            let (telling, parent) = (Arc::clone(telling), Some(span_id));
            return sampled.then_some(Trace { telling, execution_id, trace_id, parent });
        }
        let digest = Sha256::digest(execution_id.as_bytes());
        let (number, _) = digest.split_first_chunk().map(|(first, rest)| (u64::from_be_bytes(*first), rest))?;
        if !telling.sample.takes(number) {
            return None;
        }
        let trace_id = uuid::Uuid::parse_str(&execution_id).map_or_else(|_| first(&digest), uuid::Uuid::into_bytes);
        Some(Trace { telling: Arc::clone(telling), execution_id, trace_id, parent: None })
    }
}

impl Trace {
    /// An execution ended.
    pub fn execution(&self, started: &Started, status: &'static str, took: Took<'_>) {
        let trigger = started.trigger.value().get("type").and_then(serde_json::Value::as_str);
        let attributes = attributes([
            ("weir.execution.id", (&*self.execution_id).into()),
            ("weir.execution.status", status.into()),
            ("weir.workflow.id", (&*started.workflow_id).into()),
            ("weir.workflow.name", (&*started.workflow_name).into()),
            ("weir.workflow.version", u64::from(started.workflow_version).into()),
            ("weir.trigger.type", trigger.into()),
        ]);
        let name = format!("execution {}", started.workflow_name);
        self.tell(self.span_id(""), self.parent, &name, KIND_SERVER, attributes, took);
    }

    /// A step ended.
    pub fn step(&self, step: &StepSpan<'_>) {
        let parent = step.around.map_or_else(|| self.span_id(""), |around| self.of_step(around));
        let attributes = attributes([
            ("weir.execution.id", (&*self.execution_id).into()),
            ("weir.step.id", step.step.into()),
            ("weir.step.path", step.path.into()),
            ("weir.step.type", step.kind.into()),
            ("weir.step.status", step.status.into()),
            ("weir.step.attempts", u64::from(step.attempts).into()),
            ("gen_ai.operation.name", step.agent.map(|_| "invoke_agent").into()),
            ("gen_ai.agent.name", step.agent.into()),
        ]);
        let name = format!("step {}", step.step);
        self.tell(self.of_step(step.call), Some(parent), &name, KIND_INTERNAL, attributes, step.took);
    }

    /// A request to a model is over.
    pub fn chat(&self, chat: &ChatSpan<'_>) {
        let attributes = attributes([
            ("gen_ai.operation.name", "chat".into()),
            ("gen_ai.provider.name", chat.provider.into()),
            ("gen_ai.request.model", chat.model.into()),
            ("gen_ai.request.max_tokens", chat.max_tokens.into()),
            ("gen_ai.response.model", chat.response_model.into()),
            ("gen_ai.response.finish_reasons", chat.finish_reasons.into()),
            ("gen_ai.usage.input_tokens", chat.input_tokens.into()),
            ("gen_ai.usage.output_tokens", chat.output_tokens.into()),
            ("weir.model.alias", chat.alias.into()),
        ]);
        let (id, parent) = (self.of_effect(chat.at.effect, chat.at), self.of_effect(chat.at.around, chat.at));
        self.tell(id, Some(parent), &format!("chat {}", chat.model), KIND_CLIENT, attributes, chat.took);
    }

    /// A tool that an agent called is done.
    pub fn tool(&self, tool: &ToolSpan<'_>) {
        let attributes = attributes([
            ("gen_ai.operation.name", "execute_tool".into()),
            ("gen_ai.tool.name", tool.tool.into()),
            ("gen_ai.tool.type", "function".into()),
            ("gen_ai.tool.call.id", tool.call_id.into()),
        ]);
        let (id, parent) = (self.of_effect(tool.at.effect, tool.at), self.of_effect(tool.at.around, tool.at));
        self.tell(id, Some(parent), &format!("execute_tool {}", tool.tool), KIND_INTERNAL, attributes, tool.took);
    }

    fn of_step(&self, call: CallId) -> [u8; 8] {
        self.span_id(&call.to_string())
    }

    fn of_effect(&self, effect: &EffectId, at: At<'_>) -> [u8; 8] {
        if effect.depth() == 0 {
            return self.of_step(at.call);
        }
        self.span_id(&format!("{}/{}/{effect}", at.call, at.generation))
    }

    /// The id of a span in this execution, the same whenever and wherever it is asked for.
    fn span_id(&self, what: &str) -> [u8; 8] {
        first(&Sha256::new().chain_update(self.execution_id.as_bytes()).chain_update("/").chain_update(what).finalize())
    }

    fn tell(
        &self,
        id: [u8; 8],
        parent: Option<[u8; 8]>,
        name: &str,
        kind: i32,
        mut attributes: Vec<KeyValue>,
        took: Took<'_>,
    ) {
        attributes.extend(took.failure.map(|code| attribute("error.type", code.into())));
        let span = Span {
            trace_id: self.trace_id.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.map(Vec::from).unwrap_or_default(),
            name: clipped(name),
            kind,
            start_time_unix_nano: nanos(took.from),
            end_time_unix_nano: nanos(took.to.max(took.from)),
            attributes,
            status: took.failure.map(|_| Status { code: STATUS_ERROR }),
        };
        if self.telling.sender.try_send(span).is_err() {
            self.telling.metrics.spans_dropped("queue_full", 1);
        }
    }
}

/// The first bytes of a digest.
fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    digest.first_chunk().copied().unwrap_or([1; N])
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(1_000)
}

/// What an attribute may be; what there is not is left out.
enum Known<'a> {
    Nothing,
    Text(&'a str),
    Number(u64),
    Texts(&'a [&'a str]),
}

impl<'a> From<&'a str> for Known<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Known<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a [&'a str]> for Known<'a> {
    fn from(texts: &'a [&'a str]) -> Self {
        if texts.is_empty() { Self::Nothing } else { Self::Texts(texts) }
    }
}

impl<'a, T: Into<Known<'a>>> From<Option<T>> for Known<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

fn attributes<const N: usize>(known: [(&'static str, Known<'_>); N]) -> Vec<KeyValue> {
    let known = known.into_iter().filter(|(_, value)| !matches!(value, Known::Nothing));
    known.map(|(key, value)| attribute(key, value)).collect()
}

fn attribute(key: &'static str, known: Known<'_>) -> KeyValue {
    let text = |text: &str| Value::Text(clipped(text));
    let value = match known {
        Known::Nothing => None,
        Known::Text(value) => Some(text(value)),
        Known::Number(number) => Some(Value::Number(i64::try_from(number).unwrap_or(i64::MAX))),
        Known::Texts(texts) => {
            let values = texts.iter().take(TEXTS_MAX).map(|value| AnyValue { value: Some(text(value)) });
            Some(Value::List(ArrayValue { values: values.collect() }))
        }
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }) }
}

fn clipped(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests;
