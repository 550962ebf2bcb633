//! What came in at webhooks, whatever became of it.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqliteConnection, sqlite::SqliteRow};
use weir_engine::{id::Timestamp, json::Json};

use super::{
    Store, StoreError,
    bulk::Statement,
    columns::{Columns, page},
    error::database,
    queries::{INSERT_DELIVERIES, webhooks as queries},
};

/// How many refused deliveries of one trigger are kept, the newest.
pub const REFUSED_KEPT: u32 = 100;
/// How many old deliveries go at a time.
const SWEPT_MAX: u32 = 500;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// It started an execution.
    Started,
    /// It is a copy of one that was dealt with before.
    Duplicate,
    /// The trigger's filter did not let it pass.
    Filtered,
    /// It was not taken: unsigned, too large, unreadable, or the trigger is switched off.
    Refused,
    /// It should have started something, and did not.
    Failed,
}

impl DeliveryVerdict {
    /// Every verdict.
    pub const ALL: [Self; 5] = [Self::Started, Self::Duplicate, Self::Filtered, Self::Refused, Self::Failed];

    /// The verdict as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The text of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryBody {
    /// It is the input as it is: a large one is not there twice.
    Input(Json),
    /// As it came.
    Text(Arc<str>),
}

impl DeliveryBody {
    /// The body as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Input(input) => input.text(),
            Self::Text(text) => text,
        }
    }

    fn shared(&self) -> Arc<str> {
        match self {
            Self::Input(input) => input.text().into(),
            Self::Text(text) => Arc::clone(text),
        }
    }
}

/// A delivery to write down.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Its id, a version 7 UUID.
    pub id: Arc<str>,
    /// The trigger.
    pub trigger_id: Arc<str>,
    /// The sender's id of it; copies have the same.
    pub delivery_key: Option<Arc<str>>,
    /// What became of it.
    pub verdict: DeliveryVerdict,
    /// Why.
    pub reason: Option<String>,
    /// What it started, or what the first of its copies did.
    pub execution_id: Option<Arc<str>>,
    /// The delivery that it repeats.
    pub resent_from: Option<Arc<str>>,
    /// The headers without credentials: a JSON object.
    pub headers: Json,
    /// The query as it came.
    pub query: Option<Arc<str>>,
    /// The body; `None` where it was refused.
    pub body: Option<DeliveryBody>,
    /// When it came in.
    pub received_at: Timestamp,
}

impl NewDelivery {
    /// Binds it as a row of the bulk insertion.
    pub(super) fn bind<'q>(&self, query: Statement<'q>) -> Statement<'q> {
        query
            .bind(Arc::clone(&self.id))
            .bind(Arc::clone(&self.trigger_id))
            .bind(self.delivery_key.clone())
            .bind(self.verdict.as_str())
            .bind(self.reason.clone())
            .bind(self.execution_id.clone())
            .bind(self.resent_from.clone())
            .bind(self.headers.text().to_owned())
            .bind(self.query.clone())
            .bind(self.body.as_ref().map(DeliveryBody::shared))
            .bind(self.received_at.0)
    }
}

/// A stored delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRow {
    /// Its id.
    pub id: Arc<str>,
    /// The trigger.
    pub trigger_id: Arc<str>,
    /// The sender's id of it.
    pub delivery_key: Option<Arc<str>>,
    /// What became of it.
    pub verdict: DeliveryVerdict,
    /// Why.
    pub reason: Option<String>,
    /// What it started, or what the first of its copies did.
    pub execution_id: Option<Arc<str>>,
    /// The delivery that it repeats.
    pub resent_from: Option<Arc<str>>,
    /// The headers without credentials.
    pub headers: Json,
    /// The query as it came.
    pub query: Option<Arc<str>>,
    /// How many bytes of a body are stored; `None` where none is.
    pub body_bytes: Option<u64>,
    /// The body, where one delivery was asked for.
    pub body: Option<Arc<str>>,
    /// When it came in.
    pub received_at: Timestamp,
}

impl Store {
    /// Writes a delivery that started nothing. Of refused ones only the newest [`REFUSED_KEPT`] of a trigger stay.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn record_delivery(&self, new: NewDelivery) -> Result<(), StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let query = new.bind(sqlx::query(AssertSqlSafe(INSERT_DELIVERIES.text(1))));
                query.execute(&mut *connection).await.map_err(|e| database("write a delivery", e))?;
                if new.verdict == DeliveryVerdict::Refused {
                    forget_refused(connection, &new.trigger_id).await
                } else {
                    Ok(())
                }
            })
        })
        .await
    }

    /// Deliveries of a trigger, newest first, older than the one with the id `before`, at most `limit` and never more than
    /// [`PAGE_MAX`](super::PAGE_MAX); without their bodies.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deliveries(
        &self,
        trigger_id: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let query = sqlx::query(queries::DELIVERIES).bind(trigger_id).bind(before.unwrap_or("~")).bind(page(limit));
        let rows = query.fetch_all(&self.inner.readers).await.map_err(|e| database("list deliveries", e))?;
        rows.iter().map(row_of).collect()
    }

    /// A delivery with its body.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn delivery(&self, id: &str) -> Result<Option<DeliveryRow>, StoreError> {
        let row = sqlx::query(queries::DELIVERY).bind(id).fetch_optional(&self.inner.readers).await;
        row.map_err(|e| database("read a delivery", e))?.as_ref().map(row_of).transpose()
    }

    /// Forgets deliveries that came in before an instant, a few hundred at most, and tells how many.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn forget_deliveries(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::FORGET_DELIVERIES).bind(before.0).bind(SWEPT_MAX);
                let done = query.execute(connection).await.map_err(|e| database("forget deliveries", e))?;
                Ok(done.rows_affected())
            })
        })
        .await
    }

    /// When the oldest delivery came in.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn oldest_delivery(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(queries::OLDEST_DELIVERY).fetch_one(&self.inner.readers).await;
        Columns::new(&row.map_err(|e| database("find the oldest delivery", e))?, "a time").time_or_none()
    }
}

async fn forget_refused(connection: &mut SqliteConnection, trigger_id: &str) -> Result<(), StoreError> {
    let query = sqlx::query(queries::FORGET_REFUSED).bind(trigger_id).bind(REFUSED_KEPT);
    query.execute(connection).await.map(drop).map_err(|e| database("forget refused deliveries", e))
}

fn row_of(row: &SqliteRow) -> Result<DeliveryRow, StoreError> {
    let mut columns = Columns::new(row, "a delivery");
    Ok(DeliveryRow {
        id: columns.text()?,
        trigger_id: columns.text()?,
        delivery_key: columns.text_or_none()?,
        verdict: columns.word(&DeliveryVerdict::ALL, DeliveryVerdict::as_str)?,
        reason: columns.next()?,
        execution_id: columns.text_or_none()?,
        resent_from: columns.text_or_none()?,
        headers: columns.json()?,
        query: columns.text_or_none()?,
        body_bytes: columns.number_or_none()?,
        body: columns.text_or_none()?,
        received_at: columns.time()?,
    })
}
