//! What an agent did in a step, as clients see it.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::{failure::Failure, json::Json};

use super::{FailureView, StepView, Time};
use crate::store::{ApprovalRow, JournalEnd, JournalRow};

/// What an agent did in a step: requests to models, tools, requests over HTTP, its own store, a page in the order in which
/// they began.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TranscriptView {
    /// The visit, with what its models used together.
    pub step: StepView,
    /// The tools that it wants to call and that a person must allow first.
    pub waiting_for: Vec<WaitingView>,
    /// What it did, also by the tools and agents that it called: `parent` says for which.
    pub items: Vec<EffectView>,
    /// Where the next page begins; null where this is the last.
    pub next_cursor: Option<String>,
}

/// A tool that an agent wants to call and that a person must allow first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WaitingView {
    /// The approval's id.
    pub approval_id: String,
    /// Which effect it is.
    pub effect: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// What it is to be called with.
    #[schema(value_type = Value)]
    pub arguments: serde_json::Value,
    /// When the question was asked.
    pub requested_at: Time,
    /// When it lapses.
    pub due: Option<Time>,
}

/// One thing that a running call asked the host to do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EffectView {
    /// Which one of the step: `3`, and `3/1` for the first of what the third itself asked for.
    pub effect: String,
    /// The effect that asked for it: a tool or an agent that the agent called; null for the step's own agent.
    pub parent: Option<String>,
    /// How many attempts of the step had failed before.
    pub attempt: u32,
    /// `model`, `tool`, `http`, `kv` or `stream`.
    pub kind: &'static str,
    /// The model's alias, the tool, the method and host, the operation and key.
    pub name: String,
    /// `running`, `ok`, or the code of the failure.
    pub status: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How long it took.
    pub latency_ms: Option<u64>,
    /// What was asked: of a model the options and the messages that are new since the request before, of a tool its input.
    #[schema(value_type = Value)]
    pub request: Json,
    /// What came back: of a model the text, the tool calls and the usage.
    #[schema(value_type = Option<Value>)]
    pub answer: Option<Json>,
    /// Why it failed.
    pub error: Option<FailureView>,
    /// What else is known: of a model request the model, tokens, cost, price and attempts; of a tool the plugin and what a
    /// person decided.
    #[schema(value_type = Option<Object>)]
    pub details: Option<Json>,
}

impl From<JournalRow> for EffectView {
    fn from(row: JournalRow) -> Self {
        let effect = row.effect.to_string();
        let parent = effect.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let ended_at = row.ended.as_ref().map(|ended| ended.at);
        let (status, answer, error, details) = match row.ended {
            None => ("running".to_owned(), None, None, None),
            Some(JournalEnd { outcome, answer, details, .. }) if &*outcome == "ok" => {
                ("ok".to_owned(), Some(answer), None, details)
            }
            Some(JournalEnd { outcome, answer, details, .. }) => {
                let failure: Option<Failure> = serde_json::from_str(answer.text()).ok();
                (outcome.to_string(), None, failure.map(|failure| FailureView::new(&failure, None, None)), details)
            }
        };
        Self {
            effect,
            parent,
            attempt: row.generation,
            kind: row.kind.as_str(),
            name: row.name.to_string(),
            status,
            started_at: Time(row.started_at),
            ended_at: ended_at.map(Time),
            latency_ms: ended_at.map(|at| u64::try_from(at.0.saturating_sub(row.started_at.0)).unwrap_or(0) / 1_000),
            request: row.request,
            answer,
            error,
            details,
        }
    }
}

impl From<ApprovalRow> for WaitingView {
    fn from(row: ApprovalRow) -> Self {
        let request = row.request.value();
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        Self {
            approval_id: format!("{}.{}", row.execution_id, row.call),
            effect: text("effect"),
            tool: text("tool"),
            arguments: request["arguments"].clone(),
            requested_at: Time(row.requested_at),
            due: row.due.map(Time),
        }
    }
}
