//! Which key the secrets of a data directory are sealed with, and how it is changed.
//!
//! A change is one transaction for all secrets. Where the key lies in the data directory, the new one is written beside
//! it before and put in its place after; whoever opens the directory next finishes what was broken off in between.

use crate::{
    store::{AuditEntry, NewSecret, Resealed, SecretRow, Store, StoreError},
    vault::{self, KEY_VARIABLE, KeySource, SecretKey, SecretKeyError, Vault, VaultError},
};

/// Why the secrets of a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenVaultError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// The key is another one than before.
    #[error(
        "could not open the secrets with this key: they were sealed with another one; give back the key of before, in {KEY_VARIABLE}, secret_key_file or the data directory"
    )]
    Wrong(#[source] VaultError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The secrets cannot be opened with the key of before.
    #[error(transparent)]
    Open(#[from] OpenVaultError),
    /// One of them cannot be sealed anew.
    #[error("could not seal {name} anew: {source}; delete it, or restore it from a backup")]
    Seal {
        /// The secret.
        name: String,
        /// Why.
        source: VaultError,
    },
    /// The new key cannot be kept.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// The store refused; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What changing the key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    /// How many values were sealed anew.
    pub values: usize,
    /// Whether the host finds the new key by itself at its next start.
    pub in_place: bool,
}

/// The vault of a data directory: its key must be the one that was used before. A change of the key that was broken off is
/// finished, or undone where it had not happened yet.
///
/// # Errors
/// There is no key, or another one than before.
pub async fn open_vault(source: &KeySource, store: &Store) -> Result<Vault, OpenVaultError> {
    let (name, id) = vault::CHECK;
    let known = store.secrets(name).await?.into_iter().find(|row| &*row.id == id);
    let vault = Vault::new(&SecretKey::load(source, known.is_none())?);
    let Some(row) = known else {
        let sealed = vault.check_value().map_err(OpenVaultError::Wrong)?;
        let new = NewSecret { id: id.to_owned(), name: name.to_owned(), sealed, created_by: "host".to_owned() };
        store.add_secret(new, Vec::new()).await?;
        return Ok(vault);
    };
    match vault.check(&row.sealed) {
        Ok(()) => {
            source.drop_next();
            Ok(vault)
        }
        Err(error) => match source.next()? {
            Some(next) if Vault::new(&next).check(&row.sealed).is_ok() => {
                source.promote_next()?;
                Ok(Vault::new(&next))
            }
            Some(_) | None => Err(OpenVaultError::Wrong(error)),
        },
    }
}

/// Seals every secret of a data directory with a new key. No host may run over it.
///
/// # Errors
/// One of them cannot be opened with the key of before: nothing is changed then.
pub async fn rekey(source: &KeySource, store: &Store, key: &SecretKey) -> Result<Rekeyed, RekeyError> {
    let before = open_vault(source, store).await?;
    let after = Vault::new(key);
    let rows = store.all_secrets().await?.into_iter().map(|row| resealed(&before, &after, row));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let values = rows.len();
    let in_place = source.is_in_data_dir();
    if in_place {
        source.keep_next(key)?;
    }
    let details = serde_json::json!({ "values": values });
    store.reseal_secrets(rows, AuditEntry::done("host", "secret.rekey", "all").with(details)).await?;
    for row in store.all_secrets().await? {
        let opened = after.open(&row.name, &row.id, &row.sealed);
        opened.map_err(|source| RekeyError::Seal { name: row.name.to_string(), source })?;
    }
    if in_place {
        source.promote_next()?;
    }
    Ok(Rekeyed { values, in_place })
}

fn resealed(before: &Vault, after: &Vault, row: SecretRow) -> Result<Resealed, RekeyError> {
    let failed = |source| RekeyError::Seal { name: row.name.to_string(), source };
    let value = before.open(&row.name, &row.id, &row.sealed).map_err(failed)?;
    let sealed = after.seal(&row.name, &row.id, &value).map_err(failed)?;
    Ok(Resealed { id: row.id, before: row.sealed, sealed })
}
