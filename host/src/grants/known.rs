//! What every installed version is granted, in memory: asked for every effect, changed with the store.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::Granted;

/// What every installed version is granted, by its digest. A change counts for the next effect of calls that run.
#[derive(Debug, Default)]
pub struct Grants {
    granted: RwLock<HashMap<Arc<str>, Arc<Granted>>>,
    nothing: Arc<Granted>,
}

impl Grants {
    /// What the version with this digest is granted; nothing for one that is not known.
    #[must_use]
    pub fn of(&self, digest: &str) -> Arc<Granted> {
        let granted = self.granted.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(granted.get(digest).unwrap_or(&self.nothing))
    }

    /// Notes what a version is granted.
    pub(crate) fn set(&self, digest: Arc<str>, granted: Arc<Granted>) {
        self.granted.write().unwrap_or_else(PoisonError::into_inner).insert(digest, granted);
    }

    /// Forgets a version that is not installed any more.
    pub(crate) fn remove(&self, digest: &str) {
        self.granted.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}
