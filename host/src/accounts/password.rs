//! Passwords: hashed with argon2id, off the threads that serve requests, few at a time, because each hash takes 19 MiB
//! and tens of milliseconds.

use std::{sync::OnceLock, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::AccountError;

/// The fewest characters.
pub(super) const CHARS_MIN: usize = 12;
/// The most bytes.
pub(super) const BYTES_MAX: usize = 1024;
/// How many are hashed at a time.
const AT_A_TIME: usize = 2;
/// How long one waits for its turn.
const WAIT: Duration = Duration::from_secs(5);

/// Hashes passwords, and checks them.
pub(super) struct Passwords {
    places: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_A_TIME) }
    }
}

impl Passwords {
    /// The hash of a new password.
    pub(super) async fn hash(&self, password: String) -> Result<String, AccountError> {
        check(&password)?;
        let _place = self.place().await?;
        blocking(move || hash(&password)).await?.ok_or(AccountError::Busy)
    }

    /// Whether a password has this hash. It takes as long where there is none, so that the time does not tell which users
    /// there are.
    pub(super) async fn verify(&self, password: String, known: Option<String>) -> Result<bool, AccountError> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        let _place = self.place().await?;
        blocking(move || {
            let is_known = known.is_some();
            let text = known.as_deref().or_else(|| nobodys()).unwrap_or_default();
            let parsed = PasswordHash::new(text);
            let fits = parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            fits && is_known
        })
        .await
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, AccountError> {
        match tokio::time::timeout(WAIT, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(AccountError::Busy),
        }
    }
}

/// Whether a password may be given.
pub(super) fn check(password: &str) -> Result<(), AccountError> {
    let is_sound = password.chars().count() >= CHARS_MIN && password.len() <= BYTES_MAX;
    if is_sound { Ok(()) } else { Err(AccountError::Password) }
}

fn hash(password: &str) -> Option<String> {
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

/// The hash of a password that nobody has.
fn nobodys() -> Option<&'static str> {
    static HASH: OnceLock<Option<String>> = OnceLock::new();
    HASH.get_or_init(|| hash(&super::secret())).as_deref()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccountError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| AccountError::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_known_again_and_others_are_not() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        let verify = async |password: &str, known: Option<&String>| {
            passwords.verify(password.to_owned(), known.cloned()).await.unwrap()
        };
        assert!(verify("correct horse battery", Some(&hash)).await);
        assert!(!verify("correct horse batterz", Some(&hash)).await);
        assert!(!verify("correct horse battery", None).await);
        assert!(!verify("", Some(&hash)).await);
        assert!(!verify("x", Some(&String::new())).await);
        assert!(matches!(passwords.hash("short".to_owned()).await, Err(AccountError::Password)));
        assert!(matches!(passwords.hash("x".repeat(2_000)).await, Err(AccountError::Password)));
    }
}
