//! The journal: what running calls of plugins asked the host to do, and what came of it.
//!
//! Rows are companions of appends: an effect's row is written with the event that promises it room, its answer with the
//! event that settles it. Long documents are kept once, by their digest.

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use weir_engine::{
    id::{CallId, EffectId, Timestamp},
    json::Json,
};

use super::{
    Store, StoreError,
    batch::{Prepared, Rows},
    bulk::Extra,
    columns::{Columns, page, signed},
    error::database,
    queries::journal as queries,
};
use crate::hex::sha256_hex;

/// Documents longer than this are kept by their digest.
const INLINE_BYTES_MAX: usize = 2 << 10;

/// What an effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectKind {
    /// A request to a model.
    Model,
    /// A call of a tool, or of another agent.
    Tool,
    /// A request over HTTP.
    Http,
    /// A look at, or a change of, the plugin's own store.
    Kv,
    /// A request over HTTP whose answer streams, and is not recorded.
    Stream,
    /// A look at what is left to spend: when a call is made again, it must see the same.
    Budget,
    /// A look at the tools that the call may use: the same holds.
    Tools,
}

impl EffectKind {
    /// The kind as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Http => "http",
            Self::Kv => "kv",
            Self::Stream => "stream",
            Self::Budget => "budget",
            Self::Tools => "tools",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Model, Self::Tool, Self::Http, Self::Kv, Self::Stream, Self::Budget, Self::Tools]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// Which effect of which call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectKey {
    /// The execution.
    pub execution_id: Arc<str>,
    /// The visit whose call asked for it.
    pub call: CallId,
    /// How many attempts of the call had failed.
    pub generation: u32,
    /// Which one.
    pub effect: EffectId,
}

/// An effect that is about to begin.
#[derive(Debug, Clone)]
pub struct EffectBegun {
    /// Which one.
    pub key: EffectKey,
    /// What it is.
    pub kind: EffectKind,
    /// The model, the tool, the method and host, the operation and key.
    pub name: String,
    /// SHA-256 of what was asked for, in hex.
    pub request_hash: String,
    /// What was asked for, as it may be shown.
    pub request: Json,
    /// When.
    pub at: Timestamp,
}

/// An effect that is over.
#[derive(Debug, Clone)]
pub struct EffectEnded {
    /// Which one.
    pub key: EffectKey,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// The answer, or the failure.
    pub answer: Json,
    /// What else there is to know about it.
    pub details: Option<Json>,
    /// When.
    pub at: Timestamp,
}

/// A row of the journal.
#[derive(Debug, Clone)]
pub struct JournalRow {
    /// Where it stands among all rows.
    pub number: i64,
    /// The visit.
    pub call: CallId,
    /// How many attempts of the call had failed.
    pub generation: u32,
    /// Which effect of it.
    pub effect: EffectId,
    /// What it is.
    pub kind: EffectKind,
    /// The model, the tool, the method and host, the operation and key.
    pub name: Arc<str>,
    /// SHA-256 of what was asked for, in hex.
    pub request_hash: Arc<str>,
    /// What was asked for.
    pub request: Json,
    /// What came of it; `None` while it is under way.
    pub ended: Option<JournalEnd>,
    /// When it began.
    pub started_at: Timestamp,
}

/// What came of an effect.
#[derive(Debug, Clone)]
pub struct JournalEnd {
    /// `ok`, or the code of the failure.
    pub outcome: Arc<str>,
    /// The answer, or the failure.
    pub answer: Json,
    /// What else there is to know about it.
    pub details: Option<Json>,
    /// When.
    pub at: Timestamp,
}

/// Rows of one append, and of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    documents: Rows,
    begun: Rows,
    ended: Rows,
}

/// A document as its row has it: itself, or its digest.
type Kept<'d> = (Option<&'d str>, Option<String>);

impl Journal {
    pub(super) fn begin(&mut self, begun: &EffectBegun) -> Result<(), serde_json::Error> {
        let EffectBegun { key, kind, name, request_hash, request, at } = begun;
        let (request, digest) = self.keep(request)?;
        let EffectKey { execution_id, call, generation, effect } = key;
        let row = (execution_id, call, generation, effect, kind.as_str(), name, request_hash, request, digest, at);
        self.begun.push(&row)
    }

    pub(super) fn end(&mut self, ended: &EffectEnded) -> Result<(), serde_json::Error> {
        let EffectEnded { key, outcome, answer, details, at } = ended;
        let (answer, digest) = self.keep(answer)?;
        let EffectKey { execution_id, call, generation, effect } = key;
        let details = details.as_ref().map(Json::text);
        self.ended.push(&(execution_id, call, generation, effect, answer, digest, outcome, details, at))
    }

    fn keep<'d>(&mut self, document: &'d Json) -> Result<Kept<'d>, serde_json::Error> {
        let text = document.text();
        if text.len() <= INLINE_BYTES_MAX {
            return Ok((Some(text), None));
        }
        let digest = sha256_hex(text.as_bytes());
        self.documents.push(&(&digest, text))?;
        Ok((None, Some(digest)))
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.documents.extend(&other.documents);
        self.begun.extend(&other.begun);
        self.ended.extend(&other.ended);
    }

    /// What the journals of a batch write; `None` where there is nothing in them.
    pub(super) fn of_all(group: &[&Prepared]) -> Option<Extra> {
        let mut all = Self::default();
        for prepared in group {
            all.extend(&prepared.companions.journal);
        }
        Extra::of(queries::WRITE_JOURNAL, [&all.documents, &all.begun, &all.ended])
    }
}

impl Store {
    /// What is known about an effect; `None` where it never began.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn journal_row(&self, key: &EffectKey) -> Result<Option<JournalRow>, StoreError> {
        let query = sqlx::query(queries::EFFECT).bind(Arc::clone(&key.execution_id)).bind(signed(key.call.0));
        let query = query.bind(key.generation).bind(key.effect.to_string());
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read the journal", e))?;
        row.as_ref().map(row_of).transpose()
    }

    /// The effects of a call in the order in which they began, after the row `after` (0 for all), at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn journal(
        &self,
        execution_id: &str,
        call: CallId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let query = sqlx::query(queries::EFFECTS).bind(execution_id).bind(signed(call.0)).bind(after).bind(page(limit));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("read the journal", e))?;
        rows.iter().map(row_of).collect()
    }
}

fn row_of(row: &SqliteRow) -> Result<JournalRow, StoreError> {
    let mut columns = Columns::new(row, "a row of the journal");
    let (number, call, generation) = (columns.next()?, columns.call()?, columns.number()?);
    let effect =
        columns.next::<&str>()?.parse().map_err(|e: weir_engine::id::EffectIdError| columns.corrupt(&e.to_string()))?;
    let kind = columns.next::<&str>()?;
    let kind = EffectKind::of(kind).ok_or_else(|| columns.corrupt(&format!("{kind:?} is no kind of effect")))?;
    let (name, request_hash, request) = (columns.text()?, columns.text()?, columns.json()?);
    let (answer, outcome, details) = (columns.json_or_none()?, columns.text_or_none()?, columns.json_or_none()?);
    let (started_at, ended_at) = (columns.time()?, columns.time_or_none()?);
    let ended = match (outcome, ended_at) {
        (Some(outcome), Some(at)) => {
            Some(JournalEnd { outcome, answer: answer.unwrap_or_else(Json::null), details, at })
        }
        (None | Some(_), _) => None,
    };
    Ok(JournalRow { number, call, generation, effect, kind, name, request_hash, request, ended, started_at })
}
