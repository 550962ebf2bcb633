//! Logs: one row a chunk of events.

use weir_engine::{event::Record, id::Seq};

use super::{Store, StoreError};

impl Store {
    /// The whole log of an execution, in order; empty if there is none.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn load(&self, execution_id: &str) -> Result<Vec<Record>, StoreError> {
        self.load_from(execution_id, 0, usize::MAX).await
    }

    /// Up to `limit` events after number `after`, in order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn load_from(&self, execution_id: &str, after: Seq, limit: usize) -> Result<Vec<Record>, StoreError> {
        drop((execution_id, after, limit, &self.inner));
        unimplemented!()
    }
}
