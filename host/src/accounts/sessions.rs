//! Sessions: a user signs in with a password and out again.

use std::{net::IpAddr, time::Instant};

use super::{throttle::Throttle, *};
use crate::store::{AuditEntry, NewSession, SessionRow, UserRow, folded};

/// A session ends after this long, however much it is used.
const ABSOLUTE_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;
/// The most sessions of a user; the oldest gives way.
const OF_A_USER: usize = 20;
/// Failures that a name or an address has in [`WINDOW`].
const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// The most names, and addresses, whose failures are counted.
const COUNTED_MAX: usize = 10_000;

/// Counts failures to sign in.
pub(super) struct Limits {
    names: Throttle<String>,
    addresses: Throttle<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        let (names, addresses) = (FAILURES, 5 * FAILURES);
        Self {
            names: Throttle::new(names, WINDOW, COUNTED_MAX),
            addresses: Throttle::new(addresses, WINDOW, COUNTED_MAX),
        }
    }
}

/// A try to prove oneself, as it was counted.
pub(super) struct Tries {
    name: String,
    from: IpAddr,
}

/// Somebody who signed in.
pub struct SignedIn {
    /// Who.
    pub principal: Arc<Principal>,
    /// What the browser keeps.
    pub cookie: String,
    /// When the session ends at the latest.
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Begins a session of the user with this name, if the password is right. Takes as long for names that do not exist.
    /// Each try counts until it turns out to be right, so many at once are no more than many one after the other.
    ///
    /// # Errors
    /// Name and password do not go together, there were too many failures, the host is busy; the store cannot be written.
    pub async fn sign_in(
        &self,
        name: &str,
        password: String,
        from: IpAddr,
        audit: impl FnOnce(&Principal) -> AuditEntry,
    ) -> Result<SignedIn, AccountError> {
        let (user, tries) = self.prove(name, password, from).await?;
        let principal = self.known().user(&user.id).map(|(_, principal)| Arc::clone(principal));
        let principal = principal.ok_or(AccountError::SignIn)?;
        let signed_in = self.begin(user.id, user.password, audit(&principal)).await?;
        self.give_back(&tries);
        Ok(signed_in)
    }

    /// The user who has this name and this password, and the tries that it took.
    pub(super) async fn prove(
        &self,
        name: &str,
        password: String,
        from: IpAddr,
    ) -> Result<(UserRow, Tries), AccountError> {
        let (limits, now) = (&self.inner.sign_ins, Instant::now());
        let tries = Tries { name: folded(name).chars().take(NAME_CHARS_MAX).collect(), from };
        limits.addresses.take(&tries.from, now).map_err(AccountError::Throttled)?;
        limits.names.take(&tries.name, now).map_err(AccountError::Throttled)?;
        let user = self.known().user_named(name).cloned();
        let known = user.as_ref().map(|user| user.password.clone());
        let is_right = self.inner.passwords.verify(password, known).await?;
        let user = user.filter(|user| is_right && !user.disabled).ok_or(AccountError::SignIn)?;
        Ok((user, tries))
    }

    /// The password was right: what was counted does not count.
    pub(super) fn give_back(&self, tries: &Tries) {
        self.inner.sign_ins.names.forget(&tries.name);
        self.inner.sign_ins.addresses.give_back(&tries.from);
    }

    /// Begins a session of a user who still has the password that was checked.
    async fn begin(&self, user_id: Arc<str>, checked: String, audit: AuditEntry) -> Result<SignedIn, AccountError> {
        self.change(move |accounts| async move {
            let (cookie, now) = (secret(), crate::store::now());
            let hash = hash(cookie.as_bytes());
            let expires_at = Timestamp(now.0.saturating_add(ABSOLUTE_MICROS));
            let (principal, instead_of) = {
                let known = accounts.known();
                let user = known.user(&user_id).filter(|(row, _)| !row.disabled && row.password == checked);
                let principal = user.map(|(_, principal)| Arc::clone(principal)).ok_or(AccountError::SignIn)?;
                (principal, known.surplus(now, Some(&user_id), OF_A_USER - 1))
            };
            let session =
                SessionRow { hash: hex(&hash).into(), user_id, created_at: now, last_used_at: now, expires_at };
            let new = NewSession { session: session.clone(), instead_of: instead_of.clone() };
            accounts.inner.store.audited(audit).create_session(new).await?;
            let mut known = accounts.known_mut();
            instead_of.iter().filter_map(|hash| unhex(hash)).for_each(|hash| known.remove_session(&hash));
            known.add_session(hash, session);
            drop(known);
            Ok(SignedIn { principal, cookie, expires_at })
        })
        .await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn sign_out(&self, cookie: &[u8], audit: AuditEntry) -> Result<(), AccountError> {
        let hash = hash(cookie);
        self.change(move |accounts| async move {
            accounts.inner.store.audited(audit).delete_session(&hex(&hash)).await?;
            accounts.known_mut().remove_session(&hash);
            Ok(())
        })
        .await
    }

    /// When the session of this cookie ends at the latest.
    #[must_use]
    pub fn session_expires_at(&self, cookie: &[u8]) -> Option<Timestamp> {
        self.known().session_expires_at(&hash(cookie))
    }

    /// Forgets sessions that have run out.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn sweep(&self) -> Result<(), AccountError> {
        self.change(move |accounts| async move {
            let ended = accounts.known().surplus(crate::store::now(), None, 0);
            if !ended.is_empty() {
                accounts.inner.store.delete_sessions(&ended).await?;
                let mut known = accounts.known_mut();
                ended.iter().filter_map(|hash| unhex(hash)).for_each(|hash| known.remove_session(&hash));
            }
            Ok(())
        })
        .await
    }
}
