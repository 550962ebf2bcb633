//! Secrets that people gave the host: opened in memory, put into requests toward the hosts that each is bound to, and
//! masked wherever they turn up otherwise.
//!
//! A plugin never sees one. It names it in a header's value, as `{{secret:NAME}}`, and the host puts it in on the way
//! out, if the plugin was granted the secret and the secret is bound to where the request goes. Their values go in over
//! the API and never come out of it.

mod fill;
pub mod masker;
mod sealing;

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::Mutex;
use uuid::Uuid;

pub use self::{
    masker::{MaskStream, Masker},
    sealing::{OpenVaultError, RekeyError, Rekeyed, open_vault, rekey},
};
use crate::{
    egress::{HostPattern, HostPort, HostPortError},
    store::{NewSecret, NewUserSecret, SecretRow, Store, StoreError, UserSecretRow},
    vault::{self, Secret, Vault, VaultError},
};

/// The most secrets that people may give.
pub const SECRETS_MAX: usize = 256;
/// The most hosts that one secret is bound to.
pub const HOSTS_MAX: usize = 16;
/// The most characters of a name.
const NAME_CHARS_MAX: usize = 64;
/// Bytes of a value: fewer could not be masked, more fit into no header.
const VALUE_BYTES: RangeInclusive<usize> = masker::MASKED_BYTES_MIN..=8 << 10;
/// What stands before the names of people's secrets where the store keeps those of other uses too.
const STORED_PREFIX: &str = "secret/";

/// Why a secret was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetSecretError {
    /// The name cannot be used.
    #[error(
        "could not set secret {0:?}: a name is a small letter and up to 63 small letters, digits, hyphens and underscores"
    )]
    Name(String),
    /// The value cannot be used.
    #[error(
        "could not set secret {name}: the value must have {} to {} visible ASCII characters, without spaces around it",
        VALUE_BYTES.start(),
        VALUE_BYTES.end()
    )]
    Value {
        /// The secret.
        name: String,
    },
    /// The value stands in the name, which is shown to people.
    #[error("could not set secret {name}: its name holds its value, choose another name")]
    Named {
        /// The secret.
        name: String,
    },
    /// A host that it should be bound to is none.
    #[error("could not bind secret {name}: {source}")]
    Host {
        /// The secret.
        name: String,
        /// What is wrong with the host.
        source: HostPortError,
    },
    /// There are too many hosts.
    #[error("could not bind secret {name}: it may be bound to {HOSTS_MAX} hosts at most")]
    TooManyHosts {
        /// The secret.
        name: String,
    },
    /// It cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The secrets of a host. Clones share them.
#[derive(Clone)]
pub struct Secrets {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    vault: Vault,
    masker: Masker,
    opened: RwLock<BTreeMap<String, Arc<Opened>>>,
    /// Held while something changes, so that memory follows the store in its order.
    changes: Mutex<()>,
}

/// A secret as it is used.
struct Opened {
    value: Secret,
    hosts: Vec<HostPattern>,
}

