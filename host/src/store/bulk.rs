//! A batch as statements: as few texts as possible, since each is a round trip to the connection's thread.
//!
//! New rows are lists of values, which cost about half as much as `json_each`. A prepared text has a fixed number of
//! rows, so lists are filled up to a power of two with rows of NULL. Changes are rarer and go through `json_each`.

use std::{ops::Range, sync::Arc};

use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use weir_engine::id::Timestamp;

use super::{
    batch::{Changed, NewExecution, Prepared, Rows},
    budgets::DrawnRows,
    chunk::Chunk,
    columns::signed,
    companion::Companions,
    deliveries::NewDelivery,
    journal::Journal,
    kv::KvRows,
    occurrences::NewOccurrence,
    projection::Step,
    queries::{
        BEGIN, COMMIT, INSERT_DELIVERIES, INSERT_EVENTS, INSERT_EXECUTIONS, INSERT_OCCURRENCES, INSERT_STEPS, Insertion,
    },
    questions::Questions,
};

/// The most new executions, or chunks, in one text. More would hardly save time, but take memory.
const ROWS_MAX: usize = 64;
/// The most new steps in one text.
const STEPS_MAX: usize = 256;

/// A statement on the writer's connection.
pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The new rows of a batch.
#[derive(Default)]
struct New<'b> {
    executions: Vec<(&'b Arc<str>, &'b NewExecution)>,
    /// At least one of each execution, in the order of `executions`: so none is written before its execution.
    chunks: Vec<(&'b Arc<str>, &'b Chunk)>,
    steps: Vec<(&'b Arc<str>, &'b Step)>,
    /// What triggers started them for.
    occurrences: Vec<&'b NewOccurrence>,
    deliveries: Vec<&'b NewDelivery>,
}

/// What else a batch writes: statements, and the value of each `?` in them.
pub(super) struct Extra {
    pub(super) text: &'static str,
    pub(super) values: Vec<String>,
}

impl Extra {
    /// Statements that take a list of rows each; `None` where all lists are empty.
    pub(super) fn of<const N: usize>(text: &'static str, lists: [&Rows; N]) -> Option<Self> {
        let nothing = lists.iter().all(|rows| rows.is_empty());
        (!nothing).then(|| Self { text, values: lists.iter().map(|rows| rows.finish()).collect() })
    }
}

/// Writes appends, each of another execution, in one transaction. After an error it is still open.
pub(super) async fn write(connection: &mut SqliteConnection, group: &[&Prepared]) -> Result<(), sqlx::Error> {
    let new = New::of(group);
    let mut extras = extras(connection, group).await?;
    let parts = new.parts();
    for part in 0..parts {
        let last = part + 1 == parts;
        let extras = if last { std::mem::take(&mut extras) } else { Vec::new() };
        let rows = new.part(part);
        let text = rows.text(part == 0, &extras, last);
        let values = extras.into_iter().flat_map(|extra| extra.values);
        let query = values.fold(rows.bind(sqlx::query(AssertSqlSafe(text))), Query::bind);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// What the appends write besides new executions, events and steps. Reads the end of the audit log where that is needed.
async fn extras(connection: &mut SqliteConnection, group: &[&Prepared]) -> Result<Vec<Extra>, sqlx::Error> {
    let mut extras = Vec::from_iter(Changed::of_all(group));
    extras.extend(Questions::of_all(group));
    extras.extend(Companions::of_all(connection, group).await?);
    extras.extend(Journal::of_all(group));
    extras.extend(KvRows::of_all(group));
    extras.extend(DrawnRows::of_all(group));
    Ok(extras)
}

impl<'b> New<'b> {
    fn of(group: &[&'b Prepared]) -> Self {
        let mut new = Self::default();
        for prepared in group {
            let id = &prepared.execution_id;
            new.executions.extend(prepared.new_execution.iter().map(|execution| (id, execution)));
            new.chunks.extend(prepared.chunks.iter().map(|chunk| (id, chunk)));
            new.steps.extend(prepared.new_steps.iter().map(|step| (id, step)));
            new.occurrences.extend(&prepared.companions.occurrences);
            new.deliveries.extend(&prepared.companions.deliveries);
        }
        new
    }

    /// How many texts it takes.
    fn parts(&self) -> usize {
        let companions = self.occurrences.len().max(self.deliveries.len());
        let rows = self.executions.len().max(self.chunks.len()).max(companions).div_ceil(ROWS_MAX);
        rows.max(self.steps.len().div_ceil(STEPS_MAX)).max(1)
    }

    fn part(&self, part: usize) -> Part<'_> {
        let (rows, steps) = (span(part, ROWS_MAX), span(part, STEPS_MAX));
        Part {
            executions: within(&self.executions, rows.clone()),
            chunks: within(&self.chunks, rows.clone()),
            steps: within(&self.steps, steps),
            occurrences: within(&self.occurrences, rows.clone()),
            deliveries: within(&self.deliveries, rows),
        }
    }
}

fn span(part: usize, size: usize) -> Range<usize> {
    part * size..(part + 1) * size
}

fn within<T>(all: &[T], span: Range<usize>) -> &[T] {
    &all[span.start.min(all.len())..span.end.min(all.len())]
}

/// The new rows of one text.
struct Part<'b> {
    executions: &'b [(&'b Arc<str>, &'b NewExecution)],
    chunks: &'b [(&'b Arc<str>, &'b Chunk)],
    steps: &'b [(&'b Arc<str>, &'b Step)],
    occurrences: &'b [&'b NewOccurrence],
    deliveries: &'b [&'b NewDelivery],
}

