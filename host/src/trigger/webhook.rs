//! Webhooks: requests from outside that start executions. A request is verified over its raw bytes, read by its declared
//! type, filtered, and starts one execution however often its sender repeats it.
//!
//! Every request to a path that is known leaves a delivery behind, which says what became of it. Of those that anybody
//! could send, few are written and few are kept, so that a flood fills no disk.

mod content;
mod delivery;
mod endpoint;
mod headers;
mod receive;
mod refusals;
mod secrets;
mod sign;
mod sweep;
pub mod verify;

use std::sync::Arc;

pub use self::{
    content::{ContentError, ContentType},
    endpoint::Endpoint,
    headers::Headers,
    receive::{ReceiveError, Received, Request, ResendError},
    secrets::{MadeSecret, SecretError, SecretInfo, open},
    sign::sign,
    sweep::{KEPT, sweep},
};
use self::{endpoint::Endpoints, refusals::Refusals};
use super::Triggers;
pub use super::config::Scheme;
use crate::{secrets::Masker, store::Store, vault::Vault};

/// Takes what comes in at webhooks, and keeps their secrets. Clones share it.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    store: Store,
    triggers: Triggers,
    vault: Vault,
    masker: Masker,
    endpoints: Endpoints,
    refusals: Refusals,
}

impl Webhooks {
    /// Webhooks for these triggers, with secrets that this vault opens. `masker` learns those that are added.
    #[must_use]
    pub fn new(store: Store, triggers: Triggers, vault: Vault, masker: Masker) -> Self {
        let (endpoints, refusals) = (Endpoints::default(), Refusals::default());
        Self(Arc::new(Inner { store, triggers, vault, masker, endpoints, refusals }))
    }
}
