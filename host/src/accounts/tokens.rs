//! API tokens: made, listed, revoked.

use super::*;
use crate::store::{AuditEntry, NewToken, TokenRow};

/// A token that was made, and its secret, which nobody can read again.
pub struct MadeToken {
    /// The token.
    pub row: TokenRow,
    /// What its holder sends.
    pub secret: String,
}

impl Accounts {
    /// Makes a token.
    ///
    /// # Errors
    /// The name is wrong or taken, there is no role, it would have expired; the store cannot be written.
    pub async fn create_token(
        &self,
        name: String,
        roles: Roles,
        expires_at: Option<Timestamp>,
        audit: AuditEntry,
    ) -> Result<MadeToken, AccountError> {
        check(&name, Some(roles))?;
        if expires_at.is_some_and(|at| at <= crate::store::now()) {
            return Err(AccountError::Expired);
        }
        self.change(move |accounts| async move {
            let secret = secret();
            let hash = hash(secret.as_bytes());
            let new = NewToken { name, hash: hex(&hash), roles, created_by: audit.actor.clone(), expires_at };
            let row = accounts.inner.store.audited(audit).create_token(new).await?;
            accounts.known_mut().add_token(hash, &row);
            Ok(MadeToken { row, secret })
        })
        .await
    }

    /// Tokens, newest first; those that were revoked too.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tokens(&self, before: Option<&str>, limit: u32) -> Result<Vec<TokenRow>, AccountError> {
        let mut rows = self.inner.store.tokens(before, limit).await?;
        let known = self.known();
        for row in &mut rows {
            row.last_used_at = known.token_used_at(&row.id).or(row.last_used_at);
        }
        Ok(rows)
    }

    /// Revokes a token: from the answer on it is of no use.
    ///
    /// # Errors
    /// There is none, or it was revoked; the store cannot be written.
    pub async fn revoke_token(&self, id: &str, audit: AuditEntry) -> Result<TokenRow, AccountError> {
        let id = id.to_owned();
        self.change(move |accounts| async move {
            let row = accounts.inner.store.audited(audit).revoke_token(&id).await?;
            accounts.known_mut().remove_token(&id);
            Ok(row)
        })
        .await
    }
}
