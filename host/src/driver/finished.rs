//! An execution that ended, as its task knows it: who waited for the end needs no query.

use weir_engine::{execution::Execution, id::Timestamp};

use crate::store::{ExecutionRow, StepOutput, StoredExecution};

/// An execution that ended, with everything that is asked of it first.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The execution.
    pub execution: StoredExecution,
    /// The outputs of its root steps.
    pub step_outputs: Vec<StepOutput>,
}

impl Finished {
    pub(super) fn of(execution: &Execution, started_at: Timestamp, ended_at: Timestamp) -> Self {
        let started = execution.started();
        let outputs = execution.step_outputs();
        Self {
            execution: StoredExecution {
                row: row_of(execution, started_at, ended_at),
                trigger: started.trigger.clone(),
                input: started.input.clone(),
                output: execution.summary().output,
            },
            step_outputs: outputs
                .map(|(id, output)| StepOutput { step_id: id.clone(), output: output.clone() })
                .collect(),
        }
    }
}

/// The row of an execution as its task knows it, so that a waiting caller needs no query.
fn row_of(execution: &Execution, started_at: Timestamp, now: Timestamp) -> ExecutionRow {
    let (started, summary) = (execution.started(), execution.summary());
    let last_seq = execution.seq();
    let trigger = started.trigger.value().get("type").and_then(|t| t.as_str()).unwrap_or("manual").to_owned();
    ExecutionRow {
        id: started.execution_id.clone(),
        workflow_id: started.workflow_id.clone(),
        workflow_name: started.workflow_name.clone(),
        workflow_version: started.workflow_version,
        status: summary.status,
        trigger_source: trigger,
        current_step_id: summary.current_step,
        usage: summary.usage,
        started_at,
        completed_at: summary.status.is_final().then_some(now),
        failure: summary.failure,
        paused: summary.paused,
        wake_at: summary.wake_at,
        idle: summary.idle,
        last_seq,
    }
}
