//! Rows that are written together with an append, or not at all: what an execution was started for, who asked for it.

use std::sync::Arc;

use sqlx::SqliteConnection;
use weir_engine::id::Timestamp;

use super::{
    Store, StoreError,
    audit::{self, AuditEntry},
    batch::{Prepared, Rows},
    budgets::{Drawn, DrawnRows},
    bulk::Extra,
    bus::NewBusEvent,
    columns::Columns,
    deliveries::NewDelivery,
    error::database,
    journal::{EffectBegun, EffectEnded, Journal},
    kv::{KvRows, KvWrite},
    links::LinkHash,
    now,
    occurrences::{Moved, NewOccurrence},
    queries::{self, WRITE_AUDIT, WRITE_BUS_EVENTS, WRITE_IDEMPOTENCY_KEYS, WRITE_LINKS_USED, WRITE_MOVED},
};
use crate::hex::hex;

/// How long a client's key is kept at least.
const KEY_KEPT_MS: u64 = 48 * 3_600_000;

/// A row that goes with an append. Where one of them is there already, the append is refused as a conflict.
#[derive(Debug, Clone)]
pub enum Companion {
    /// What somebody did.
    Audit(AuditEntry),
    /// A client's name for the start.
    IdempotencyKey(IdempotencyKey),
    /// A link was used, to decide.
    LinkUsed(LinkHash),
    /// What a trigger started it for. One that was queued or failed is taken over; any other that is there refuses.
    Occurrence(NewOccurrence),
    /// How far a schedule has come.
    Moved(Moved),
    /// What came in at a webhook and started it.
    Delivery(NewDelivery),
    /// What the host tells of it. One that is there already stays as it is.
    BusEvent(NewBusEvent),
    /// A running call asks the host to do something.
    EffectBegun(EffectBegun),
    /// What came of it.
    EffectEnded(EffectEnded),
    /// A document of a plugin is written, or taken away.
    Kv(KvWrite),
    /// Something is drawn from a budget.
    Drawn(Drawn),
    /// The execution follows others, the first one first.
    Descends {
        /// The execution.
        execution_id: Arc<str>,
        /// Those that led to it.
        ancestors: Vec<Arc<str>>,
    },
}

/// A client's name for a start: the same name starts nothing again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose name it is.
    pub principal: String,
    /// The name.
    pub key: String,
    /// SHA-256 of what was asked, in hex.
    pub request_digest: String,
    /// The execution that it started.
    pub execution_id: Arc<str>,
}

/// The companions of one append, as rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Companions {
    audit: Vec<AuditEntry>,
    keys: Rows,
    links: Rows,
    moved: Rows,
    bus_events: Rows,
    pub(super) occurrences: Vec<NewOccurrence>,
    pub(super) deliveries: Vec<NewDelivery>,
    pub(super) journal: Journal,
    pub(super) kv: KvRows,
    pub(super) drawn: DrawnRows,
}

impl Companions {
    pub(super) fn of(companions: &[Companion]) -> Result<Self, serde_json::Error> {
        let mut all = Self::default();
        for companion in companions {
            match companion {
                Companion::Audit(entry) => all.audit.push(entry.clone()),
                Companion::LinkUsed(hash) => all.links.push(&(hex(hash), now()))?,
                Companion::IdempotencyKey(key) => {
                    let IdempotencyKey { principal, key, request_digest, execution_id } = key;
                    all.keys.push(&(principal, key, request_digest, execution_id, now()))?;
                }
                Companion::Occurrence(occurrence) => all.occurrences.push(occurrence.clone()),
                Companion::Moved(moved) => moved.push(&mut all.moved)?,
                Companion::Delivery(delivery) => all.deliveries.push(delivery.clone()),
                Companion::BusEvent(event) => event.push(&mut all.bus_events)?,
                Companion::EffectBegun(begun) => all.journal.begin(begun)?,
                Companion::EffectEnded(ended) => all.journal.end(ended)?,
                Companion::Kv(write) => all.kv.push(write)?,
                Companion::Drawn(drawn) => all.drawn.push(drawn)?,
                Companion::Descends { execution_id, ancestors } => all.drawn.descends(execution_id, ancestors)?,
            }
        }
        Ok(all)
    }

    /// What the companions of a batch write, but for new rows. Reads the end of the audit log if there is one to write on.
    pub(super) async fn of_all(
        connection: &mut SqliteConnection,
        group: &[&Prepared],
    ) -> Result<impl Iterator<Item = Extra> + use<>, sqlx::Error> {
        let mut all = Self::default();
        for Prepared { companions, .. } in group {
            all.audit.extend(companions.audit.iter().cloned());
            all.keys.extend(&companions.keys);
            all.moved.extend(&companions.moved);
            all.bus_events.extend(&companions.bus_events);
            all.links.extend(&companions.links);
        }
        let audit = match all.audit.as_slice() {
            [] => None,
            entries => Some(Extra { text: WRITE_AUDIT, values: vec![audit::rows(connection, entries).await?] }),
        };
        let others = [
            Extra::of(WRITE_IDEMPOTENCY_KEYS, [&all.keys]),
            Extra::of(WRITE_MOVED, [&all.moved]),
            Extra::of(WRITE_LINKS_USED, [&all.links]),
            Extra::of(WRITE_BUS_EVENTS, [&all.bus_events]),
        ];
        Ok([audit].into_iter().chain(others).flatten())
    }

    /// Whether the host tells something of it.
    pub(super) fn has_bus_events(&self) -> bool {
        !self.bus_events.is_empty()
    }
}

impl Store {
    /// What a client's key started, if it started something.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn idempotency_key(&self, principal: &str, key: &str) -> Result<Option<IdempotencyKey>, StoreError> {
        let query = sqlx::query(queries::IDEMPOTENCY_KEY).bind(principal).bind(key);
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read a key", e))?;
        let Some(row) = row else { return Ok(None) };
        let mut columns = Columns::new(&row, "an idempotency key");
        let (request_digest, execution_id) = (columns.next()?, columns.text()?);
        Ok(Some(IdempotencyKey { principal: principal.to_owned(), key: key.to_owned(), request_digest, execution_id }))
    }

    /// Forgets keys that are older than two days.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn forget_idempotency_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.0.saturating_sub(i64::try_from(KEY_KEPT_MS * 1_000).unwrap_or(i64::MAX));
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(queries::FORGET_IDEMPOTENCY_KEYS).bind(before).execute(connection).await;
                Ok(done.map_err(|e| database("forget keys", e))?.rows_affected())
            })
        })
        .await
    }
}
