//! Operations on a plugin's documents: what they answer, and what they write.

use std::sync::Arc;

use serde::Serialize;
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

use crate::{
    grants::Granted,
    runtime::{
        KvEntry, KvOperation, KvSpace, effect,
        limits::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX},
    },
    store::{KvPlace, KvTurn, KvWrite, Store, StoreError},
};

/// Keys of one space.
pub const KEYS_MAX: u64 = 10_000;
/// Keys that one answer lists.
pub const KEYS_LISTED_MAX: u32 = 1_000;

/// What an operation comes to: its answer, once what it writes is stored.
#[derive(Debug)]
pub struct Decided {
    /// The answer.
    pub answer: Json,
    /// What is written with the append that records the answer: [`Companion::Kv`](crate::store::Companion::Kv).
    pub write: Option<KvWrite>,
}

/// Whose documents a call works on.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The plugin's name.
    pub plugin: &'a Arc<str>,
    /// The workflow that the call is part of; `None` where it is part of none.
    pub workflow_id: Option<&'a Arc<str>>,
}

/// Decides what an operation comes to. Until what it writes is stored or dropped, no other write of the plugin is decided.
///
/// # Errors
/// [`FailureCode::Denied`] without a grant, [`FailureCode::InvalidInput`] for keys and documents that are too long,
/// [`FailureCode::Failed`] where there is no room, [`FailureCode::Internal`] where the store cannot be read.
pub async fn decide(
    store: &Store,
    granted: &Granted,
    owner: Owner<'_>,
    operation: &KvOperation,
) -> Result<Decided, Failure> {
    let Some(room) = granted.kv() else {
        let message = "the store of documents was not granted; an administrator grants what the descriptor asks for";
        return Err(Failure::new(FailureCode::Denied, message));
    };
    let Operation { space, key, kind } = Operation::of(operation);
    let place = owner.place(space)?;
    match kind {
        Kind::Get => {
            check_key(key)?;
            let value = store.kv_value(&place, key).await.map_err(unreadable)?;
            Ok(answered(&value.map(|value| KvEntry { value })))
        }
        Kind::Keys { after } => {
            check_bytes(key)?;
            let keys = store.kv_keys(&place, key, after, KEYS_LISTED_MAX).await.map_err(unreadable)?;
            Ok(answered(&keys))
        }
        Kind::Change(change) => {
            check_key(key)?;
            let turn = store.kv_turn(owner.plugin).await;
            Writer { store, place, key, room_bytes: room.bytes, turn }.decide(change).await
        }
    }
}

/// An operation by what is common to all.
struct Operation<'o> {
    space: KvSpace,
    /// A key, or what keys begin with.
    key: &'o str,
    kind: Kind<'o>,
}

enum Kind<'o> {
    Get,
    Keys { after: Option<&'o str> },
    Change(Change<'o>),
}

enum Change<'o> {
    Set(&'o Json),
    Delete,
    CompareAndSet { expected: Option<&'o Json>, value: Option<&'o Json> },
}

impl<'o> Operation<'o> {
    fn of(operation: &'o KvOperation) -> Self {
        let (space, key, kind) = match operation {
            KvOperation::Get { space, key } => (space, key, Kind::Get),
            KvOperation::Set { space, key, value } => (space, key, Kind::Change(Change::Set(value))),
            KvOperation::Delete { space, key } => (space, key, Kind::Change(Change::Delete)),
            KvOperation::CompareAndSet { space, key, expected, value } => {
                let (expected, value) = (expected.as_ref(), value.as_ref());
                (space, key, Kind::Change(Change::CompareAndSet { expected, value }))
            }
            KvOperation::Keys { space, prefix, after } => (space, prefix, Kind::Keys { after: after.as_deref() }),
        };
        Self { space: *space, key, kind }
    }
}

impl Owner<'_> {
    fn place(self, space: KvSpace) -> Result<KvPlace, Failure> {
        let plugin = Arc::clone(self.plugin);
        match (space, self.workflow_id) {
            (KvSpace::Plugin, _) => Ok(KvPlace { plugin, workflow_id: None }),
            (KvSpace::Workflow, Some(id)) if !id.is_empty() => {
                Ok(KvPlace { plugin, workflow_id: Some(Arc::clone(id)) })
            }
            (KvSpace::Workflow, _) => Err(invalid("the call is part of no workflow".to_owned())),
        }
    }
}

