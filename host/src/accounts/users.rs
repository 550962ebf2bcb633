//! Users: added, changed, deleted.

use std::net::IpAddr;

use super::*;
use crate::store::{AuditEntry, NewUser, UserChange, UserRow};

/// A user's own password: what it is, and what it is to be.
pub struct ChangedPassword {
    /// The current one.
    pub current: String,
    /// The new one.
    pub new: String,
}

impl Accounts {
    /// Adds a user.
    ///
    /// # Errors
    /// The name is wrong or taken, there is no role, the password is too weak; the store cannot be written.
    pub async fn create_user(
        &self,
        name: String,
        password: String,
        roles: Roles,
        audit: AuditEntry,
    ) -> Result<UserRow, AccountError> {
        check(&name, Some(roles))?;
        let password = self.inner.passwords.hash(password).await?;
        self.change(move |accounts| async move {
            let new = NewUser { name, password, roles, created_by: audit.actor.clone() };
            let row = accounts.inner.store.audited(audit).create_user(new).await?;
            accounts.known_mut().put_user(row.clone());
            Ok(row)
        })
        .await
    }

    /// Every user, the oldest first.
    #[must_use]
    pub fn users(&self) -> Vec<UserRow> {
        self.known().users()
    }

    /// The user with this id or name.
    #[must_use]
    pub fn user(&self, id_or_name: &str) -> Option<UserRow> {
        let known = self.known();
        known.user(id_or_name).map(|(row, _)| row).or_else(|| known.user_named(id_or_name)).cloned()
    }

    /// Changes a user's roles, or lets them in or not. Roles count from the next request on; the sessions of a user who
    /// may not come in any more end at once.
    ///
    /// # Errors
    /// There is no such user, or no role; the store cannot be written.
    pub async fn change_user(
        &self,
        id: &str,
        roles: Option<Roles>,
        disabled: Option<bool>,
        audit: AuditEntry,
    ) -> Result<UserRow, AccountError> {
        if roles.is_some_and(Roles::is_empty) {
            return Err(AccountError::NoRoles);
        }
        self.apply(id, UserChange { roles, disabled, ..UserChange::default() }, audit).await
    }

    /// Gives a user a new password, and ends their sessions.
    ///
    /// # Errors
    /// There is no such user, the password is too weak; the store cannot be written.
    pub async fn set_password(&self, id: &str, password: String, audit: AuditEntry) -> Result<UserRow, AccountError> {
        let password = self.inner.passwords.hash(password).await?;
        self.apply(id, UserChange { password: Some(password), ..UserChange::default() }, audit).await
    }

    /// Gives the user with this id, who asks in the session of `cookie` and knows the current password, a new one. Their
    /// other sessions end. Wrong current passwords count as failures to sign in do.
    ///
    /// # Errors
    /// The current password is wrong, the new one too weak; there were too many failures, the host is busy; the store
    /// cannot be written.
    pub async fn change_password(
        &self,
        id: &str,
        cookie: &[u8],
        passwords: ChangedPassword,
        from: IpAddr,
        audit: AuditEntry,
    ) -> Result<UserRow, AccountError> {
        password::check(&passwords.new)?;
        let name = self.known().user(id).map(|(user, _)| Arc::clone(&user.name)).ok_or(AccountError::WrongPassword)?;
        let proven = self.prove(&name, passwords.current, from).await;
        let (user, tries) = proven
            .map_err(|error| if matches!(error, AccountError::SignIn) { AccountError::WrongPassword } else { error })?;
        let password = Some(self.inner.passwords.hash(passwords.new).await?);
        let (id, keeps) = (id.to_owned(), hash(cookie));
        let changed = self.change(move |accounts| async move {
            // Whoever had the password changed meanwhile, or the session ended, does not change it any more.
            let still = accounts.known().user(&id).is_some_and(|(now, _)| now.password == user.password);
            if !still || accounts.known().session_expires_at(&keeps).is_none() {
                return Err(AccountError::WrongPassword);
            }
            let change = UserChange { password, keeps: Some(hex(&keeps)), ..UserChange::default() };
            let row = accounts.inner.store.audited(audit).change_user(&id, change).await?;
            let mut known = accounts.known_mut();
            known.put_user(row.clone());
            known.end_sessions(&id, Some(&keeps));
            drop(known);
            Ok(row)
        });
        let row = changed.await?;
        self.give_back(&tries);
        Ok(row)
    }

    /// Deletes a user, and ends their sessions. What they did stays.
    ///
    /// # Errors
    /// There is no such user; the store cannot be written.
    pub async fn delete_user(&self, id: &str, audit: AuditEntry) -> Result<(), AccountError> {
        let id = id.to_owned();
        self.change(move |accounts| async move {
            accounts.inner.store.audited(audit).delete_user(&id).await?;
            accounts.known_mut().remove_user(&id);
            Ok(())
        })
        .await
    }

    async fn apply(&self, id: &str, change: UserChange, audit: AuditEntry) -> Result<UserRow, AccountError> {
        let id = id.to_owned();
        self.change(move |accounts| async move {
            let ends_sessions = change.password.is_some() || change.disabled == Some(true);
            let row = accounts.inner.store.audited(audit).change_user(&id, change).await?;
            let mut known = accounts.known_mut();
            known.put_user(row.clone());
            if ends_sessions {
                known.end_sessions(&id, None);
            }
            drop(known);
            Ok(row)
        })
        .await
    }
}
