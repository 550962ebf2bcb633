//! Steps of executions as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::{id::CallId, json::Json, limits::Amounts};

use super::{FailureView, Time, UsageView, seconds};
use crate::store::{ModelUsage, StepRow};

/// One visit of a step.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    /// The visit's id within its execution.
    pub id: String,
    /// The execution.
    pub execution_id: String,
    /// The step, as the author named it.
    pub step_id: String,
    /// The visit's place: `scrape_loop[3].scrape_url`, `refine#2`.
    pub path: String,
    /// `tool`, `agent`, `condition`, `human`, `parallel` or `loop`; null for a step that was never reached.
    pub r#type: Option<&'static str>,
    /// `pending`, `running`, `awaiting_human`, `completed`, `failed`, `timeout`, `cancelled` or `skipped`.
    pub status: &'static str,
    /// The attempt that is or was the last, from 0.
    pub attempt: u32,
    /// What it was given.
    #[schema(value_type = Value)]
    pub input_data: Option<Json>,
    /// What it made.
    #[schema(value_type = Value)]
    pub output_data: Option<Json>,
    /// What it itself used, nested steps not included.
    pub usage: StepUsageView,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// From start to end, in seconds; null until the end.
    pub duration_seconds: Option<f64>,
    /// Why it failed.
    pub error: Option<FailureView>,
    /// What should be looked at though the step went on.
    pub warnings: Vec<String>,
    /// What the plugin logged.
    pub logs: Vec<LogLineView>,
    /// Fuel that the last attempt used.
    pub fuel: Option<u64>,
    #[serde(skip)]
    call: CallId,
    #[serde(skip)]
    used: Amounts,
}

/// What a step used, together and by model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepUsageView {
    /// Everything together; of a step that runs what its failed attempts used.
    #[serde(flatten)]
    pub total: UsageView,
    /// By model: requests that were answered, or failed.
    pub models: Vec<ModelUsageView>,
    /// What was promised to requests whose answer was lost: it counts as used. Null where there is none.
    pub written_off: Option<UsageView>,
}

/// What one model was used for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelUsageView {
    /// The name under which the plugin knows it.
    pub alias: String,
    /// Who answers for it.
    pub provider: String,
    /// Its name there.
    pub model: String,
    /// Requests.
    pub requests: u64,
    /// Tokens that were sent.
    pub input_tokens: u64,
    /// Tokens that were answered.
    pub output_tokens: u64,
    /// What the requests cost whose price is known, in US dollars.
    pub estimated_cost_dollars: f64,
    /// Requests whose price is not known.
    pub unpriced_requests: u64,
}

impl ModelUsageView {
    #[expect(clippy::cast_precision_loss, reason = "shown, not reckoned with")]
    fn new(usage: &ModelUsage) -> Self {
        Self {
            alias: usage.alias.to_string(),
            provider: usage.provider.to_string(),
            model: usage.model.to_string(),
            requests: usage.requests,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            estimated_cost_dollars: usage.cost_microusd as f64 / 1e6,
            unpriced_requests: usage.unpriced,
        }
    }
}

impl StepView {
    /// The same step with what its models used; `usage` may tell of other steps, too.
    #[must_use]
    pub fn with_models(mut self, usage: &[ModelUsage]) -> Self {
        let own: Vec<&ModelUsage> = usage.iter().filter(|usage| usage.call == self.call).collect();
        let known = own.iter().fold(Amounts::NONE, |sum, usage| {
            sum.plus(&Amounts {
                requests: usage.requests,
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cost_microusd: usage.cost_microusd,
                ..Amounts::NONE
            })
        });
        let rest = Amounts { tool_calls: 0, steps: 0, ..self.used }.minus(&known);
        self.usage.models = own.into_iter().map(ModelUsageView::new).collect();
        self.usage.written_off = (!rest.is_none()).then(|| UsageView::from(&rest));
        self
    }
}

/// One line that a plugin logged.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogLineView {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub message: String,
}

impl From<weir_engine::event::LogLine> for LogLineView {
    fn from(line: weir_engine::event::LogLine) -> Self {
        Self { level: line.level, message: line.message }
    }
}

impl From<StepRow> for StepView {
    fn from(row: StepRow) -> Self {
        let id = if row.ordinal == 0 { row.call.to_string() } else { format!("{}.{}", row.call, row.ordinal) };
        Self {
            id,
            error: row.failure.as_ref().map(|f| FailureView::new(f, Some(&row.step_id), Some(&row.path))),
            execution_id: row.execution_id.as_ref().to_owned(),
            step_id: row.step_id.as_ref().to_owned(),
            path: row.path.as_ref().to_owned(),
            r#type: row.kind.map(weir_engine::event::StepType::as_str),
            status: row.status.as_str(),
            attempt: row.attempt,
            input_data: row.input,
            output_data: row.output,
            usage: StepUsageView { total: UsageView::from(&row.usage), models: Vec::new(), written_off: None },
            started_at: row.started_at.map(Time),
            completed_at: row.completed_at.map(Time),
            duration_seconds: seconds(row.started_at, row.completed_at),
            warnings: row.warnings,
            logs: row.logs.into_iter().map(Into::into).collect(),
            fuel: row.fuel,
            call: row.call,
            used: row.usage,
        }
    }
}
