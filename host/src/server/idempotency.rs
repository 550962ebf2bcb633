//! Idempotency keys: a client names a start, and however often it sends it, it starts once.
//!
//! While the first is being answered, its copies are told to wait. Afterwards the store knows the key: it was written
//! with the start's own events, or not at all.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::error::{ApiError, Code};
use crate::store::{IdempotencyKey, Store};

/// The header that carries a key.
pub(super) const HEADER: &str = "idempotency-key";
/// The header of an answer that repeats what was answered before.
pub(super) const REPLAYED: &str = "idempotent-replayed";
/// The most bytes of a key.
const KEY_BYTES_MAX: usize = 255;

/// A client's name for a request.
#[derive(Debug, Clone)]
pub(super) struct Key {
    principal: String,
    key: String,
    request_digest: String,
}

/// Keys whose first request is being answered.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashSet<(String, String)>>);

/// Holds a key while its request is being answered.
pub(super) struct Held<'f> {
    in_flight: &'f InFlight,
    key: (String, String),
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Key {
    /// The key in `headers`, if there is one, of whoever is known as `principal`, for a request that is made of `parts`.
    pub(super) fn of(headers: &HeaderMap, principal: &str, parts: &[&str]) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
        let (Some(key), None) = (key, values.next()) else {
            let detail = format!("send one {HEADER} of 1 to {KEY_BYTES_MAX} visible ASCII characters");
            return Err(ApiError::new(Code::InvalidQuery, detail));
        };
        let digest = parts.iter().fold(Sha256::new(), |digest, part| {
            // With its length before it, so that no part can run into the next.
            digest.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
        });
        let request_digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(Self { principal: principal.to_owned(), key: key.to_owned(), request_digest }))
    }

    /// Holds the key, unless its first request is being answered.
    pub(super) fn hold<'f>(&self, in_flight: &'f InFlight) -> Result<Held<'f>, ApiError> {
        let key = (self.principal.clone(), self.key.clone());
        let is_new = in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        if is_new {
            return Ok(Held { in_flight, key });
        }
        let detail = "the first request with this idempotency key is still being answered; send it again";
        Err(ApiError::new(Code::RequestInFlight, detail).retry_after(Duration::from_secs(1)))
    }

    /// The execution that the key started before, if it did, for the same request.
    pub(super) async fn started(&self, store: &Store) -> Result<Option<Arc<str>>, ApiError> {
        match store.idempotency_key(&self.principal, &self.key).await? {
            None => Ok(None),
            Some(known) if known.request_digest == self.request_digest => Ok(Some(known.execution_id)),
            Some(_) => {
                let detail = "this idempotency key was used for another request; use a new key for a new request";
                Err(ApiError::new(Code::IdempotencyKeyReused, detail))
            }
        }
    }

    /// The row that goes with the start of an execution.
    pub(super) fn row(&self, execution_id: &Arc<str>) -> IdempotencyKey {
        let Self { principal, key, request_digest } = self.clone();
        IdempotencyKey { principal, key, request_digest, execution_id: Arc::clone(execution_id) }
    }
}
