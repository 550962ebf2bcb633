//! A batch as statements: as few texts as possible, since each is a round trip to the connection's thread.
//!
//! New rows are lists of values, which cost about half as much as `json_each`. A prepared text has a fixed number of
//! rows, so lists are filled up to a power of two with rows of NULL. Changes are rarer and go through `json_each`.

use std::{ops::Range, sync::Arc};

use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use weir_engine::id::Timestamp;

use super::{
    batch::{Changed, NewExecution, Prepared},
    budgets::DrawnRows,
    chunk::Chunk,
    columns::signed,
    companion::Companions,
    deliveries::LargeBody,
    journal::Journal,
    kv::KvRows,
    projection::Step,
    queries::{
        BEGIN, COMMIT, INSERT_EVENTS, INSERT_EXECUTIONS, INSERT_STEPS, Insertion, WRITE_CHANGES, WRITE_COMPANIONS,
        WRITE_QUESTIONS, budgets::WRITE_DRAWN, journal::WRITE_JOURNAL, kv::WRITE_KV, webhooks::WRITE_BODY,
    },
    questions::Questions,
};

/// The most new executions, or chunks, in one text. More would hardly save time, but take memory.
const ROWS_MAX: usize = 64;
/// The most new steps in one text.
const STEPS_MAX: usize = 256;

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The new rows of a batch.
#[derive(Default)]
struct New<'b> {
    executions: Vec<(&'b Arc<str>, &'b NewExecution)>,
    /// At least one of each execution, in the order of `executions`: so none is written before its execution.
    chunks: Vec<(&'b Arc<str>, &'b Chunk)>,
    steps: Vec<(&'b Arc<str>, &'b Step)>,
}

/// Writes appends, each of another execution, in one transaction. After an error it is still open.
pub(super) async fn write(connection: &mut SqliteConnection, group: &[&Prepared]) -> Result<(), sqlx::Error> {
    let new = New::of(group);
    let changed = Changed::of(group);
    let questions = Questions::of_all(group);
    let (journal, kv, drawn) = (Journal::of_all(group), KvRows::of_all(group), DrawnRows::of_all(group));
    let mut companions = Companions::bound(connection, group).await?;
    let bodies: Vec<&LargeBody> = group.iter().flat_map(|prepared| &prepared.companions.bodies).collect();
    let parts = new.parts();
    for part in 0..parts {
        let last = part + 1 == parts;
        let changed = changed.as_ref().filter(|_| last);
        let questions = questions.as_ref().filter(|_| last);
        let rows = new.part(part);
        let companions = companions.take_if(|_| last);
        let journal = journal.as_ref().filter(|_| last);
        let kv = kv.as_ref().filter(|_| last);
        let drawn = drawn.as_ref().filter(|_| last);
        let bodies = if last { bodies.as_slice() } else { &[] };
        let extras = [
            (changed.is_some(), WRITE_CHANGES),
            (questions.is_some(), WRITE_QUESTIONS),
            (companions.is_some(), WRITE_COMPANIONS),
            (journal.is_some(), WRITE_JOURNAL),
            (kv.is_some(), WRITE_KV),
            (drawn.is_some(), WRITE_DRAWN),
        ];
        let text = rows.text(part == 0, extras, bodies.len(), last);
        let query = rows.bind(sqlx::query(AssertSqlSafe(text)));
        let query = match changed {
            None => query,
            Some(changed) => query.bind(changed.executions.finish()).bind(changed.steps.finish()),
        };
        let query = match questions {
            None => query,
            Some(questions) => questions.bind(query),
        };
        let query = match companions {
            None => query,
            Some(companions) => companions.bind(query),
        };
        let query = match journal {
            None => query,
            Some(journal) => journal.bind(query),
        };
        let query = match kv {
            None => query,
            Some(kv) => kv.bind(query),
        };
        let query = match drawn {
            None => query,
            Some(drawn) => drawn.bind(query),
        };
        let query = bodies
            .iter()
            .fold(query, |query, body| query.bind(Arc::clone(&body.text)).bind(Arc::clone(&body.delivery_id)));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

impl<'b> New<'b> {
    fn of(group: &[&'b Prepared]) -> Self {
        let mut new = Self::default();
        for prepared in group {
            let id = &prepared.execution_id;
            new.executions.extend(prepared.new_execution.iter().map(|execution| (id, execution)));
            new.chunks.extend(prepared.chunks.iter().map(|chunk| (id, chunk)));
            new.steps.extend(prepared.new_steps.iter().map(|step| (id, step)));
        }
        new
    }

    /// How many texts it takes.
    fn parts(&self) -> usize {
        let rows = self.executions.len().max(self.chunks.len()).div_ceil(ROWS_MAX);
        rows.max(self.steps.len().div_ceil(STEPS_MAX)).max(1)
    }

    fn part(&self, part: usize) -> Part<'_> {
        let (rows, steps) = (span(part, ROWS_MAX), span(part, STEPS_MAX));
        Part {
            executions: within(&self.executions, rows.clone()),
            chunks: within(&self.chunks, rows),
            steps: within(&self.steps, steps),
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
}

impl Part<'_> {
    fn text(&self, first: bool, extras: [(bool, &str); 6], bodies: usize, last: bool) -> String {
        let mut text = if first { format!("{BEGIN};") } else { String::new() };
        text += &INSERT_EXECUTIONS.text(filled(self.executions.len()));
        text += &INSERT_EVENTS.text(filled(self.chunks.len()));
        text += &INSERT_STEPS.text(filled(self.steps.len()));
        for (wanted, extra) in extras {
            text += if wanted { extra } else { "" };
        }
        text += &WRITE_BODY.repeat(bodies);
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
        fill(rows, &INSERT_STEPS, self.steps.len())
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
