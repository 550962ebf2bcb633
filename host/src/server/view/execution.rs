//! Executions as clients see them.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::{FailureView, Time, UsageView, seconds};
use crate::store::{ExecutionRow, StepOutput, StoredExecution};

/// An execution without its documents.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExecutionSummary {
    /// Its id.
    pub id: String,
    /// The workflow.
    pub workflow_id: String,
    /// The workflow's name when it started.
    pub workflow_name: String,
    /// The version that runs.
    pub workflow_version: u32,
    /// `pending`, `running`, `awaiting_human`, `completed`, `failed`, `timeout` or `cancelled`.
    pub status: &'static str,
    /// The type of what started it: `manual`, …
    pub trigger_source: String,
    /// The step that was reached last.
    pub current_step_id: Option<String>,
    /// What was used so far.
    pub usage: UsageView,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// From start to end, in seconds; null until the end.
    pub duration_seconds: Option<f64>,
    /// Why it ended badly.
    pub error: Option<FailureView>,
    /// The step where the failure began.
    pub failed_step_id: Option<String>,
    /// The limit at which it waits for a person.
    pub paused: Option<PausedView>,
}

/// A limit at which an execution is paused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PausedView {
    /// The guardrail.
    pub limit: String,
    /// Its value, in the unit of its name.
    #[schema(value_type = f64)]
    pub value: serde_json::Value,
}

/// An execution with its documents.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExecutionView {
    /// How it stands.
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    /// What it was given.
    #[schema(value_type = Value)]
    pub input_data: Json,
    /// The latest output of each step of the workflow's own list that completed, by step id.
    #[schema(value_type = Object)]
    pub step_outputs: StepOutputs,
    /// What it made.
    #[schema(value_type = Value)]
    pub output: Option<Json>,
}

/// Outputs by step id.
#[derive(Debug, Clone)]
pub struct StepOutputs(pub Vec<StepOutput>);

impl Serialize for StepOutputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for step in &self.0 {
            map.serialize_entry(&*step.step_id, &step.output)?;
        }
        map.end()
    }
}

impl From<ExecutionRow> for ExecutionSummary {
    fn from(row: ExecutionRow) -> Self {
        let error = row.failure.as_ref().map(|failure| FailureView::new(failure, None, None));
        Self {
            id: row.id.as_ref().to_owned(),
            workflow_id: row.workflow_id.as_ref().to_owned(),
            workflow_name: row.workflow_name.as_ref().to_owned(),
            workflow_version: row.workflow_version,
            status: row.status.as_str(),
            trigger_source: row.trigger_source,
            current_step_id: row.current_step_id.as_deref().map(str::to_owned),
            usage: UsageView::from(&row.usage),
            started_at: Time(row.started_at),
            completed_at: row.completed_at.map(Time),
            duration_seconds: seconds(Some(row.started_at), row.completed_at),
            error,
            failed_step_id: row.failure.and_then(|failure| failure.step_id).as_deref().map(str::to_owned),
            paused: row.paused.map(|paused| PausedView { value: paused.shown(), limit: paused.limit }),
        }
    }
}

impl ExecutionView {
    /// A stored execution with the outputs of its steps.
    #[must_use]
    pub fn new(stored: StoredExecution, step_outputs: Vec<StepOutput>) -> Self {
        Self {
            summary: stored.row.into(),
            input_data: stored.input,
            step_outputs: StepOutputs(step_outputs),
            output: stored.output,
        }
    }
}
