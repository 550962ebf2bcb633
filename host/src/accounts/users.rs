//! Users: added, changed, deleted.

use super::*;
use crate::store::{AuditEntry, NewUser, UserChange, UserRow};

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
        self.apply(id, UserChange { roles, disabled, password: None }, audit).await
    }

    /// Gives a user a new password, and ends their sessions.
    ///
    /// # Errors
    /// There is no such user, the password is too weak; the store cannot be written.
    pub async fn set_password(&self, id: &str, password: String, audit: AuditEntry) -> Result<UserRow, AccountError> {
        let password = self.inner.passwords.hash(password).await?;
        self.apply(id, UserChange { password: Some(password), ..UserChange::default() }, audit).await
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
                known.end_sessions(&id);
            }
            drop(known);
            Ok(row)
        })
        .await
    }
}
