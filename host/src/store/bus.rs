//! The bus: events that came from outside, and the host's own where a trigger waits for them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use tokio::sync::Notify;
use weir_engine::{
    id::{Seq, Timestamp},
    json::Json,
};

use super::{
    Store, StoreError,
    batch::Rows,
    columns::{Columns, page, signed},
    error::database,
    interest::HostEvent,
    now,
    queries::bus as queries,
};

/// The source of the host's own events.
pub const HOST_SOURCE: &str = "weir:host";
/// As many events from outside may wait to be dispatched.
pub const BACKLOG_MAX: u64 = 100_000;
/// How long an event is kept at least; a copy that comes later is a new one.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// How many old events are looked at in one write.
const FORGOTTEN: u64 = 500;
/// The most events of one read of what is not dispatched yet.
pub const UNDISPATCHED_MAX: u32 = 64;

/// An event to write. One with the same source and id that is there already stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBusEvent {
    /// Where it comes from, a URI reference.
    pub source: String,
    /// What makes it one at its source.
    pub id: String,
    /// What kind of event.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened, RFC 3339.
    pub time: Option<String>,
    /// The whole event, in the JSON format of CloudEvents.
    pub event: Json,
    /// The chain of executions that led here: a list, the newest last.
    pub lineage: Option<Json>,
}

impl NewBusEvent {
    /// One of the host's own events; `id` makes it one among those of its type.
    #[must_use]
    pub fn of_host(event: HostEvent, id: &str, subject: &str, at: Timestamp, data: Value) -> Self {
        let event_type = event.as_str();
        let id = format!("{id}/{}", event_type.trim_start_matches("weir."));
        let time = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX).to_string();
        let whole = json!({
            "specversion": "1.0", "id": id, "source": HOST_SOURCE, "type": event_type, "subject": subject, "time": time,
            "datacontenttype": "application/json", "data": data,
        });
        Self {
            source: HOST_SOURCE.to_owned(),
            id,
            event_type: event_type.to_owned(),
            subject: Some(subject.to_owned()),
            time: Some(time),
            event: Json::from_value(whole),
            lineage: None,
        }
    }

    /// Adds it to the rows of a bulk statement.
    pub(super) fn push(&self, rows: &mut Rows) -> Result<(), serde_json::Error> {
        #[derive(Serialize)]
        struct Row<'e>(
            &'e str,
            &'e str,
            &'e str,
            Option<&'e str>,
            Option<&'e str>,
            &'e str,
            Option<&'e str>,
            Timestamp,
        );
        let Self { source, id, event_type, subject, time, event, lineage } = self;
        let lineage = lineage.as_ref().map(Json::text);
        let (subject, time) = (subject.as_deref(), time.as_deref());
        rows.push(&Row(source, id, event_type, subject, time, event.text(), lineage, now()))
    }
}

/// A stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct BusEventRow {
    /// Its number on this host: they go up in the order in which events were stored.
    pub seq: Seq,
    /// Where it comes from.
    pub source: Arc<str>,
    /// What makes it one at its source.
    pub id: Arc<str>,
    /// What kind of event.
    pub event_type: Arc<str>,
    /// What it is about.
    pub subject: Option<Arc<str>>,
    /// When it happened, as its source says.
    pub time: Option<Arc<str>>,
    /// The whole event, in the JSON format of CloudEvents.
    pub event: Json,
    /// The chain of executions that led here.
    pub lineage: Option<Json>,
    /// When it was stored.
    pub received_at: Timestamp,
    /// When every trigger that waits for it had its occurrence.
    pub dispatched_at: Option<Timestamp>,
}

/// Which events to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct BusEventFilter {
    /// Those of this type.
    pub event_type: Option<String>,
    /// Those from here.
    pub source: Option<String>,
}

/// Wakes whoever dispatches.
#[derive(Debug, Clone, Default)]
pub(super) struct News(Arc<Notify>);

impl News {
    pub(super) fn tell(&self) {
        self.0.notify_one();
    }
}

