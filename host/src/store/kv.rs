//! Small documents of plugins. What is written rides on the append that journals it.
//!
//! Whoever writes looks first: at what is there, and at how much room there is. So that nothing changes in between, a
//! plugin's writers take turns; a turn ends when what it led to is on disk, or is dropped.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use tokio::sync::OwnedMutexGuard;
use weir_engine::json::Json;

use super::{
    Store, StoreError,
    batch::{Prepared, Rows},
    bulk::Extra,
    columns::Columns,
    error::database,
    queries::kv as queries,
};

/// Plugins whose turns are remembered before those are forgotten that nobody waits for.
const REMEMBERED_MAX: usize = 256;

/// Who shares documents: all calls of a plugin, or those in one workflow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KvPlace {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The workflow; `None` where all share them.
    pub workflow_id: Option<Arc<str>>,
}

impl KvPlace {
    fn workflow(&self) -> &str {
        self.workflow_id.as_deref().unwrap_or_default()
    }
}

/// How much room is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvUsage {
    /// Keys in the place.
    pub keys: u64,
    /// Bytes of keys and values of the plugin, in all its places.
    pub plugin_bytes: u64,
}

/// A plugin's turn to write. The next one comes when all clones are dropped.
#[derive(Clone)]
pub struct KvTurn(#[expect(dead_code, reason = "it is held")] Arc<OwnedMutexGuard<()>>);

impl fmt::Debug for KvTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KvTurn")
    }
}

/// A document that is written, or taken away.
#[derive(Debug, Clone)]
pub struct KvWrite {
    /// Who shares it.
    pub place: KvPlace,
    /// Its key.
    pub key: String,
    /// What it is from now on; `None`: it is no more.
    pub value: Option<Json>,
    /// The turn in which this was decided.
    pub turn: KvTurn,
}

/// Who writes, by plugin.
#[derive(Debug, Default)]
pub(super) struct KvTurns(Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<()>>>>);

impl KvTurns {
    fn of(&self, plugin: &Arc<str>) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= REMEMBERED_MAX {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(Arc::clone(plugin)).or_default())
    }
}

/// Rows of one append, and of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct KvRows {
    written: Rows,
    removed: Rows,
    /// The writer drops them with the rows, after the commit.
    turns: Vec<KvTurn>,
}

impl KvRows {
    pub(super) fn push(&mut self, write: &KvWrite) -> Result<(), serde_json::Error> {
        let KvWrite { place, key, value, turn } = write;
        self.turns.push(turn.clone());
        match value {
            Some(value) => self.written.push(&(&place.plugin, place.workflow(), key, value.text())),
            None => self.removed.push(&(&place.plugin, place.workflow(), key)),
        }
    }

    /// The rows of a batch together; `None` where there are none.
    pub(super) fn of_all(group: &[&Prepared]) -> Option<Extra> {
        let mut all = Self::default();
        for prepared in group {
            all.written.extend(&prepared.companions.kv.written);
            all.removed.extend(&prepared.companions.kv.removed);
        }
        Extra::of(queries::WRITE_KV, [&all.written, &all.removed])
    }
}

impl Store {
    /// Waits for the turn to write documents of a plugin.
    pub async fn kv_turn(&self, plugin: &Arc<str>) -> KvTurn {
        KvTurn(Arc::new(self.inner.kv_turns.of(plugin).lock_owned().await))
    }

    /// The document under a key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn kv_value(&self, place: &KvPlace, key: &str) -> Result<Option<Json>, StoreError> {
        let query = sqlx::query(queries::KV_VALUE).bind(&*place.plugin).bind(place.workflow()).bind(key);
        let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read a document", e))?;
        row.as_ref().map(|row| Columns::new(row, "a document of a plugin").json()).transpose()
    }

    /// The keys that begin with `prefix` and come after `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn kv_keys(
        &self,
        place: &KvPlace,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        // In the order of their bytes, keys with one prefix stand together.
        let after = after.filter(|after| *after >= prefix);
        let text = if after.is_some() { queries::KV_KEYS_AFTER } else { queries::KV_KEYS_FROM };
        let query = sqlx::query(text).bind(&*place.plugin).bind(place.workflow()).bind(after.unwrap_or(prefix));
        let rows = query.bind(limit).fetch_all(&self.inner.readers).await.map_err(|e| database("list keys", e))?;
        let mut keys = rows.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        keys.truncate(keys.partition_point(|key| key.starts_with(prefix)));
        Ok(keys)
    }

    /// How much room is taken.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn kv_usage(&self, place: &KvPlace) -> Result<KvUsage, StoreError> {
        let query = sqlx::query(queries::KV_USAGE).bind(&*place.plugin).bind(place.workflow());
        let row = query.fetch_one(&self.inner.readers).await.map_err(|e| database("count documents", e))?;
        let mut columns = Columns::new(&row, "the documents of a plugin");
        Ok(KvUsage { keys: columns.number()?, plugin_bytes: columns.number()? })
    }
}

fn key(row: &SqliteRow) -> Result<String, StoreError> {
    Columns::new(row, "a document of a plugin").next()
}

/// Deletes the documents of a plugin of which no version is left.
pub(super) async fn forget_plugin(connection: &mut SqliteConnection, plugin: &str) -> Result<(), StoreError> {
    let done = sqlx::query(queries::DELETE_KV_OF_PLUGIN).bind(plugin).execute(connection).await;
    done.map(drop).map_err(|e| database("delete the documents of a plugin", e))
}

/// Deletes what plugins keep for a workflow.
pub(super) async fn forget_workflow(connection: &mut SqliteConnection, workflow_id: &str) -> Result<(), StoreError> {
    let done = sqlx::query(queries::DELETE_KV_OF_WORKFLOW).bind(workflow_id).execute(connection).await;
    done.map(drop).map_err(|e| database("delete the documents of a workflow", e))
}
