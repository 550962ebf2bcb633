//! Trees: an execution and all that its end led to, however far away, draw from its limits together.
//!
//! A tree is in memory while somebody in it is. What the others spent is read from their rows, which say it as of their last
//! append; whoever is in memory says it anew when he joins.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::{OnceCell, oneshot};
use weir_engine::{
    event::{Event, Started},
    limits::{Amounts, Limits, OnExceeded},
};

use super::{Draws, Inner, Key, Pool, State};
use crate::{driver::task::News, store::StoreError};

/// Why an execution cannot join the tree that it belongs to.
#[derive(Debug, thiserror::Error)]
pub(in crate::driver) enum TreeError {
    /// Too many have started each other.
    #[error("{max} executions have started each other, beginning with {root}, and no more may")]
    Full {
        /// The first of them.
        root: Arc<str>,
        /// How many may.
        max: usize,
    },
    /// The log of an execution that led to it cannot be replayed.
    #[error("could not read the limits of execution {root}: {reason}")]
    Limits {
        /// The execution.
        root: Arc<str>,
        /// Why.
        reason: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A tree in memory. Its pool is there once it is known what its executions spent.
#[derive(Default)]
pub(super) struct Tree {
    /// Who needs it.
    users: usize,
    /// How many executions belong to it.
    executions: usize,
    known: Arc<OnceCell<()>>,
}

impl State {
    /// Somebody needs a tree from here on.
    pub(super) fn enter(&mut self, root: &Arc<str>) -> Arc<OnceCell<()>> {
        let tree = self.trees.entry(root.clone()).or_default();
        tree.users += 1;
        tree.known.clone()
    }

    /// Somebody needs a tree no more. One that nobody needs is forgotten.
    pub(super) fn leave(&mut self, root: &Arc<str>) {
        let Some(tree) = self.trees.get_mut(root) else { return };
        tree.users = tree.users.saturating_sub(1);
        if tree.users == 0 {
            self.trees.remove(root);
            self.pools.remove(&Key::Tree(root.clone()));
        }
    }

    /// One more execution belongs to a tree, if that may be.
    pub(super) fn count(&mut self, root: &Arc<str>, max: usize) -> Result<(), TreeError> {
        let full = || TreeError::Full { root: root.clone(), max };
        let tree = self.trees.get_mut(root).filter(|tree| tree.executions < max).ok_or_else(full)?;
        tree.executions += 1;
        Ok(())
    }

    /// An execution that was counted was not started after all.
    pub(super) fn count_back(&mut self, root: &Arc<str>) {
        if let Some(tree) = self.trees.get_mut(root) {
            tree.executions = tree.executions.saturating_sub(1);
        }
    }

    /// It is known what the executions of a tree spent, those that are not in memory included.
    pub(super) fn know(&mut self, root: &Arc<str>, limits: Limits, members: &[(Arc<str>, Amounts)]) {
        let Some(tree) = self.trees.get_mut(root) else { return };
        tree.executions = members.len();
        let name = format!("execution {root}, which led to this one");
        let mut pool = Pool::lasting(name, json!({ "execution": root }), limits);
        for (who, spent) in members {
            let counted = pool.counted(spent);
            pool.hold(who, &counted);
        }
        self.pools.insert(Key::Tree(root.clone()), pool);
    }
}

impl Inner {
    /// What an execution draws from: a new one, or one that is loaded.
    pub(in crate::driver) async fn draws(&self, started: &Started, is_new: bool) -> Result<Draws, TreeError> {
        let ancestors = lineage(started);
        let mut draws = Draws::new(self.pools.clone(), started, ancestors.clone());
        for root in &ancestors {
            self.know_tree(&mut draws, root).await?;
        }
        if is_new {
            for root in &ancestors {
                self.look_now(root).await;
            }
            draws.count(self.config.tree_executions_max)?;
        } else if self.store.has_descendants(&started.execution_id).await? {
            self.know_tree(&mut draws, &started.execution_id).await?;
        }
        Ok(draws)
    }

    async fn know_tree(&self, draws: &mut Draws, root: &Arc<str>) -> Result<(), TreeError> {
        let known = draws.enter(root);
        let read = || async {
            let (limits, members) = (self.limits_of(root).await?, self.store.tree(root).await?);
            let mut state = self.pools.lock();
            state.know(root, limits, &members);
            self.pools.changed();
            Ok(())
        };
        known.get_or_try_init(read).await.copied()
    }

    /// The limits in force of an execution: those of its start, or what a person raised them to.
    async fn limits_of(&self, root: &Arc<str>) -> Result<Limits, TreeError> {
        let unread = |reason: String| TreeError::Limits { root: root.clone(), reason };
        let mut events = self.store.events_at(root, &BTreeSet::from([1])).await?;
        let Some(Event::ExecutionStarted(started)) = events.remove(&1) else {
            return Err(unread("its log does not begin with a start".to_owned()));
        };
        if started.limits.on_exceeded != Some(OnExceeded::Pause) {
            return Ok(started.limits.clone());
        }
        let replayed = self.replay(root).await.map_err(|error| unread(error.to_string()))?;
        let (_, execution, _) = replayed.ok_or_else(|| unread("it has no log".to_owned()))?;
        Ok(execution.budget().0.clone())
    }

    /// Lets an execution that is in memory join the pools that there are by now.
    async fn look_now(&self, id: &str) {
        let Some(task) = self.task(id) else { return };
        let (reply, looked) = oneshot::channel();
        if task.send(News::Wake { reply }).await.is_ok() {
            // Without an answer it has left memory, and its row says what it spent.
            looked.await.ok();
        }
    }
}

/// The executions that led to this one, the first one first.
fn lineage(started: &Started) -> Vec<Arc<str>> {
    let chain = started.trigger.value().get("lineage").and_then(Value::as_array);
    chain.into_iter().flatten().filter_map(|link| link["execution_id"].as_str()).map(Arc::from).collect()
}
