//! Seals secrets, so that the database and its backups are of no use without the key.
//!
//! A sealed secret is bound to its name and its id: rows cannot be swapped. It names the key that it was sealed with, so
//! that keys can be changed one day without opening everything at once.

mod key;
mod secret;

use std::{fmt, sync::Arc};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use sha2::{Digest as _, Sha256};

pub use self::{
    key::{KEY_FILE, KEY_VARIABLE, KeySource, NEXT_KEY_FILE, SecretKey, SecretKeyError},
    secret::Secret,
};

/// The layout of what is sealed: its number, the key's id, the nonce, the ciphertext with its tag.
const LAYOUT: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
/// Name and id of the value by which a key is checked at the start.
pub const CHECK: (&str, &str) = ("vault", "check");
const CHECK_TEXT: &str = "the key is right";

/// Why something sealed was not opened, or nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It was sealed with another key.
    #[error("could not open a secret: it was sealed with another key")]
    OtherKey,
    /// It was changed, or it belongs to another name or id.
    #[error("could not open a secret: what is stored was changed, or belongs elsewhere")]
    Changed,
    /// It is too large to be sealed.
    #[error("could not seal a secret: it is too large")]
    TooLarge,
}

/// Seals and opens secrets with the key of a data directory. Clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    key_id: [u8; KEY_ID_BYTES],
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// A vault with this key.
    #[must_use]
    pub fn new(key: &SecretKey) -> Self {
        let digest = Sha256::new().chain_update(b"weir key id\0").chain_update(key.bytes()).finalize();
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self(Arc::new(Inner { key_id, cipher: XChaCha20Poly1305::new(key.bytes().into()) }))
    }

    /// Seals a secret for this name and id.
    ///
    /// # Errors
    /// It is larger than the cipher takes.
    pub fn seal(&self, name: &str, id: &str, secret: &Secret) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let bound = bound_to(name, id);
        let payload = Payload { msg: secret.reveal().as_bytes(), aad: &bound };
        let sealed = self.0.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::TooLarge)?;
        Ok([&[LAYOUT][..], &self.0.key_id, &nonce, &sealed].concat())
    }

    /// Opens what was sealed for this name and id.
    ///
    /// # Errors
    /// It was sealed with another key, for another name or id, or changed.
    pub fn open(&self, name: &str, id: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let (layout, rest) = sealed.split_first().ok_or(VaultError::Changed)?;
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or(VaultError::Changed)?;
        let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Changed)?;
        if *layout != LAYOUT {
            return Err(VaultError::Changed);
        }
        if *key_id != self.0.key_id {
            return Err(VaultError::OtherKey);
        }
        let payload = Payload { msg, aad: &bound_to(name, id) };
        let bytes = self.0.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::Changed)?;
        Secret::from_bytes(bytes).ok_or(VaultError::Changed)
    }

    /// What [`Vault::check`] accepts from a vault with the same key.
    ///
    /// # Errors
    /// Never, as its text is short.
    pub fn check_value(&self) -> Result<Vec<u8>, VaultError> {
        self.seal(CHECK.0, CHECK.1, &Secret::new(CHECK_TEXT))
    }

    /// Whether a check value was made with this vault's key.
    ///
    /// # Errors
    /// It was made with another one, or changed.
    pub fn check(&self, value: &[u8]) -> Result<(), VaultError> {
        self.open(CHECK.0, CHECK.1, value).map(drop)
    }
}

/// What a sealed secret belongs to. The length keeps name and id apart.
fn bound_to(name: &str, id: &str) -> Vec<u8> {
    format!("weir secret {LAYOUT} {} {name} {id}", name.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&SecretKey::from_bytes([byte; 32]))
    }

    #[test]
    fn d2_a_secret_opens_only_with_its_key_name_and_id() {
        let sealed = vault(1).seal("trigger/a", "1", &Secret::new("hunter2")).unwrap();
        assert_eq!(vault(1).open("trigger/a", "1", &sealed).unwrap().reveal(), "hunter2");
        assert_eq!(vault(1).open("trigger/a", "2", &sealed).unwrap_err(), VaultError::Changed);
        assert_eq!(vault(1).open("trigger/b", "1", &sealed).unwrap_err(), VaultError::Changed);
        assert_eq!(vault(2).open("trigger/a", "1", &sealed).unwrap_err(), VaultError::OtherKey);
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_ne!(sealed, vault(1).seal("trigger/a", "1", &Secret::new("hunter2")).unwrap());
    }

    #[test]
    fn d2_every_bit_of_what_is_sealed_counts() {
        let sealed = vault(1).seal("n", "i", &Secret::new("x")).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(vault(1).open("n", "i", &changed).is_err(), "bit {bit}");
        }
        for end in 0..sealed.len() {
            assert!(vault(1).open("n", "i", &sealed[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn a_key_is_known_by_its_check_value() {
        let value = vault(1).check_value().unwrap();
        assert_eq!(vault(1).check(&value), Ok(()));
        assert_eq!(vault(2).check(&value), Err(VaultError::OtherKey));
    }

    #[test]
    fn nothing_shows_itself() {
        let shown = format!("{:?} {:?} {:?}", vault(1), Secret::new("hunter2"), SecretKey::from_bytes([7; 32]));
        assert!(!shown.contains("hunter2") && !shown.contains("[7"), "{shown}");
    }
}
