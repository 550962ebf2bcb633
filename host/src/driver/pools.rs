//! What several executions draw from: budgets, and the trees of executions that started each other by their ends.
//!
//! The numbers are in memory, under one lock. An execution that shares something decides under it, so that nobody else draws
//! meanwhile; one that shares nothing never takes it. What is drawn goes to disk with the events that it follows from.

mod draws;
mod pool;
mod tree;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use weir_engine::{
    id::Timestamp,
    limits::{self, Amounts},
};

pub(super) use self::{
    draws::{Draws, Open},
    pool::Pool,
    tree::TreeError,
};
use super::{Inner, lock};
use crate::{
    budgets::{BudgetScope, Window},
    metrics::BudgetLevel,
    store::{self, BudgetRow, Store, StoreError},
};

/// Everything that executions share. Clones share it.
#[derive(Clone)]
pub(super) struct Pools(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Changes whenever executions must look which pools there are.
    generation: AtomicU64,
    /// Held while budgets are read.
    reading: tokio::sync::Mutex<()>,
}

/// All pools.
#[derive(Default)]
pub(super) struct State {
    budgets: Vec<BudgetRow>,
    pools: HashMap<Key, Pool>,
    trees: HashMap<Arc<str>, tree::Tree>,
}

/// Names a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A budget's, for one workflow or for all (`""`).
    Budget { id: i64, subject: Arc<str> },
    /// That of an execution and all that it led to.
    Tree(Arc<str>),
}

/// How a budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetStanding {
    /// The budget.
    pub budget: BudgetRow,
    /// This period.
    pub window: Window,
    /// What was spent and what is promised, by workflow id where each has the budget for itself, else once.
    pub drawn: Vec<(Option<Arc<str>>, Amounts, Amounts)>,
}

impl BudgetStanding {
    /// Its limits, for those who watch numbers; where each workflow has the budget for itself, with the most that one took.
    #[expect(clippy::cast_precision_loss, reason = "shown, not reckoned with")]
    #[must_use]
    pub fn levels(&self) -> Vec<BudgetLevel> {
        let mut most = [0; 7];
        for (_, settled, reserved) in &self.drawn {
            for (most, taken) in most.iter_mut().zip(settled.plus(reserved).quantities()) {
                *most = taken.max(*most);
            }
        }
        let limits = self.budget.limits.quantities().into_iter().zip(most);
        let levels = limits.filter_map(|((limit, allowed), taken)| {
            let unit = f64::from(limits::unit(limit));
            let (allowed, taken) = (allowed? as f64 / unit, taken as f64 / unit);
            Some(BudgetLevel { budget: self.budget.name.clone(), limit, allowed, taken })
        });
        levels.collect()
    }
}

impl Default for Pools {
    fn default() -> Self {
        // A generation that nobody knows, so that the first look is one.
        let (state, generation, reading) = (Mutex::default(), AtomicU64::new(1), tokio::sync::Mutex::default());
        Self(Arc::new(Shared { state, generation, reading }))
    }
}

impl Pools {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Lets every execution look anew, at its next step. With the lock held.
    fn changed(&self) {
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Learns which budgets there are, and of new ones what was spent and promised.
    pub(super) async fn read_budgets(&self, store: &Store) -> Result<(), StoreError> {
        let _reading = self.0.reading.lock().await;
        let (rows, now) = (store.budgets().await?, store::now());
        let is_known = |row: &BudgetRow| self.lock().budgets.iter().any(|known| known.id == row.id);
        let mut pools = Vec::new();
        for row in rows.iter().filter(|row| !is_known(row)) {
            pools.extend(known_pools(store, row, now).await?);
        }
        let mut state = self.lock();
        state.pools.extend(pools);
        state.set_budgets(rows);
        self.changed();
        Ok(())
    }

    /// How every budget stands, by name.
    pub(super) fn standings(&self, now: Timestamp) -> Vec<BudgetStanding> {
        let mut state = self.lock();
        let budgets = state.budgets.clone();
        budgets.into_iter().map(|budget| state.standing(budget, now)).collect()
    }
}

/// The pools of a budget for which something is known.
async fn known_pools(store: &Store, row: &BudgetRow, now: Timestamp) -> Result<HashMap<Key, Pool>, StoreError> {
    let known = store.known_of_budget(row.id, row.period.window(now).start).await?;
    let mut pools = HashMap::new();
    let key = |subject: &Arc<str>| Key::Budget { id: row.id, subject: subject.clone() };
    for (subject, settled) in &known.settled {
        pools.entry(key(subject)).or_insert_with(|| pool_of(row, now)).know_settled(settled);
    }
    for (subject, execution_id, reserved) in &known.reserved {
        pools.entry(key(subject)).or_insert_with(|| pool_of(row, now)).hold(execution_id, reserved);
    }
    Ok(pools)
}

fn pool_of(row: &BudgetRow, now: Timestamp) -> Pool {
    Pool::periodic(&row.name, row.limits.clone(), row.period, now)
}

impl State {
    /// From here on there are these budgets.
    fn set_budgets(&mut self, rows: Vec<BudgetRow>) {
        self.pools.retain(|key, pool| match key {
            Key::Tree(_) => true,
            Key::Budget { id, .. } => match rows.iter().find(|row| row.id == *id) {
                Some(row) => {
                    pool.set_limits(&row.limits);
                    true
                }
                None => false,
            },
        });
        self.budgets = rows;
    }

    /// The pools that an execution draws from.
    fn keys(&self, id: &Arc<str>, workflow_id: &Arc<str>, ancestors: &[Arc<str>]) -> Vec<Key> {
        let budgets = self.budgets.iter().filter_map(|budget| {
            let subject = budget.scope.subject(workflow_id)?;
            Some(Key::Budget { id: budget.id, subject })
        });
        let trees = ancestors.iter().chain([id]).map(|root| Key::Tree(root.clone()));
        budgets.chain(trees.filter(|tree| self.pools.contains_key(tree))).collect()
    }

    /// Makes the pool of a budget where nobody has drawn from it yet.
    fn open_budget(&mut self, key: &Key) {
        let Key::Budget { id, .. } = key else { return };
        if let Some(row) = self.budgets.iter().find(|row| row.id == *id) {
            self.pools.entry(key.clone()).or_insert_with(|| pool_of(row, store::now()));
        }
    }

    fn standing(&mut self, budget: BudgetRow, now: Timestamp) -> BudgetStanding {
        let each = budget.scope == BudgetScope::EachWorkflow;
        let mut drawn = Vec::new();
        for (key, pool) in &mut self.pools {
            let Key::Budget { id, subject } = key else { continue };
            if *id == budget.id {
                pool.roll(now);
                let (settled, reserved) = pool.standing();
                drawn.push((each.then(|| subject.clone()), settled, reserved));
            }
        }
        if drawn.is_empty() && !each {
            drawn.push((None, Amounts::NONE, Amounts::NONE));
        }
        drawn.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        BudgetStanding { window: budget.period.window(now), budget, drawn }
    }
}