impl Part<'_> {
    fn text(&self, first: bool, extras: &[Extra], last: bool) -> String {
        let mut text = if first { format!("{BEGIN};") } else { String::new() };
        text += &INSERT_EXECUTIONS.text(filled(self.executions.len()));
        text += &INSERT_EVENTS.text(filled(self.chunks.len()));
        text += &INSERT_STEPS.text(filled(self.steps.len()));
        text += &INSERT_OCCURRENCES.text(filled(self.occurrences.len()));
        text += &INSERT_DELIVERIES.text(filled(self.deliveries.len()));
        for extra in extras {
            text += extra.text;
        }
        if last {
            text += COMMIT;
        }
        text
    }

    fn bind<'q>(&self, query: Statement<'q>) -> Statement<'q> {
        let rows = self.executions.iter().fold(query, |query, (id, row)| bind_execution(query, id, row));
        let query = fill(rows, &INSERT_EXECUTIONS, self.executions.len());
        let rows = self.chunks.iter().fold(query, |query, (id, chunk)| {
            query.bind(Arc::clone(id)).bind(signed(chunk.seq)).bind(Arc::clone(&chunk.data))
        });
        let query = fill(rows, &INSERT_EVENTS, self.chunks.len());
        let rows = self.steps.iter().fold(query, |query, (id, step)| bind_step(query, id, step));
        let query = fill(rows, &INSERT_STEPS, self.steps.len());
        let rows = self.occurrences.iter().fold(query, |query, row| row.bind(query));
        let query = fill(rows, &INSERT_OCCURRENCES, self.occurrences.len());
        let rows = self.deliveries.iter().fold(query, |query, row| row.bind(query));
        fill(rows, &INSERT_DELIVERIES, self.deliveries.len())
    }
}

/// How many rows the text for `rows` has.
fn filled(rows: usize) -> usize {
    if rows == 0 { 0 } else { rows.next_power_of_two() }
}

fn fill<'q>(query: Statement<'q>, insertion: &Insertion, rows: usize) -> Statement<'q> {
    let missing = (filled(rows) - rows) * insertion.width();
    (0..missing).fold(query, |query, _| query.bind(None::<i64>))
}

fn time(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.0)
}

fn bind_execution<'q>(query: Statement<'q>, id: &Arc<str>, row: &NewExecution) -> Statement<'q> {
    query
        .bind(Arc::clone(id))
        .bind(Arc::clone(&row.started.workflow_id))
        .bind(Arc::clone(&row.started.workflow_name))
        .bind(row.started.workflow_version)
        .bind(row.trigger_source.clone())
        .bind(row.started_at.0)
        .bind(row.status)
        .bind(row.current_step_id.clone())
        .bind(row.usage.clone())
        .bind(time(row.wake_at))
        .bind(row.idle)
        .bind(time(row.completed_at))
        .bind(row.failure.clone())
        .bind(row.paused.clone())
        .bind(signed(row.last_seq))
        .bind(row.started_by.clone())
}

fn bind_step<'q>(query: Statement<'q>, id: &Arc<str>, row: &Step) -> Statement<'q> {
    query
        .bind(Arc::clone(id))
        .bind(signed(row.call))
        .bind(row.ordinal)
        .bind(Arc::clone(&row.step_id))
        .bind(Arc::clone(&row.path))
        .bind(signed(row.scope.0))
        .bind(row.kind)
        .bind(row.status.as_str())
        .bind(row.attempt)
        .bind(time(row.started_at))
        .bind(time(row.completed_at))
        .bind(row.end_seq.map(signed))
}
