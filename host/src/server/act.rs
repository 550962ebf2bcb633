//! What somebody does, for the audit log: done, refused, failed.
//!
//! What is done is written down in its own transaction, by whoever does it, from the [`Act`] that the handler is given.
//! What is refused or fails is written down by the gate before the handler. Rows that anybody can cause are limited; how
//! many were left out stands in the next one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{Method, Request, Response, Uri, request::Parts},
};
use serde_json::json;

use super::{
    App,
    error::{ApiError, Code},
    gate::Who,
    network::Peer,
};
use crate::{
    accounts::throttle::Throttle,
    identity::{Principal, Role},
    store::{AuditEntry, Outcome, Store},
};

/// Who acts where nobody is known.
const ANONYMOUS: &str = "anonymous";
/// How long an answer waits for its row. The row is written in any case.
const WAIT: Duration = Duration::from_secs(1);
/// The most characters of a path in a row.
const PATH_CHARS_MAX: usize = 200;
const WINDOW: Duration = Duration::from_secs(60);
/// Rows that somebody who is known can cause in a [`WINDOW`] by what is refused or fails.
const ROWS_OF_KNOWN: u32 = 600;
/// Rows that all strangers together can cause in a [`WINDOW`].
const ROWS_OF_STRANGERS: u32 = 120;
/// The most actors whose rows are counted.
const COUNTED_MAX: usize = 10_000;

/// What a handler does, and for whom: there as an extractor on every route that acts.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    name: &'static str,
    who: Option<Arc<Principal>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Act {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::internal(anyhow::anyhow!("a handler acts on a route without an act"));
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

impl Act {
    /// Who acts: `user:alice`, `token:ci`, `admin`, `anonymous`.
    pub(crate) fn actor(&self) -> String {
        self.who.as_ref().map_or_else(|| ANONYMOUS.to_owned(), |who| who.actor())
    }

    /// Who acts, in a form that no two of them share, also over time.
    pub(crate) fn actor_id(&self) -> String {
        self.who.as_ref().map_or_else(|| ANONYMOUS.to_owned(), |who| who.id())
    }

    /// Whether an administrator acts.
    pub(super) fn is_admin(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.may(Role::Admin))
    }

    /// The row that says that it was done.
    pub(crate) fn done(&self, object: impl Into<String>) -> AuditEntry {
        AuditEntry::done(self.actor(), self.name, object)
    }

    /// The row that says that it was done by somebody who is known only now.
    pub(crate) fn done_by(&self, who: &Principal, object: impl Into<String>) -> AuditEntry {
        AuditEntry::done(who.actor(), self.name, object)
    }
}

/// What an act that failed was about, where the path does not tell; handlers leave it with their answer.
#[derive(Debug, Clone)]
pub(crate) struct Object(pub(crate) String);

/// A request that would act.
pub(super) struct Attempt {
    act: Act,
    method: Method,
    uri: Uri,
    peer: Option<Peer>,
}

impl Attempt {
    pub(super) fn new(request: &Request<Body>, name: &'static str) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let who = request.extensions().get::<Who>().map(|who| Arc::clone(&who.0));
        Self { act: Act { name, who }, method, uri, peer: request.extensions().get().copied() }
    }

    pub(super) fn act(&self) -> Act {
        self.act.clone()
    }

    /// The row that says that it was refused or failed, as `response` tells; `None` where there are too many.
    pub(super) fn row(self, app: &App, outcome: Outcome, response: &Response<Body>) -> Option<AuditEntry> {
        let left_out = app.ledger.admits(self.act.who.as_deref())?;
        let masker = app.secrets.masker();
        let path = masker.mask_text(self.uri.path());
        let mut details = json!({
            "method": self.method.as_str(),
            "path": path.chars().take(PATH_CHARS_MAX).collect::<String>(),
            "status": response.status().as_u16(),
        });
        if let Some(code) = response.extensions().get::<Code>() {
            details["code"] = code.as_str().into();
        }
        if let Some(peer) = self.peer {
            details["from"] = peer.address.to_string().into();
        }
        if left_out > 0 {
            details["left_out"] = left_out.into();
        }
        let object = response.extensions().get::<Object>().map(|object| masker.mask_cut(&object.0).into_owned());
        Some(AuditEntry { actor: self.act.actor(), act: self.act.name, object, outcome, details: Some(details) })
    }
}

/// Writes a row down, if there is one.
pub(super) async fn write(store: Store, row: Option<AuditEntry>) {
    let Some(entry) = row else { return };
    let writing = tokio::spawn(async move {
        if let Err(error) = store.audit(entry).await {
            tracing::warn!("could not write the audit log: {error}");
        }
    });
    // The row is on its way; an answer waits for it only so that whoever asks next finds it.
    drop(tokio::time::timeout(WAIT, writing).await);
}

/// Says how much of what is refused or fails is written down.
#[derive(Debug)]
pub(super) struct Ledger {
    known: Throttle<String>,
    strangers: Throttle<()>,
    left_out: AtomicU64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            known: Throttle::new(ROWS_OF_KNOWN, WINDOW, COUNTED_MAX),
            strangers: Throttle::new(ROWS_OF_STRANGERS, WINDOW, 1),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Ledger {
    /// Whether there is room for a row, and then how many were left out since the last one.
    fn admits(&self, who: Option<&Principal>) -> Option<u64> {
        let now = Instant::now();
        let room = match who {
            Some(who) => self.known.take(&who.id(), now),
            None => self.strangers.take(&(), now),
        };
        if room.is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}
