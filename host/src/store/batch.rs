//! Appends as rows for the bulk statements: made by whoever appends, put together by the writer. Pure.

use std::sync::Arc;

use serde::Serialize;
use weir_engine::{event::Event, id::Seq};

use super::{
    Append, StoreError,
    approvals::ApprovalStatus,
    chunk::{self, Chunk},
    projection::{self, Changes},
    steps::StepStatus,
};

/// The most bytes of events that one append may hold.
pub(super) const APPEND_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows as the elements of a JSON array, without its brackets.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows(Vec<u8>);

impl Rows {
    fn push(&mut self, row: &impl Serialize) -> Result<(), serde_json::Error> {
        self.separate();
        serde_json::to_writer(&mut self.0, row)
    }

    fn push_text(&mut self, row: &str) {
        self.separate();
        self.0.extend_from_slice(row.as_bytes());
    }

    fn extend(&mut self, rows: &Self) {
        if !rows.0.is_empty() {
            self.separate();
            self.0.extend_from_slice(&rows.0);
        }
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The array's text.
    pub(super) fn finish(&self) -> String {
        format!("[{}]", String::from_utf8_lossy(&self.0))
    }
}

/// The rows of each bulk statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) new_executions: Rows,
    pub(super) executions: Rows,
    pub(super) new_steps: Rows,
    pub(super) steps: Rows,
    pub(super) new_approvals: Rows,
    pub(super) approvals: Rows,
}

/// One append as rows.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) execution_id: Arc<str>,
    /// The id as JSON.
    id_text: String,
    tables: Tables,
    chunks: Vec<Chunk>,
    /// What it takes, about.
    pub(super) bytes: usize,
}

/// Several appends, each of another execution, as what the statements are given.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) tables: Tables,
    pub(super) chunks: Rows,
    /// The text of all chunks, one after the other.
    pub(super) data: Vec<u8>,
}

impl Prepared {
    /// The rows of `append`; `None` where it holds no events.
    pub(super) fn new(append: &Append) -> Result<Option<Self>, StoreError> {
        let Some(last) = append.records.last() else { return Ok(None) };
        check_numbers(append)?;
        let chunks = chunk::encode(&append.records).map_err(|e| unwritable(append, &e))?;
        let mut bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
        if bytes > APPEND_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "the events of one append", limit: APPEND_BYTES_MAX });
        }
        let changes = projection::project(&append.records);
        let tables = tables(append, &changes, last.seq).map_err(|e| unwritable(append, &e))?;
        let id_text = serde_json::to_string(&append.execution_id).map_err(|e| unwritable(append, &e))?;
        bytes += tables.new_steps.0.len() + tables.new_approvals.0.len();
        Ok(Some(Self { execution_id: Arc::clone(&append.execution_id), id_text, tables, chunks, bytes }))
    }
}

/// Numbers have no gaps, and the first event of all, and only it, says what the execution is.
fn check_numbers(append: &Append) -> Result<(), StoreError> {
    let first = append.records.first().map_or(0, |record| record.seq);
    let sound = first > 0
        && (first..)
            .zip(&append.records)
            .all(|(seq, record)| record.seq == seq && (seq == 1) == matches!(record.event, Event::ExecutionStarted(_)));
    if sound { Ok(()) } else { Err(StoreError::Conflict { execution_id: Arc::clone(&append.execution_id) }) }
}

fn unwritable(append: &Append, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: format!("execution {}", append.execution_id), reason: error.to_string() }
}

fn tables(append: &Append, changes: &Changes<'_>, last: Seq) -> Result<Tables, serde_json::Error> {
    let mut tables = Tables::default();
    let id = &*append.execution_id;
    execution(&mut tables, append, changes, last)?;
    for s in &changes.steps {
        let status = s.status.as_str();
        let (call, ordinal, step_id, path, scope, kind) = (s.call, s.ordinal, s.step_id, s.path, s.scope, s.kind);
        let (start, end) = (s.started_at, s.completed_at);
        tables
            .new_steps
            .push(&(id, call, ordinal, step_id, path, scope, kind, status, s.attempt, start, end, s.end_seq))?;
    }
    for (call, step) in &changes.step_changes {
        let status = step.status.map(StepStatus::as_str);
        tables.steps.push(&(id, call, status, step.attempt, step.completed_at, step.end_seq))?;
    }
    approvals(&mut tables, id, changes)?;
    Ok(tables)
}

fn execution(tables: &mut Tables, append: &Append, changes: &Changes<'_>, last: Seq) -> Result<(), serde_json::Error> {
    let (id, s) = (&*append.execution_id, &append.summary);
    let (status, step, usage, end) = (s.status.as_str(), s.current_step.as_deref(), &s.usage, changes.ended_at);
    let (wake_at, idle) = if s.status.is_final() { (None, false) } else { (s.wake_at, s.idle) };
    let idle = u8::from(idle);
    let (failure, paused) = (&s.failure, &s.paused);
    if let Some((started, at)) = changes.started {
        let source = trigger_source(started.trigger.text());
        let (workflow, name, version) = (&started.workflow_id, &started.workflow_name, started.workflow_version);
        tables.new_executions.push(&(
            id, workflow, name, version, source, at, status, step, usage, wake_at, idle, end, failure, paused, last,
        ))
    } else {
        let first = append.records.first().map_or(last, |record| record.seq);
        tables.executions.push(&(id, first, last, status, step, usage, wake_at, idle, end, failure, paused))
    }
}

fn approvals(tables: &mut Tables, id: &str, changes: &Changes<'_>) -> Result<(), serde_json::Error> {
    for a in &changes.approvals {
        let status = a.change.as_ref().map_or(ApprovalStatus::Pending, |change| change.status).as_str();
        let closed_at = a.change.as_ref().map(|change| change.closed_at);
        let decision = a.change.as_ref().and_then(|change| change.decision).map(serde_json::to_string).transpose()?;
        let row = (id, a.call, a.step_id, a.path, status, a.request, a.requested_at, a.due, closed_at, decision);
        tables.new_approvals.push(&row)?;
    }
    for (call, change) in &changes.approval_changes {
        let decision = change.decision.map(serde_json::to_string).transpose()?;
        tables.approvals.push(&(id, call, change.status.as_str(), change.closed_at, decision))?;
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Trigger {
    #[serde(rename = "type")]
    kind: String,
}

fn trigger_source(trigger: &str) -> String {
    serde_json::from_str::<Trigger>(trigger).map_or_else(|_| "unknown".to_owned(), |trigger| trigger.kind)
}

impl Batch {
    /// Adds an append of an execution that the batch does not hold yet.
    pub(super) fn add(&mut self, prepared: &Prepared) {
        let (all, own) = (&mut self.tables, &prepared.tables);
        all.new_executions.extend(&own.new_executions);
        all.executions.extend(&own.executions);
        all.new_steps.extend(&own.new_steps);
        all.steps.extend(&own.steps);
        all.new_approvals.extend(&own.new_approvals);
        all.approvals.extend(&own.approvals);
        for chunk in &prepared.chunks {
            // SQLite counts bytes from 1.
            let (start, length) = (self.data.len() + 1, chunk.data.len());
            self.chunks.push_text(&format!("[{},{},{start},{length}]", prepared.id_text, chunk.seq));
            self.data.extend_from_slice(chunk.data.as_bytes());
        }
    }

    /// Whether executions only start (and perhaps end) here.
    pub(super) fn only_starts(&self) -> bool {
        let tables = &self.tables;
        [&tables.executions, &tables.steps, &tables.new_approvals, &tables.approvals].iter().all(|rows| rows.is_empty())
    }
}
