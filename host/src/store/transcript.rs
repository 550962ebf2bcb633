//! What a step's agent did, read from the journal: which visit is meant, a page of its effects, what its models used.

use std::sync::Arc;

use weir_engine::id::CallId;

use super::{
    PAGE_MAX, Store, StoreError,
    columns::{Columns, signed},
    error::database,
    journal::JournalRow,
    queries::journal as queries,
    steps::{StepCursor, StepRow},
};

/// So many effects are read at once: each may have long documents.
const GROUP: u32 = 8;
/// A page ends when its documents take so many bytes.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most rows of models' usage.
const USAGE_ROWS_MAX: u32 = 4_096;

/// A page of effects.
#[derive(Debug)]
pub struct JournalPage {
    /// In the order in which they began.
    pub rows: Vec<JournalRow>,
    /// Where the next page begins; `None` where this is the last.
    pub next: Option<i64>,
}

/// What one model was used for by one visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUsage {
    /// The visit.
    pub call: CallId,
    /// The name under which the plugin knows the model.
    pub alias: Arc<str>,
    /// Who answers for it.
    pub provider: Arc<str>,
    /// Its name there.
    pub model: Arc<str>,
    /// Requests.
    pub requests: u64,
    /// Tokens that were sent.
    pub input_tokens: u64,
    /// Tokens that were answered.
    pub output_tokens: u64,
    /// What it cost, in millionths of a US dollar, as far as prices were known.
    pub cost_microusd: u64,
    /// Requests whose price was not known.
    pub unpriced: u64,
}

impl Store {
    /// The visit that is meant by a path (`each[3].ask`), by a step's id and which of its visits (from 1; the last where
    /// nothing is said), or by the visit's own number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn visit(
        &self,
        execution_id: &str,
        step: &str,
        visit: Option<u32>,
    ) -> Result<Option<StepRow>, StoreError> {
        let Some(call) = self.call_of(execution_id, step, visit).await? else { return Ok(None) };
        let before = StepCursor { call: call.0.saturating_sub(1), ordinal: u32::MAX };
        let page = self.steps(execution_id, before, 1).await?;
        Ok(page.rows.into_iter().find(|row| row.call == call))
    }

    async fn call_of(&self, execution_id: &str, step: &str, visit: Option<u32>) -> Result<Option<CallId>, StoreError> {
        let text = |statement: &'static str| sqlx::query(statement).bind(execution_id.to_owned()).bind(step.to_owned());
        let Some(visit) = visit else {
            let number = step.parse().unwrap_or(0);
            let by_number = sqlx::query(queries::VISIT).bind(execution_id.to_owned()).bind(signed(number));
            for query in [text(queries::VISIT_AT_PATH), text(queries::LAST_VISIT_OF_STEP), by_number] {
                if let Some(call) = self.call(query).await? {
                    return Ok(Some(call));
                }
            }
            return Ok(None);
        };
        self.call(text(queries::VISIT_OF_STEP).bind(visit.saturating_sub(1))).await
    }

    async fn call(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Option<CallId>, StoreError> {
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("find a step", e))?;
        row.map(|row| Columns::new(&row, "a step").call()).transpose()
    }

    /// A page of the effects of a call in the order in which they began, after the row `after` (0 for all): at most
    /// `limit`, fewer where their documents are long, and never more than [`PAGE_MAX`] less one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn journal_page(
        &self,
        execution_id: &str,
        call: CallId,
        after: i64,
        limit: u32,
    ) -> Result<JournalPage, StoreError> {
        let limit = usize::try_from(limit.clamp(1, PAGE_MAX - 1)).unwrap_or(1);
        let (mut rows, mut bytes, mut after) = (Vec::with_capacity(limit + 1), 0, after);
        loop {
            let group = self.journal(execution_id, call, after, GROUP).await?;
            let is_last = group.len() < GROUP as usize;
            bytes += group.iter().map(bytes_of).sum::<usize>();
            rows.extend(group);
            after = rows.last().map_or(after, |row: &JournalRow| row.number);
            if is_last && rows.len() <= limit {
                return Ok(JournalPage { rows, next: None });
            }
            if rows.len() > limit || bytes > PAGE_BYTES_MAX {
                rows.truncate(limit);
                let next = rows.last().map(|row| row.number);
                return Ok(JournalPage { rows, next });
            }
        }
    }

    /// What models were used by the visits from `first` to `last`, by visit and model. Requests whose answer was lost are
    /// not in it: what they were promised is part of the visit's own usage.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn model_usage(
        &self,
        execution_id: &str,
        first: CallId,
        last: CallId,
    ) -> Result<Vec<ModelUsage>, StoreError> {
        let query = sqlx::query(queries::MODEL_USAGE).bind(execution_id).bind(signed(first.0)).bind(signed(last.0));
        let rows = query.bind(USAGE_ROWS_MAX).fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("read what models used", e))?;
        let usage = |row| {
            let mut columns = Columns::new(row, "a model's usage");
            Ok(ModelUsage {
                call: columns.call()?,
                alias: columns.text()?,
                provider: columns.text()?,
                model: columns.text()?,
                requests: columns.number()?,
                input_tokens: columns.number()?,
                output_tokens: columns.number()?,
                cost_microusd: columns.number()?,
                unpriced: columns.number()?,
            })
        };
        rows.iter().map(usage).collect()
    }
}

fn bytes_of(row: &JournalRow) -> usize {
    let ended = row.ended.as_ref();
    let answer = ended.map_or(0, |ended| ended.answer.text().len());
    row.request.text().len() + answer + ended.and_then(|e| e.details.as_ref()).map_or(0, |details| details.text().len())
}