/// A write that has its turn.
struct Writer<'a> {
    store: &'a Store,
    place: KvPlace,
    key: &'a str,
    room_bytes: u64,
    turn: KvTurn,
}

impl Writer<'_> {
    async fn decide(self, change: Change<'_>) -> Result<Decided, Failure> {
        let present = self.store.kv_value(&self.place, self.key).await.map_err(unreadable)?;
        match change {
            Change::Set(value) => {
                self.check_room(present.as_ref(), value).await?;
                Ok(self.written(&(), Some(value.clone())))
            }
            Change::Delete if present.is_none() => Ok(answered(&false)),
            Change::Delete => Ok(self.written(&true, None)),
            Change::CompareAndSet { expected, .. } if expected != present.as_ref() => Ok(answered(&false)),
            Change::CompareAndSet { value: None, .. } if present.is_none() => Ok(answered(&true)),
            Change::CompareAndSet { value, .. } => {
                if let Some(value) = value {
                    self.check_room(present.as_ref(), value).await?;
                }
                Ok(self.written(&true, value.cloned()))
            }
        }
    }

    /// Whether the document fits beside all others of the plugin.
    async fn check_room(&self, present: Option<&Json>, value: &Json) -> Result<(), Failure> {
        check_value(value)?;
        let usage = self.store.kv_usage(&self.place).await.map_err(unreadable)?;
        if present.is_none() && usage.keys >= KEYS_MAX {
            return Err(full(format!("there are {} keys; the most is {KEYS_MAX}", usage.keys)));
        }
        let size = |value: &Json| (self.key.len() + value.text().len()) as u64;
        let others = usage.plugin_bytes.saturating_sub(present.map_or(0, size));
        let bytes = others.saturating_add(size(value));
        if bytes > self.room_bytes && size(value) > present.map_or(0, size) {
            return Err(full(format!(
                "the plugin's documents would have {bytes} bytes; granted are {}",
                self.room_bytes
            )));
        }
        Ok(())
    }

    fn written(self, answer: &impl Serialize, value: Option<Json>) -> Decided {
        let write = KvWrite { place: self.place, key: self.key.to_owned(), value, turn: self.turn };
        Decided { answer: effect::document(answer), write: Some(write) }
    }
}

fn answered(answer: &impl Serialize) -> Decided {
    Decided { answer: effect::document(answer), write: None }
}

fn check_key(key: &str) -> Result<(), Failure> {
    if key.is_empty() || key.chars().any(char::is_control) {
        return Err(invalid(format!("{key:.100?} is no key; a key is a text without control characters")));
    }
    check_bytes(key)
}

fn check_bytes(key: &str) -> Result<(), Failure> {
    if key.len() > KV_KEY_BYTES_MAX {
        return Err(invalid(format!("a key has {} bytes; the most is {KV_KEY_BYTES_MAX}", key.len())));
    }
    Ok(())
}

fn check_value(value: &Json) -> Result<(), Failure> {
    let bytes = value.text().len();
    if bytes > KV_VALUE_BYTES_MAX {
        return Err(invalid(format!("a document has {bytes} bytes; the most is {KV_VALUE_BYTES_MAX}")));
    }
    Ok(())
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureCode::InvalidInput, message)
}

fn full(message: String) -> Failure {
    Failure::new(FailureCode::Failed, format!("could not write a document: {message}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn unreadable(error: StoreError) -> Failure {
    tracing::error!(error = %error, "could not read the documents of a plugin");
    Failure::new(FailureCode::Internal, "could not read the plugin's documents: the host's log tells more")
}