impl Store {
    /// Stores events, all of them or none; tells how many were not there before.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn accept_events(&self, events: &[NewBusEvent]) -> Result<u64, StoreError> {
        let mut rows = Rows::default();
        events.iter().try_for_each(|event| event.push(&mut rows)).map_err(unwritable)?;
        let (rows, store) = (rows.finish(), self.clone());
        // Whoever asks may go at any time, and what was stored must be told all the same.
        let stored = tokio::spawn(async move {
            let write = store.write(move |connection| {
                Box::pin(async move {
                    let done = sqlx::query(queries::WRITE_BUS_EVENTS).bind(rows).execute(connection).await;
                    Ok(done.map_err(|e| database("store events", e))?.rows_affected())
                })
            });
            let accepted = write.await?;
            store.inner.news.tell();
            Ok(accepted)
        });
        stored.await.map_err(|_| StoreError::Closed)?
    }

    /// One event.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn bus_event(&self, seq: Seq) -> Result<Option<BusEventRow>, StoreError> {
        let row = sqlx::query(queries::BUS_EVENT).bind(signed(seq)).fetch_optional(&self.inner.readers).await;
        row.map_err(|e| database("read an event", e))?.as_ref().map(bus_event_row).transpose()
    }

    /// Events, newest first, older than number `before`, at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn bus_events(
        &self,
        filter: &BusEventFilter,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Vec<BusEventRow>, StoreError> {
        let text = match (&filter.event_type, &filter.source) {
            (None, None) => queries::BUS_EVENTS,
            (Some(_), None) => queries::BUS_EVENTS_BY_TYPE,
            (None, Some(_)) => queries::BUS_EVENTS_BY_SOURCE,
            (Some(_), Some(_)) => queries::BUS_EVENTS_BY_TYPE_AND_SOURCE,
        };
        let query = sqlx::query(text).bind(before.map_or(i64::MAX, signed)).bind(page(limit));
        let given = [&filter.event_type, &filter.source].into_iter().flatten();
        let rows = given.fold(query, |query, given| query.bind(given)).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("list events", e))?.iter().map(bus_event_row).collect()
    }

    /// The next events after number `after` that are not dispatched, in order; at most [`UNDISPATCHED_MAX`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn undispatched(&self, after: Seq) -> Result<Vec<BusEventRow>, StoreError> {
        let query = sqlx::query(queries::UNDISPATCHED).bind(signed(after)).bind(UNDISPATCHED_MAX);
        let rows = query.fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("list events to dispatch", e))?.iter().map(bus_event_row).collect()
    }

    /// Says of events that every trigger that waits for them had its occurrence.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn mark_dispatched(&self, seqs: &[Seq]) -> Result<(), StoreError> {
        let seqs = Json::from_value(seqs.into()).text().to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(queries::MARK_DISPATCHED).bind(now().0).bind(seqs).execute(connection).await;
                done.map(drop).map_err(|e| database("mark events as dispatched", e))
            })
        })
        .await
    }

    /// Forgets events that are older than 30 days and dispatched; tells how many.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn forget_events(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.0.saturating_sub(KEPT_MS * 1_000);
        let mut all = 0;
        loop {
            let write = self.write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(queries::FORGET_BUS_EVENTS).bind(before).bind(signed(FORGOTTEN));
                    let done = query.execute(connection).await.map_err(|e| database("forget events", e))?;
                    Ok(done.rows_affected())
                })
            });
            let forgotten = write.await?;
            all += forgotten;
            if forgotten < FORGOTTEN {
                return Ok(all);
            }
        }
    }

    /// What is notified when events were stored, or when those who wait for them changed.
    #[must_use]
    pub fn bus_news(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.news.0)
    }

    /// How many events are not dispatched yet; counted up to [`BACKLOG_MAX`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn backlog(&self) -> Result<u64, StoreError> {
        let row = sqlx::query(queries::BACKLOG).bind(signed(BACKLOG_MAX)).fetch_one(&self.inner.readers).await;
        Columns::new(&row.map_err(|e| database("count events to dispatch", e))?, "a count").number()
    }
}

/// Writes events on the writer's connection, in the transaction of whoever asks.
pub(super) async fn record(connection: &mut SqliteConnection, event: &NewBusEvent) -> Result<(), StoreError> {
    let mut rows = Rows::default();
    event.push(&mut rows).map_err(unwritable)?;
    let done = sqlx::query(queries::WRITE_BUS_EVENTS).bind(rows.finish()).execute(connection).await;
    done.map(drop).map_err(|e| database("store an event", e))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unwritable(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: "an event".to_owned(), reason: error.to_string() }
}

fn bus_event_row(row: &SqliteRow) -> Result<BusEventRow, StoreError> {
    let mut columns = Columns::new(row, "an event");
    Ok(BusEventRow {
        seq: columns.number()?,
        source: columns.text()?,
        id: columns.text()?,
        event_type: columns.text()?,
        subject: columns.text_or_none()?,
        time: columns.text_or_none()?,
        event: columns.json()?,
        lineage: columns.json_or_none()?,
        received_at: columns.time()?,
        dispatched_at: columns.time_or_none()?,
    })
}
