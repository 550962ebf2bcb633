//! Steps of executions as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::{FailureView, Time, UsageView, seconds};
use crate::store::StepRow;

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
    pub usage: UsageView,
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
            usage: UsageView::from(&row.usage),
            started_at: row.started_at.map(Time),
            completed_at: row.completed_at.map(Time),
            duration_seconds: seconds(row.started_at, row.completed_at),
            warnings: row.warnings,
            logs: row.logs.into_iter().map(Into::into).collect(),
            fuel: row.fuel,
        }
    }
}
