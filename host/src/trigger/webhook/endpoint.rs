//! Triggers that take webhooks, kept in memory with what is needed to check a request: a flood reads nothing from the disk.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Webhooks, secrets};
use crate::{
    store::{StoreError, TriggerRow},
    trigger::config::{TriggerConfig, WebhookConfig},
    vault::Secret,
};

/// The most endpoints that are kept; beyond it all are forgotten and read again.
const KEPT_MAX: usize = 10_000;

/// A trigger that takes webhooks.
#[derive(Debug)]
pub struct Endpoint {
    /// The trigger.
    pub trigger: TriggerRow,
    /// Its settings.
    pub config: WebhookConfig,
    pub(super) secrets: Vec<Secret>,
}

impl Endpoint {
    /// Whether it may start anything: neither it nor its workflow is switched off.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.trigger.enabled && self.trigger.workflow_active
    }
}

/// Endpoints by their path.
#[derive(Default)]
pub(super) struct Endpoints(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// The state of the triggers in which they were read.
    generation: u64,
    endpoints: HashMap<String, Arc<Endpoint>>,
}

impl Endpoints {
    fn get(&self, generation: u64, path: &str) -> Option<Arc<Endpoint>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.endpoints.get(path).filter(|_| known.generation == generation).cloned()
    }

    /// Keeps an endpoint that was read when the triggers were in the state `generation`.
    fn keep(&self, generation: u64, path: &str, endpoint: &Arc<Endpoint>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation > generation {
            return;
        }
        if known.generation < generation || known.endpoints.len() >= KEPT_MAX {
            known.endpoints.clear();
            known.generation = generation;
        }
        known.endpoints.insert(path.to_owned(), Arc::clone(endpoint));
    }
}

impl Webhooks {
    /// The trigger that takes webhooks at this path, which is a sound one (see [`is_path`](crate::trigger::config::is_path)).
    ///
    /// # Errors
    /// The store cannot be read, or its secrets cannot be opened.
    pub async fn endpoint(&self, path: &str) -> Result<Option<Arc<Endpoint>>, StoreError> {
        let generation = self.0.triggers.generation();
        if let Some(endpoint) = self.0.endpoints.get(generation, path) {
            return Ok(Some(endpoint));
        }
        let Some(trigger) = self.0.store.trigger_by_path(path).await? else { return Ok(None) };
        let endpoint = Arc::new(self.read(trigger).await?);
        self.0.endpoints.keep(generation, path, &endpoint);
        Ok(Some(endpoint))
    }

    /// The endpoint of a trigger.
    pub(super) async fn read(&self, trigger: TriggerRow) -> Result<Endpoint, StoreError> {
        let corrupt = |reason: String| StoreError::Corrupt { what: format!("trigger {}", trigger.id), reason };
        let config = match TriggerConfig::stored(trigger.trigger_type, &trigger.config) {
            Ok(TriggerConfig::Webhook(config)) => config,
            Ok(_) => return Err(corrupt("it takes no webhooks".to_owned())),
            Err(reason) => return Err(corrupt(reason)),
        };
        let secrets = self.opened(&secrets::name_of(&trigger.id)).await?;
        Ok(Endpoint { trigger, config, secrets })
    }
}
