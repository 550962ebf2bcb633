//! What is kept in memory: tokens and sessions by the hash of their secret, users by id.

use super::*;
use crate::{
    identity::Kind,
    store::{SessionRow, TokenRow, UserRow, folded},
};

/// A session that is not used for so long has ended.
pub(super) const IDLE_MICROS: i64 = 12 * 3_600 * 1_000_000;

#[derive(Default)]
pub(super) struct Known {
    tokens: HashMap<Hash, Token>,
    sessions: HashMap<Hash, Session>,
    users: HashMap<Arc<str>, User>,
    /// Users by their folded names.
    names: HashMap<String, Arc<str>>,
}

struct Token {
    id: Arc<str>,
    principal: Arc<Principal>,
    expires_at: Option<Timestamp>,
    last_use: LastUse,
}

struct Session {
    row: SessionRow,
    last_use: LastUse,
}

struct User {
    row: UserRow,
    principal: Arc<Principal>,
}

/// Ids, or hashes, and when they were last used.
type Used = Vec<(Arc<str>, Timestamp)>;

impl Known {
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let mut known = Self::default();
        for (hash, row) in store.live_tokens().await? {
            known.add_token(unhex(&hash).ok_or_else(|| wrong("a token"))?, &row);
        }
        for row in store.users().await? {
            known.put_user(row);
        }
        for row in store.sessions().await? {
            known.add_session(unhex(&row.hash).ok_or_else(|| wrong("a session"))?, row);
        }
        Ok(known)
    }

    pub(super) fn token(&self, hash: &Hash, now: Timestamp) -> Option<Arc<Principal>> {
        let token = self.tokens.get(hash).filter(|token| token.expires_at.is_none_or(|at| now < at))?;
        token.last_use.now(now);
        Some(Arc::clone(&token.principal))
    }

    pub(super) fn session(&self, hash: &Hash, now: Timestamp) -> Option<Arc<Principal>> {
        let session = self.sessions.get(hash).filter(|session| session.is_live(now))?;
        let user = self.users.get(&session.row.user_id).filter(|user| !user.row.disabled)?;
        session.last_use.now(now);
        Some(Arc::clone(&user.principal))
    }

    pub(super) fn used(&self) -> (Used, Used) {
        let tokens =
            self.tokens.values().filter_map(|token| Some((Arc::clone(&token.id), token.last_use.unwritten()?)));
        let sessions = self.sessions.values();
        let sessions =
            sessions.filter_map(|session| Some((Arc::clone(&session.row.hash), session.last_use.unwritten()?)));
        (tokens.collect(), sessions.collect())
    }

    pub(super) fn add_token(&mut self, hash: Hash, row: &TokenRow) {
        let kind = Kind::Token(Arc::clone(&row.id));
        let principal = Arc::new(Principal { kind, name: Arc::clone(&row.name), roles: row.roles });
        let (id, expires_at, last_use) = (Arc::clone(&row.id), row.expires_at, LastUse::new(row.last_used_at));
        self.tokens.insert(hash, Token { id, principal, expires_at, last_use });
    }

    pub(super) fn remove_token(&mut self, id: &str) {
        self.tokens.retain(|_, token| &*token.id != id);
    }

    /// When the token with this id was last used, as far as memory knows.
    pub(super) fn token_used_at(&self, id: &str) -> Option<Timestamp> {
        self.tokens.values().find(|token| &*token.id == id)?.last_use.at()
    }

    pub(super) fn put_user(&mut self, row: UserRow) {
        let kind = Kind::User(Arc::clone(&row.id));
        let principal = Arc::new(Principal { kind, name: Arc::clone(&row.name), roles: row.roles });
        self.names.insert(folded(&row.name), Arc::clone(&row.id));
        self.users.insert(Arc::clone(&row.id), User { row, principal });
    }

    pub(super) fn remove_user(&mut self, id: &str) {
        self.end_sessions(id, None);
        if let Some(user) = self.users.remove(id) {
            self.names.remove(&folded(&user.row.name));
        }
    }

    /// The user with this name, however it is written.
    pub(super) fn user_named(&self, name: &str) -> Option<&UserRow> {
        self.users.get(self.names.get(&folded(name))?).map(|user| &user.row)
    }

    pub(super) fn user(&self, id: &str) -> Option<(&UserRow, &Arc<Principal>)> {
        self.users.get(id).map(|user| (&user.row, &user.principal))
    }

    /// Every user, the oldest first.
    pub(super) fn users(&self) -> Vec<UserRow> {
        let mut users: Vec<UserRow> = self.users.values().map(|user| user.row.clone()).collect();
        users.sort_by(|a, b| a.id.cmp(&b.id));
        users
    }

    pub(super) fn add_session(&mut self, hash: Hash, row: SessionRow) {
        let last_use = LastUse::new(Some(row.last_used_at));
        self.sessions.insert(hash, Session { row, last_use });
    }

    pub(super) fn remove_session(&mut self, hash: &Hash) {
        self.sessions.remove(hash);
    }

    /// Ends a user's sessions but the one with the hash `keeps`.
    pub(super) fn end_sessions(&mut self, user_id: &str, keeps: Option<&Hash>) {
        self.sessions.retain(|hash, session| &*session.row.user_id != user_id || Some(hash) == keeps);
    }

    /// When a session ends at the latest.
    pub(super) fn session_expires_at(&self, hash: &Hash) -> Option<Timestamp> {
        self.sessions.get(hash).map(|session| session.row.expires_at)
    }

    /// Hashes of the sessions that have run out, and of those of `user_id` beyond the newest `keep`.
    pub(super) fn surplus(&self, now: Timestamp, user_id: Option<&str>, keep: usize) -> Vec<Arc<str>> {
        let ended = self.sessions.values().filter(|session| !session.is_live(now));
        let mut surplus: Vec<Arc<str>> = ended.map(|session| Arc::clone(&session.row.hash)).collect();
        let own = |session: &&Session| session.is_live(now) && Some(&*session.row.user_id) == user_id;
        let mut own: Vec<&Session> = self.sessions.values().filter(own).collect();
        own.sort_by_key(|session| std::cmp::Reverse(session.row.created_at));
        surplus.extend(own.into_iter().skip(keep).map(|session| Arc::clone(&session.row.hash)));
        surplus
    }
}

impl Session {
    fn is_live(&self, now: Timestamp) -> bool {
        let last = self.last_use.at().unwrap_or(self.row.created_at);
        now < self.row.expires_at && now.0.saturating_sub(last.0) < IDLE_MICROS
    }
}

fn wrong(what: &str) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), reason: "its hash is not 64 hexadecimal digits".to_owned() }
}