/// A secret to set.
#[derive(Debug, Clone)]
pub struct SetSecret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// The hosts that it may be sent to: `api.example.com`, `*.example.com`, `10.0.0.5:8080`. With none, only the host's
    /// own parts use it.
    pub hosts: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// The secrets that the store holds. `masker` learns them, and those of webhooks too. One that cannot be opened is
    /// left out and logged: it is to be set again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: Store, vault: Vault, masker: Masker) -> Result<Self, StoreError> {
        let bound: BTreeMap<Arc<str>, UserSecretRow> =
            store.user_secrets().await?.into_iter().map(|row| (Arc::clone(&row.secret_id), row)).collect();
        let mut opened = BTreeMap::new();
        for row in store.all_secrets().await? {
            let Some(value) = open(&vault, &row) else { continue };
            let Some(bound) = bound.get(&row.id) else {
                if &*row.name != vault::CHECK.0 {
                    masker.learn(&row.name, &value);
                }
                continue;
            };
            masker.learn(&bound.name, &value);
            opened.insert(bound.name.to_string(), Arc::new(Opened { value, hosts: patterns(bound) }));
        }
        let (opened, changes) = (RwLock::new(opened), Mutex::new(()));
        Ok(Self { inner: Arc::new(Inner { store, vault, masker, opened, changes }) })
    }

    /// What masks them.
    #[must_use]
    pub fn masker(&self) -> &Masker {
        &self.inner.masker
    }

    /// The value of a secret, for the host's own use.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<Secret> {
        self.opened().get(name).map(|opened| opened.value.clone())
    }

    /// The value of a secret that the host itself sends to `target`; `None` where there is none that is bound to it.
    #[must_use]
    pub fn key_to(&self, name: &str, target: &HostPort) -> Option<Secret> {
        let opened = self.opened();
        let bound = opened.get(name).filter(|opened| opened.hosts.iter().any(|host| host.matches(target)));
        bound.map(|opened| opened.value.clone())
    }

    /// The secrets without their values, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<UserSecretRow>, StoreError> {
        self.inner.store.user_secrets().await
    }

    /// Makes a secret, or replaces its value and its hosts; in force at once. Hosts do not change without the value:
    /// whoever may set secrets but cannot read them could else have one sent to a host of their own.
    ///
    /// # Errors
    /// Name, value or hosts cannot be used, or there are too many.
    pub async fn set(&self, set: SetSecret, actor: String) -> Result<UserSecretRow, SetSecretError> {
        let hosts = checked(&set)?;
        let id = Uuid::now_v7().to_string();
        let stored = format!("{STORED_PREFIX}{}", set.name);
        let sealed = self.inner.vault.seal(&stored, &id, &set.value)?;
        let secret = NewSecret { id, name: stored, sealed, created_by: actor };
        let written = hosts.iter().map(HostPattern::to_string).collect();
        let new = NewUserSecret { name: set.name.clone(), hosts: written, secret };
        let secrets = self.clone();
        // To its end, though whoever asked goes meanwhile: memory must follow the store.
        let changed = tokio::spawn(async move {
            let _turn = secrets.inner.changes.lock().await;
            // Before it is in use anywhere. A value of before stays masked until the next start: it may still be on its
            // way, and still be good.
            secrets.inner.masker.learn(&set.name, &set.value);
            let row = secrets.inner.store.set_user_secret(new, SECRETS_MAX).await?;
            secrets.opened_mut().insert(set.name, Arc::new(Opened { value: set.value, hosts }));
            Ok(row)
        });
        changed.await.map_err(|_| StoreError::Closed)?
    }

    /// Deletes a secret: from now on it is sent nowhere.
    ///
    /// # Errors
    /// There is no such secret.
    pub async fn delete(&self, name: &str, actor: String) -> Result<(), StoreError> {
        let (secrets, name) = (self.clone(), name.to_owned());
        let changed = tokio::spawn(async move {
            let _turn = secrets.inner.changes.lock().await;
            secrets.inner.store.delete_user_secret(&name, actor).await?;
            secrets.opened_mut().remove(&name);
            secrets.inner.masker.forget(&name);
            Ok(())
        });
        changed.await.map_err(|_| StoreError::Closed)?
    }

    fn opened(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Opened>>> {
        self.inner.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Opened>>> {
        self.inner.opened.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(vault: &Vault, row: &SecretRow) -> Option<Secret> {
    let opened = vault.open(&row.name, &row.id, &row.sealed);
    opened.inspect_err(|error| tracing::error!(name = %row.name, "{error}; set it again")).ok()
}

/// The hosts of a stored secret. They were checked when it was set.
fn patterns(row: &UserSecretRow) -> Vec<HostPattern> {
    row.hosts.iter().filter_map(|host| host.parse().ok()).collect()
}

/// The hosts that a secret is to be bound to, if all of it can be used.
fn checked(set: &SetSecret) -> Result<Vec<HostPattern>, SetSecretError> {
    let name = || set.name.clone();
    if !is_name(&set.name) {
        return Err(SetSecretError::Name(set.name.chars().take(NAME_CHARS_MAX).collect()));
    }
    let value = set.value.reveal();
    let is_visible = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && value.trim() == value;
    if !VALUE_BYTES.contains(&value.len()) || !is_visible {
        return Err(SetSecretError::Value { name: name() });
    }
    if set.name.contains(value) {
        return Err(SetSecretError::Named { name: name() });
    }
    if set.hosts.len() > HOSTS_MAX {
        return Err(SetSecretError::TooManyHosts { name: name() });
    }
    let hosts = set.hosts.iter().map(|host| host.parse());
    hosts.collect::<Result<_, _>>().map_err(|source| SetSecretError::Host { name: name(), source })
}

/// Whether a text can name a secret.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text.len() <= NAME_CHARS_MAX && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(rest)
}
