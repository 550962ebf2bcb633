//! Appends as rows for the bulk statements: made by whoever appends, put together by the writer. Pure.

use std::sync::Arc;

use serde::Serialize;
use weir_engine::{
    event::{Event, Record, Started},
    execution::Summary,
    id::{Seq, Timestamp},
};

use super::{
    Append, StoreError,
    bulk::Extra,
    chunk::{self, Chunk},
    companion::Companions,
    projection::{self, Changes, Step},
    queries::WRITE_CHANGES,
    questions::Questions,
    steps::StepStatus,
};

/// The most bytes of events that one append may hold.
pub(super) const APPEND_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows as the elements of a JSON array, without its brackets.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows(Vec<u8>);

impl Rows {
    pub(super) fn push(&mut self, row: &impl Serialize) -> Result<(), serde_json::Error> {
        self.separate();
        serde_json::to_writer(&mut self.0, row)
    }

    pub(super) fn extend(&mut self, rows: &Self) {
        if !rows.0.is_empty() {
            self.separate();
            self.0.extend_from_slice(&rows.0);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
    }

    /// The array's text.
    pub(super) fn finish(&self) -> String {
        format!("[{}]", String::from_utf8_lossy(&self.0))
    }
}

/// What appends change, as rows of the bulk statements.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    pub(super) executions: Rows,
    pub(super) steps: Rows,
}

/// A new row of `executions`.
#[derive(Debug)]
pub(super) struct NewExecution {
    pub(super) started: Arc<Started>,
    pub(super) trigger_source: String,
    pub(super) started_by: Option<String>,
    pub(super) started_at: Timestamp,
    pub(super) status: &'static str,
    pub(super) current_step_id: Option<Arc<str>>,
    pub(super) usage: String,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) idle: bool,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) failure: Option<String>,
    pub(super) paused: Option<String>,
    pub(super) last_seq: Seq,
}

/// One append as rows.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) execution_id: Arc<str>,
    pub(super) new_execution: Option<NewExecution>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) new_steps: Vec<Step>,
    pub(super) changed: Changed,
    pub(super) questions: Questions,
    pub(super) companions: Companions,
    /// What its events take.
    pub(super) bytes: usize,
}

impl Changed {
    /// What all of them change together; `None` where that is nothing.
    pub(super) fn of_all(group: &[&Prepared]) -> Option<Extra> {
        let mut all = Self::default();
        for Prepared { changed, .. } in group {
            all.executions.extend(&changed.executions);
            all.steps.extend(&changed.steps);
        }
        Extra::of(WRITE_CHANGES, [&all.executions, &all.steps])
    }
}

impl Prepared {
    /// The rows of `append`; `None` where it holds no events.
    pub(super) fn new(append: &Append) -> Result<Option<Self>, StoreError> {
        let Some(last) = append.records.last() else { return Ok(None) };
        check_numbers(append)?;
        let chunks = chunk::encode(&append.records).map_err(|e| unwritable(append, &e))?;
        let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
        if bytes > APPEND_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "the events of one append", limit: APPEND_BYTES_MAX });
        }
        let mut changes = projection::project(&append.records);
        let new_steps = std::mem::take(&mut changes.steps);
        let (new_execution, changed) = rows(append, &changes, last.seq).map_err(|e| unwritable(append, &e))?;
        let questions = Questions::of(&append.execution_id, &changes).map_err(|e| unwritable(append, &e))?;
        let companions = Companions::of(&append.companions).map_err(|e| unwritable(append, &e))?;
        let execution_id = Arc::clone(&append.execution_id);
        Ok(Some(Self { execution_id, new_execution, chunks, new_steps, changed, questions, companions, bytes }))
    }
}

/// Numbers have no gaps, and the first event of all, and only it, says what the execution is.
fn check_numbers(append: &Append) -> Result<(), StoreError> {
    let first = append.records.first().map_or(0, |record| record.seq);
    let sound = |(seq, record): (Seq, &Record)| {
        record.seq == seq && (seq == 1) == matches!(record.event, Event::ExecutionStarted(_))
    };
    if first > 0 && (first..).zip(append.records.iter()).all(sound) {
        return Ok(());
    }
    Err(StoreError::Conflict { execution_id: Arc::clone(&append.execution_id) })
}

fn unwritable(append: &Append, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: format!("execution {}", append.execution_id), reason: error.to_string() }
}

fn rows(
    append: &Append,
    changes: &Changes<'_>,
    last: Seq,
) -> Result<(Option<NewExecution>, Changed), serde_json::Error> {
    let mut changed = Changed::default();
    let id = &*append.execution_id;
    let new_execution = match changes.started {
        Some((started, at)) => Some(new_execution(append, started, at, changes.ended_at, last)?),
        None => {
            change_execution(&mut changed, append, changes.ended_at, last)?;
            None
        }
    };
    for (call, step) in &changes.step_changes {
        let status = step.status.map(StepStatus::as_str);
        changed.steps.push(&(id, call, status, step.attempt, step.completed_at, step.end_seq))?;
    }
    Ok((new_execution, changed))
}

/// When the execution is to be woken and whether it waits: nothing any more once it has ended.
fn waits(summary: &Summary) -> (Option<Timestamp>, bool) {
    if summary.status.is_final() { (None, false) } else { (summary.wake_at, summary.idle) }
}

fn new_execution(
    append: &Append,
    started: &Arc<Started>,
    started_at: Timestamp,
    completed_at: Option<Timestamp>,
    last_seq: Seq,
) -> Result<NewExecution, serde_json::Error> {
    let summary = &append.summary;
    let (wake_at, idle) = waits(summary);
    let trigger = Trigger::read(started.trigger.text());
    Ok(NewExecution {
        started: Arc::clone(started),
        trigger_source: trigger.kind,
        started_by: trigger.started_by,
        started_at,
        status: summary.status.as_str(),
        current_step_id: summary.current_step.clone(),
        usage: serde_json::to_string(&summary.usage)?,
        wake_at,
        idle,
        completed_at,
        failure: summary.failure.as_ref().map(serde_json::to_string).transpose()?,
        paused: summary.paused.as_ref().map(serde_json::to_string).transpose()?,
        last_seq,
    })
}

fn change_execution(
    changed: &mut Changed,
    append: &Append,
    completed_at: Option<Timestamp>,
    last: Seq,
) -> Result<(), serde_json::Error> {
    let (id, s) = (&append.execution_id, &append.summary);
    let first = append.records.first().map_or(last, |record| record.seq);
    let (wake_at, idle) = waits(s);
    let (status, step, idle) = (s.status.as_str(), &s.current_step, u8::from(idle));
    let row = (id, first, last, status, step, &s.usage, wake_at, idle, completed_at, &s.failure, &s.paused);
    changed.executions.push(&row)
}

#[derive(serde::Deserialize)]
struct Trigger {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    started_by: Option<String>,
}

impl Trigger {
    fn read(trigger: &str) -> Self {
        serde_json::from_str(trigger).unwrap_or_else(|_| Self { kind: "unknown".to_owned(), started_by: None })
    }
}
