//! Steps of executions: a small row each visit; documents are read from the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sqlx::sqlite::SqliteRow;
use weir_engine::{
    event::{AfterFailure, Event, LogLine, Report, StepType, Work},
    failure::{Failure, FailureCode},
    id::{CallId, ScopeId, Seq, Timestamp},
    json::Json,
    limits::Amounts,
};

use super::{
    Store, StoreError,
    columns::{Columns, page, signed},
    error::database,
    queries,
};

/// So many rows get their documents at once.
const GROUP: usize = 25;
/// A page ends when its documents take so many bytes.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How a visit of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepStatus {
    /// It runs, or waits for its next attempt.
    Running,
    /// A person is asked.
    AwaitingHuman,
    /// It ended well.
    Completed,
    /// It failed for good.
    Failed,
    /// It failed for good because its time was up.
    Timeout,
    /// It was never reached, or nobody answered and it was passed over.
    Skipped,
    /// It was given up.
    Cancelled,
}

/// One visit of a step, or a step that was never reached.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The execution.
    pub execution_id: Arc<str>,
    /// The visit; for a step that was never reached, the event that says so.
    pub call: CallId,
    /// 0 for a visit; from 1 for the steps that one event says were never reached.
    pub ordinal: u32,
    /// The step's id.
    pub step_id: Arc<str>,
    /// The visit's place for people.
    pub path: Arc<str>,
    /// The scope whose cursor reached it; 0 is the root.
    pub scope: ScopeId,
    /// The step's type; `None` for a step that was never reached.
    pub kind: Option<StepType>,
    /// How it stands.
    pub status: StepStatus,
    /// The attempt that is or was the last, from 0.
    pub attempt: u32,
    /// When it began; `None` for a step that was never reached.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What it was given: the input of a call, the request of a human step, the items of a loop.
    pub input: Option<Json>,
    /// What it made.
    pub output: Option<Json>,
    /// What it itself used.
    pub usage: Amounts,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What should be looked at though it went on.
    pub warnings: Vec<String>,
    /// Log lines of the plugin, of the last attempt.
    pub logs: Vec<LogLine>,
    /// Fuel that the last attempt used.
    pub fuel: Option<u64>,
}

/// Where a page of steps begins: after this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StepCursor {
    /// The row's `call`.
    pub call: Seq,
    /// The row's `ordinal`.
    pub ordinal: u32,
}

/// A page of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPage {
    /// The steps, in the order in which they were reached.
    pub rows: Vec<StepRow>,
    /// Where the next page begins; `None` at the end. A page ends early where documents are large.
    pub next: Option<StepCursor>,
}

/// The output of a step of the root block.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The step's id.
    pub step_id: Arc<str>,
    /// Its latest output.
    pub output: Json,
}

impl StepStatus {
    /// How a step stands that failed for good like this.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        if failure.code == FailureCode::Timeout { Self::Timeout } else { Self::Failed }
    }

    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::AwaitingHuman => "awaiting_human",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Store {
    /// Steps of an execution after `after`, at most `limit` and never more than [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn steps(&self, execution_id: &str, after: StepCursor, limit: u32) -> Result<StepPage, StoreError> {
        let query = sqlx::query(queries::STEPS).bind(execution_id).bind(signed(after.call)).bind(after.ordinal);
        let rows = query.bind(page(limit)).fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("list steps", e))?;
        let full = rows.len() as i64 == page(limit);
        let visits = rows.iter().map(|row| visit(execution_id, row)).collect::<Result<Vec<_>, _>>()?;
        let total = visits.len();
        let mut rows = Vec::with_capacity(total);
        let mut bytes = 0;
        let mut visits = visits.into_iter();
        while rows.len() < total && bytes < PAGE_BYTES_MAX {
            let group = self.with_documents(execution_id, visits.by_ref().take(GROUP).collect()).await?;
            bytes += group.iter().map(bytes_of).sum::<usize>();
            rows.extend(group);
        }
        let more = full || rows.len() < total;
        let next = rows.last().filter(|_| more).map(|row| StepCursor { call: row.call.0, ordinal: row.ordinal });
        Ok(StepPage { rows, next })
    }

    /// The latest output of each step of the root block that completed, or that failed and was passed over, in the order
    /// in which they ended.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn step_outputs(&self, execution_id: &str) -> Result<Vec<StepOutput>, StoreError> {
        let query = sqlx::query(queries::STEPS_OF_ROOT).bind(execution_id);
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list outputs of steps", e))?;
        let mut latest: BTreeMap<Arc<str>, Seq> = BTreeMap::new();
        for row in &rows {
            let mut columns = Columns::new(row, "a step");
            let (step_id, end) = (columns.text()?, columns.number()?);
            let known = latest.entry(step_id).or_insert(end);
            *known = end.max(*known);
        }
        let mut events = self.events_at(execution_id, &latest.values().copied().collect()).await?;
        let mut ends: Vec<(Seq, Arc<str>)> = latest.into_iter().map(|(step_id, end)| (end, step_id)).collect();
        ends.sort_unstable();
        let output = |(end, step_id)| Some(StepOutput { step_id, output: output_of(events.remove(&end)?)? });
        Ok(ends.into_iter().filter_map(output).collect())
    }

    /// Fills in what stands in the log.
    async fn with_documents(&self, execution_id: &str, visits: Vec<Visit>) -> Result<Vec<StepRow>, StoreError> {
        let reached = visits.iter().filter(|visit| visit.row.ordinal == 0);
        let seqs: BTreeSet<Seq> = reached.flat_map(|visit| [Some(visit.row.call.0), visit.end_seq]).flatten().collect();
        let mut events = self.events_at(execution_id, &seqs).await?;
        let complete = |Visit { mut row, end_seq }: Visit| {
            for seq in [Some(row.call.0), end_seq].into_iter().flatten() {
                if let Some(event) = events.remove(&seq) {
                    fill(&mut row, event);
                }
            }
            row
        };
        Ok(visits.into_iter().map(complete).collect())
    }
}

