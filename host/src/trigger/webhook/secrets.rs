//! The secrets of webhooks: made, added, taken away. Several are in force at a time, so that a sender can be moved from one
//! to the next without a refusal between.

use std::sync::Arc;

use uuid::Uuid;
use weir_engine::{definition::TriggerType, id::Timestamp, json::Json};

use super::{Scheme, Webhooks, verify};
use crate::{
    store::{AuditEntry, NewSecret, NewTrigger, StoreError, TriggerRow},
    trigger::config::{TriggerConfig, WebhookConfig},
    vault::{Secret, VaultError},
    webhook_signature::SigningSecret,
};

/// The fewest and the most bytes of a secret that is given.
const GIVEN_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its id.
    pub id: Arc<str>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Who added it.
    pub created_by: String,
}

/// A secret that was added. This is the only time that its value is shown.
#[derive(Debug, Clone)]
pub struct MadeSecret {
    /// The trigger.
    pub trigger_id: Arc<str>,
    /// Its id.
    pub id: String,
    /// Its value.
    pub secret: Secret,
}

/// Why a secret was not added or taken away.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The trigger takes no webhooks.
    #[error("could not give trigger {0} a secret: it takes no webhooks")]
    NoWebhook(String),
    /// Its scheme needs none.
    #[error("could not give the trigger a secret: its scheme is none, so nobody has to know one")]
    NoScheme,
    /// The value is not one of its scheme.
    #[error("could not use the secret: {scheme} needs {needs}")]
    Unfit {
        /// The scheme.
        scheme: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// It cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The name under which the secrets of a trigger are kept.
pub(super) fn name_of(trigger_id: &str) -> String {
    format!("trigger/{trigger_id}")
}

impl Webhooks {
    /// The secrets of a trigger, the oldest first, without their values.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn secrets(&self, trigger_id: &str) -> Result<Vec<SecretInfo>, StoreError> {
        let rows = self.0.store.secrets(&name_of(trigger_id)).await?;
        let info = rows.into_iter().map(|row| SecretInfo {
            id: row.id,
            created_at: row.created_at,
            created_by: row.created_by,
        });
        Ok(info.collect())
    }

    /// Adds a secret to a trigger: the given one, or one that is made now. It is in force at once, beside the others.
    ///
    /// # Errors
    /// The trigger needs none, the given one is not fit, or there are too many.
    pub async fn add_secret(
        &self,
        trigger: &TriggerRow,
        given: Option<Secret>,
        actor: &str,
    ) -> Result<MadeSecret, SecretError> {
        let config = webhook(trigger).ok_or_else(|| SecretError::NoWebhook(trigger.id.to_string()))?;
        if config.scheme == Scheme::None {
            return Err(SecretError::NoScheme);
        }
        let secret = given.unwrap_or_else(|| generated(config.scheme));
        check(config.scheme, &secret)?;
        let (id, name) = (Uuid::now_v7().to_string(), name_of(&trigger.id));
        let sealed = self.0.vault.seal(&name, &id, &secret)?;
        self.0.masker.learn(&name, &secret);
        let audit = AuditEntry::done(actor, "secret.add", &*id).with(serde_json::json!({ "name": name }));
        let new = NewSecret { id: id.clone(), name, sealed, created_by: actor.to_owned() };
        let added = self.0.store.add_secret(new, vec![audit]).await;
        self.0.triggers.changed();
        added?;
        Ok(MadeSecret { trigger_id: Arc::clone(&trigger.id), id, secret })
    }

    /// Takes a secret away from a trigger: from now on it proves nothing.
    ///
    /// # Errors
    /// There is no such secret.
    pub async fn delete_secret(&self, trigger_id: &str, id: &str, actor: &str) -> Result<(), StoreError> {
        let name = name_of(trigger_id);
        let audit = AuditEntry::done(actor, "secret.delete", id).with(serde_json::json!({ "name": name }));
        let deleted = self.0.store.delete_secret(&name, id, audit).await;
        self.0.triggers.changed();
        deleted
    }

    /// Makes a secret for each of these triggers that needs one and has none. Stripe makes its own, which has to be added.
    ///
    /// # Errors
    /// The store refused; those before were made.
    pub async fn make_missing(&self, triggers: &[TriggerRow], actor: &str) -> Result<Vec<MadeSecret>, SecretError> {
        let mut made = Vec::new();
        for trigger in triggers {
            let Some(config) = webhook(trigger) else { continue };
            if matches!(config.scheme, Scheme::None | Scheme::Stripe) {
                continue;
            }
            let known = self.opened(&name_of(&trigger.id)).await?;
            if !known.iter().any(|secret| check(config.scheme, secret).is_ok()) {
                made.push(self.add_secret(trigger, None, actor).await?);
            }
        }
        Ok(made)
    }

    /// The values of a name's secrets.
    pub(super) async fn opened(&self, name: &str) -> Result<Vec<Secret>, StoreError> {
        let rows = self.0.store.secrets(name).await?;
        let open = |row: &crate::store::SecretRow| self.0.vault.open(&row.name, &row.id, &row.sealed);
        let corrupt =
            |e: VaultError| StoreError::Corrupt { what: format!("the secrets of {name}"), reason: e.to_string() };
        rows.iter().map(open).collect::<Result<_, _>>().map_err(corrupt)
    }
}

/// The settings of a trigger that takes webhooks.
fn webhook(trigger: &TriggerRow) -> Option<WebhookConfig> {
    settings(trigger.trigger_type, &trigger.config)
}

fn settings(trigger_type: TriggerType, config: &Json) -> Option<WebhookConfig> {
    if trigger_type != TriggerType::Webhook {
        return None;
    }
    match TriggerConfig::stored(trigger_type, config) {
        Ok(TriggerConfig::Webhook(config)) => Some(config),
        Ok(_) | Err(_) => None,
    }
}

/// The paths of those of these triggers that take webhooks from anybody; a trigger without a path of its own is `null`.
pub fn open(triggers: &[NewTrigger]) -> impl Iterator<Item = Option<&str>> {
    let is_open = |trigger: &&NewTrigger| {
        settings(trigger.trigger_type, &trigger.config).is_some_and(|config| config.scheme == Scheme::None)
    };
    triggers.iter().filter(is_open).map(|trigger| trigger.path.as_deref())
}

/// A new secret of 256 random bits.
#[must_use]
pub(super) fn generated(scheme: Scheme) -> Secret {
    Secret::new(verify::spelled(scheme, &rand::random()))
}

fn check(scheme: Scheme, secret: &Secret) -> Result<(), SecretError> {
    let text = secret.reveal();
    let (is_fit, needs) = match scheme {
        Scheme::StandardWebhooks => {
            (SigningSecret::parse(text).is_ok(), "whsec_ and 24 to 64 random bytes behind it in base64")
        }
        Scheme::Github | Scheme::Stripe | Scheme::Bearer | Scheme::None => (
            GIVEN_BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()),
            "16 to 512 visible characters without spaces",
        ),
    };
    if is_fit { Ok(()) } else { Err(SecretError::Unfit { scheme: scheme.as_str(), needs }) }
}
