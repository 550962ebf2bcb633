//! Who may come in: the admin token, API tokens, and users with their sessions.
//!
//! All of it is kept in memory beside the store, so that knowing somebody costs a hash and a look into a table. A change
//! goes to the store first and then to memory, one change at a time, and to its end even if whoever asked for it goes away.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;
use weir_engine::id::Timestamp;

mod known;
mod password;
mod sessions;
pub mod throttle;
mod tokens;
mod users;

use self::{known::Known, password::Passwords, sessions::Limits as SignInLimits};
use crate::{
    hex::hex,
    identity::{Principal, Roles},
    store::{Store, StoreError},
};

pub use self::{sessions::SignedIn, tokens::MadeToken, users::ChangedPassword};

/// What every token and cookie begins with, so that scanners for leaked secrets can know them.
const PREFIX: &str = "weir_";
/// The most characters of a name.
const NAME_CHARS_MAX: usize = 64;

/// SHA-256 of a secret.
type Hash = [u8; 32];

/// Why an account could not be changed or used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name cannot be used.
    #[error("the name must have 1 to {NAME_CHARS_MAX} characters, without control characters or spaces around it")]
    Name,
    /// Nobody who has no role can do anything.
    #[error("name at least one role")]
    NoRoles,
    /// The password is too weak, or too long.
    #[error(
        "the password must have at least {} characters and at most {} bytes",
        password::CHARS_MIN,
        password::BYTES_MAX
    )]
    Password,
    /// A token would be of no use from the start.
    #[error("the token must expire in the future")]
    Expired,
    /// Name and password do not go together, or the user may not come in.
    #[error("the name or the password is wrong")]
    SignIn,
    /// Whoever wants another password does not know the current one.
    #[error("the current password is wrong")]
    WrongPassword,
    /// Too many failures.
    #[error("too many attempts: wait {} s", .0.as_secs())]
    Throttled(Duration),
    /// Passwords are being checked already, more than the host does at a time.
    #[error("too many passwords are being checked: try again")]
    Busy,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who may come in. Clones share it.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    admin_hash: Hash,
    admin: Arc<Principal>,
    known: RwLock<Known>,
    /// Held while something changes, so that memory follows the store in its order.
    changes: Mutex<()>,
    passwords: Passwords,
    sign_ins: SignInLimits,
}

/// When something was last used: kept in memory, written now and then.
#[derive(Debug)]
struct LastUse {
    at: AtomicI64,
    written: AtomicI64,
}

impl LastUse {
    fn new(at: Option<Timestamp>) -> Self {
        let at = at.map_or(i64::MIN, |at| at.0);
        Self { at: AtomicI64::new(at), written: AtomicI64::new(at) }
    }

    fn now(&self, now: Timestamp) {
        self.at.store(now.0, Ordering::Relaxed);
    }

    fn at(&self) -> Option<Timestamp> {
        let at = self.at.load(Ordering::Relaxed);
        (at != i64::MIN).then_some(Timestamp(at))
    }

    /// The time, if it was not written yet.
    fn unwritten(&self) -> Option<Timestamp> {
        let at = self.at.load(Ordering::Relaxed);
        (self.written.swap(at, Ordering::Relaxed) != at).then_some(Timestamp(at))
    }
}

impl Accounts {
    /// Those that the store knows, and whoever holds `admin_token`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: Store, admin_token: &str) -> Result<Self, StoreError> {
        let known = Known::load(&store).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                admin_hash: hash(admin_token.as_bytes()),
                admin: Arc::new(Principal::admin()),
                known: RwLock::new(known),
                changes: Mutex::new(()),
                passwords: Passwords::default(),
                sign_ins: SignInLimits::default(),
            }),
        })
    }

    /// Who holds this token at this time. It is looked up by its hash, so the time that this takes tells nothing about
    /// tokens that are good.
    #[must_use]
    pub fn by_token(&self, token: &[u8], now: Timestamp) -> Option<Arc<Principal>> {
        let hash = hash(token);
        if hash.ct_eq(&self.inner.admin_hash).into() {
            return Some(Arc::clone(&self.inner.admin));
        }
        self.known().token(&hash, now)
    }

    /// Whose session this cookie's value is at this time.
    #[must_use]
    pub fn by_session(&self, cookie: &[u8], now: Timestamp) -> Option<Arc<Principal>> {
        self.known().session(&hash(cookie), now)
    }

    /// Writes down what was used since the last time.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let (tokens, sessions) = self.known().used();
        if !tokens.is_empty() {
            self.inner.store.note_used_tokens(tokens).await?;
        }
        if !sessions.is_empty() {
            self.inner.store.note_used_sessions(sessions).await?;
        }
        Ok(())
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.inner.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.inner.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change to its end, after those before it.
    async fn change<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T, AccountError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AccountError>> + Send + 'static,
    {
        let accounts = self.clone();
        let work = work(self.clone());
        let change = async move {
            let _turn = accounts.inner.changes.lock().await;
            work.await
        };
        tokio::spawn(change).await.map_err(|_| StoreError::Closed)?
    }
}

/// A secret that nobody guesses: 256 random bits.
fn secret() -> String {
    format!("{PREFIX}{}", hex(&rand::random::<[u8; 32]>()))
}

fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

/// A hash as it is stored, or `None` for something else.
fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

fn check(name: &str, roles: Option<Roles>) -> Result<(), AccountError> {
    let is_sound = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && name.trim() == name;
    if !is_sound || name.chars().any(char::is_control) {
        return Err(AccountError::Name);
    }
    if roles.is_some_and(Roles::is_empty) { Err(AccountError::NoRoles) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash = hash(b"x");
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        for wrong in ["", "00", &"zz".repeat(32), &"é".repeat(32), &"+1".repeat(32)[..62]] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_long_and_differ() {
        assert_ne!(secret(), secret());
        assert_eq!(secret().len(), PREFIX.len() + 64);
    }
}
