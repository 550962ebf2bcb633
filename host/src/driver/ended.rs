//! Tells whoever wants to know that executions have ended.

use std::sync::{Arc, PoisonError, RwLock};

use weir_engine::{event::Started, execution::Status};

use super::Driver;

/// An execution that has ended; its end is on disk.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'e> {
    /// What it is.
    pub started: &'e Started,
    /// How it ended.
    pub status: Status,
}

type Listener = Arc<dyn Fn(Ended<'_>) + Send + Sync>;

/// Who wants to know.
#[derive(Default)]
pub(super) struct Listeners(RwLock<Vec<Listener>>);

impl Listeners {
    pub(super) fn tell(&self, ended: Ended<'_>) {
        for listener in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            listener(ended);
        }
    }
}

impl Driver {
    /// Calls `listener` after each end of an execution, for as long as the driver lives. It is called by the execution's
    /// task, so it must be quick. It is a nudge: what ended while the host was down, or as it stopped, is not told.
    pub fn on_ended(&self, listener: impl Fn(Ended<'_>) + Send + Sync + 'static) {
        let mut listeners = self.inner.ended.0.write().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Arc::new(listener));
    }
}
