//! Logs: one row a chunk of events.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use weir_engine::{
    event::{Event, Record},
    id::Seq,
};

use super::{
    Store, StoreError, chunk,
    columns::{Columns, signed},
    error::database,
    queries,
};

/// A bounded read of a log ends after so many bytes of chunks.
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Store {
    /// The whole log of an execution, in order; empty if there is none.
    ///
    /// # Errors
    /// The log cannot be read, or has gaps.
    pub async fn load(&self, execution_id: &str) -> Result<Vec<Record>, StoreError> {
        self.read_log(execution_id, 0, usize::MAX, usize::MAX).await
    }

    /// The next events after number `after`, in order: up to `limit`, and fewer where they are large; none at the end.
    ///
    /// # Errors
    /// The log cannot be read, or has gaps.
    pub async fn load_from(&self, execution_id: &str, after: Seq, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read_log(execution_id, after, limit, READ_BYTES_MAX).await
    }

    async fn read_log(
        &self,
        execution_id: &str,
        after: Seq,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let wanted = after.saturating_add(1);
        let query = sqlx::query(queries::EVENTS_FROM).bind(execution_id).bind(signed(wanted));
        let mut rows = query.fetch(&self.inner.readers);
        let mut records: Vec<Record> = Vec::new();
        let mut bytes: usize = 0;
        while records.len() < limit && bytes < bytes_max {
            let Some(row) = rows.try_next().await.map_err(|e| database("read a log", e))? else { break };
            let (seq, data) = chunk_row(&row)?;
            bytes = bytes.saturating_add(data.len());
            let expected = records.last().map_or(wanted, |last| last.seq + 1);
            let more = decode(execution_id, seq, data, |seq| seq >= expected)?;
            // The first chunk may lie wholly before what is wanted: that is the end of the log.
            if more.first().is_some_and(|first| first.seq != expected) {
                return Err(corrupt(execution_id, format!("event {expected} is missing")));
            }
            records.extend(more);
        }
        records.truncate(limit);
        Ok(records)
    }

    /// The events with these numbers.
    ///
    /// # Errors
    /// The log cannot be read, or one of them is missing.
    pub async fn events_at(
        &self,
        execution_id: &str,
        seqs: &BTreeSet<Seq>,
    ) -> Result<BTreeMap<Seq, Event>, StoreError> {
        let mut events = BTreeMap::new();
        for seq in seqs {
            if events.contains_key(seq) {
                continue;
            }
            let query = sqlx::query(queries::EVENTS_CHUNK).bind(execution_id).bind(signed(*seq));
            let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read a log", e))?;
            let Some(row) = row else { return Err(corrupt(execution_id, format!("event {seq} is missing"))) };
            let (first, data) = chunk_row(&row)?;
            let found = decode(execution_id, first, data, |seq| seqs.contains(&seq))?;
            events.extend(found.into_iter().map(|record| (record.seq, record.event)));
            if !events.contains_key(seq) {
                return Err(corrupt(execution_id, format!("event {seq} is missing")));
            }
        }
        Ok(events)
    }
}

fn chunk_row(row: &SqliteRow) -> Result<(Seq, &str), StoreError> {
    let mut columns = Columns::new(row, "a chunk of a log");
    Ok((columns.number()?, columns.next()?))
}

fn decode(id: &str, seq: Seq, data: &str, seqs: impl Fn(Seq) -> bool) -> Result<Vec<Record>, StoreError> {
    chunk::decode(seq, data, seqs).map_err(|e| corrupt(id, format!("events from {seq}: {e}")))
}

fn corrupt(execution_id: &str, reason: String) -> StoreError {
    StoreError::Corrupt { what: format!("the log of execution {execution_id}"), reason }
}