/// A row whose documents are not read yet.
struct Visit {
    row: StepRow,
    end_seq: Option<Seq>,
}

/// What a step of the root block shows to the steps after it.
fn output_of(event: Event) -> Option<Json> {
    if let Event::StepFailed { failure, then: AfterFailure::Continue(_), .. } = &event {
        return Some(Json::from_value(serde_json::json!({ "error": failure })));
    }
    if let Event::StepCompleted { output, .. } = event { Some(output) } else { None }
}

/// Takes over what an event that began or ended a visit tells.
fn fill(row: &mut StepRow, event: Event) {
    if let Event::StepStarted { work, .. } = event {
        match work {
            Work::Call { input } => row.input = Some(input),
            Work::Human { request, .. } => row.input = Some(request),
            Work::Loop { items, count, omitted } => {
                row.input = Some(items);
                if omitted > 0 {
                    let warning = format!("{omitted} items were left out: max_iterations lets {count} run");
                    row.warnings.push(warning);
                }
            }
            Work::Condition { warnings } => row.warnings = warnings,
            Work::Parallel | Work::Nothing => {}
        }
    } else if let Event::StepCompleted { output, report, .. } = event {
        row.output = Some(output);
        tell(row, report);
    } else if let Event::StepFailed { failure, report, .. } = event {
        row.failure = Some(failure);
        tell(row, report);
    }
}

fn tell(row: &mut StepRow, report: Report) {
    row.usage = report.usage;
    row.fuel = report.fuel;
    row.logs = report.logs;
    row.warnings.extend(report.warnings);
}

fn bytes_of(row: &StepRow) -> usize {
    let documents = [&row.input, &row.output].into_iter().flatten().map(|json| json.text().len()).sum::<usize>();
    documents + row.logs.iter().map(|line| line.message.len()).sum::<usize>()
}

const STATUSES: [StepStatus; 7] = [
    StepStatus::Running,
    StepStatus::AwaitingHuman,
    StepStatus::Completed,
    StepStatus::Failed,
    StepStatus::Timeout,
    StepStatus::Skipped,
    StepStatus::Cancelled,
];

const KINDS: [StepType; 6] =
    [StepType::Tool, StepType::Agent, StepType::Condition, StepType::Human, StepType::Parallel, StepType::Loop];

fn visit(execution_id: &str, row: &SqliteRow) -> Result<Visit, StoreError> {
    let mut columns = Columns::new(row, "a step");
    let row = StepRow {
        execution_id: execution_id.into(),
        call: columns.call()?,
        ordinal: columns.number()?,
        step_id: columns.text()?,
        path: columns.text()?,
        scope: ScopeId(columns.number()?),
        kind: columns.word_or_none(&KINDS, StepType::as_str)?,
        status: columns.word(&STATUSES, StepStatus::as_str)?,
        attempt: columns.number()?,
        started_at: columns.time_or_none()?,
        completed_at: columns.time_or_none()?,
        input: None,
        output: None,
        usage: Amounts::default(),
        failure: None,
        warnings: Vec::new(),
        logs: Vec::new(),
        fuel: None,
    };
    Ok(Visit { row, end_seq: columns.number_or_none()? })
}
