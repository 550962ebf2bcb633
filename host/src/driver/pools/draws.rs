//! What one execution draws from pools: its part in each, and what of it is on disk.

#[cfg(test)]
mod tests;

use std::sync::{Arc, MutexGuard};

use tokio::sync::OnceCell;
use weir_engine::{
    event::{Record, Started},
    execution::{Execution, Input},
    graph::Graph,
    id::Timestamp,
    limits::{Amounts, Ledger, Limits, Room, Shared},
};

use super::{Key, Pool, Pools, State, TreeError, pool::Dropped};
use crate::store::{Companion, Drawn};

/// What one execution draws. Dropping it takes back what is not on disk.
pub(in crate::driver) struct Draws {
    pools: Pools,
    id: Arc<str>,
    workflow_id: Arc<str>,
    /// The executions that led to it.
    ancestors: Vec<Arc<str>>,
    /// The trees that must stay in memory.
    entered: Vec<Arc<str>>,
    /// Which state of the pools is known here.
    generation: u64,
    shares: Vec<Share>,
    /// Whether some pool limits what steps spend by themselves.
    limits_steps: bool,
    /// The execution's ledger, as it was booked last.
    booked: Ledger,
    /// It is new, and counts among those of its tree until it is known that it never was.
    counted: bool,
}

/// The part in one pool.
struct Share {
    key: Key,
    /// What is held, and what the disk knows of that.
    holds: Amounts,
    stored: Amounts,
    /// Booked, not handed to the store.
    unsaved: Part,
    /// With the store.
    saving: Part,
}

/// What was booked and is not on disk.
#[derive(Default)]
struct Part {
    /// What was spent and dropped, by the beginning of the period.
    booked: Vec<(Timestamp, Amounts, Dropped)>,
    holds: Option<Amounts>,
}

/// All pools, while nobody else draws from them; `None` for an execution that shares nothing.
pub(in crate::driver) type Open<'p> = Option<MutexGuard<'p, State>>;

impl Draws {
    pub(super) fn new(pools: Pools, started: &Started, ancestors: Vec<Arc<str>>) -> Self {
        Self {
            pools,
            id: started.execution_id.clone(),
            workflow_id: started.workflow_id.clone(),
            ancestors,
            entered: Vec::new(),
            generation: 0,
            shares: Vec::new(),
            limits_steps: false,
            booked: Ledger::default(),
            counted: false,
        }
    }

    /// The executions that led to it, the first one first.
    pub(in crate::driver) fn ancestors(&self) -> &[Arc<str>] {
        &self.ancestors
    }

    /// Needs a tree from here on. What comes back is set once it is known what its executions spent.
    pub(super) fn enter(&mut self, root: &Arc<str>) -> Arc<OnceCell<()>> {
        self.entered.push(root.clone());
        self.pools.lock().enter(root)
    }

    /// Counts as one of its tree, if that may be.
    pub(super) fn count(&mut self, max: usize) -> Result<(), TreeError> {
        if let Some(root) = self.ancestors.first() {
            self.pools.lock().count(root, max)?;
            self.counted = true;
        }
        Ok(())
    }

    /// The execution was loaded from its log: what it spent before is on disk.
    pub(in crate::driver) fn resume(&mut self, execution: &Execution) {
        self.booked = Ledger { settled: execution.budget().1.settled, reserved: Amounts::NONE };
    }

    /// Begins the execution.
    pub(in crate::driver) fn start(
        &mut self,
        graph: Arc<Graph>,
        started: Started,
        now: Timestamp,
    ) -> (Execution, Vec<Record>) {
        let pools = self.pools.clone();
        self.look(&pools, Ledger::default());
        let mut open = self.open(&pools);
        let shared = self.shared(&mut open, now);
        let (execution, records) = Execution::start_sharing(graph, started, now, &shared);
        self.book(&mut open, &execution, now);
        (execution, records)
    }

    /// Feeds the execution, under the limits that it shares.
    pub(in crate::driver) fn step(&mut self, execution: &mut Execution, input: Input, now: Timestamp) -> Vec<Record> {
        if self.shares.is_empty() && self.pools.generation() == self.generation {
            return execution.step(input, now);
        }
        let pools = self.pools.clone();
        self.look(&pools, execution.budget().1);
        let guarded = self.limits_steps || matches!(input, Input::Reserve { .. });
        let mut open = if guarded { self.open(&pools) } else { None };
        let records = self.step_in(&mut open, execution, input, now);
        if open.is_none() && self.has_news(execution) {
            let mut open = self.open(&pools);
            self.roll(&mut open, now);
            self.book(&mut open, execution, now);
        }
        records
    }

    /// Feeds the execution while nobody else draws.
    pub(in crate::driver) fn step_in(
        &mut self,
        open: &mut Open<'_>,
        execution: &mut Execution,
        input: Input,
        now: Timestamp,
    ) -> Vec<Record> {
        let shared = self.shared(open, now);
        let records = execution.step_sharing(input, now, &shared);
        self.book(open, execution, now);
        records
    }

    /// The pools, for a look at them and something that follows from it.
    pub(in crate::driver) fn pools(&mut self, execution: &Execution) -> Pools {
        let pools = self.pools.clone();
        self.look(&pools, execution.budget().1);
        pools
    }

    /// Keeps everybody else from drawing, where this one shares something.
    pub(in crate::driver) fn open<'p>(&self, pools: &'p Pools) -> Open<'p> {
        (!self.shares.is_empty()).then(|| pools.lock())
    }

    /// What the pools leave.
    pub(in crate::driver) fn room(&self, open: &mut Open<'_>, now: Timestamp) -> Room {
        let shared = self.shared(open, now);
        shared.iter().fold(Room::default(), |room, shared| room.at_most(&Room::of(&shared.left)))
    }

    /// Whether all pools let requests pass whose price nobody knows.
    pub(in crate::driver) fn allow_unknown_price(&self, open: &mut Open<'_>, now: Timestamp) -> bool {
        self.shared(open, now).iter().all(|shared| shared.limits.allow_unknown_price())
    }

    fn shared(&self, open: &mut Open<'_>, now: Timestamp) -> Vec<Shared> {
        let Some(state) = open else { return Vec::new() };
        self.roll_in(state, now);
        self.shares.iter().filter_map(|share| state.pools.get(&share.key)).map(Pool::shared).collect()
    }

    fn roll(&self, open: &mut Open<'_>, now: Timestamp) {
        if let Some(state) = open {
            self.roll_in(state, now);
        }
    }

    fn roll_in(&self, state: &mut State, now: Timestamp) {
        for share in &self.shares {
            if let Some(pool) = state.pools.get_mut(&share.key) {
                pool.roll(now);
            }
        }
    }

    /// Whether something was spent or promised that the pools do not know of.
    fn has_news(&self, execution: &Execution) -> bool {
        let counted = |amounts: Amounts| match self.limits_steps {
            true => amounts,
            false => Amounts { tool_calls: 0, steps: 0, ..amounts },
        };
        let now = execution.budget().1;
        !self.shares.is_empty()
            && (counted(now.settled) != counted(self.booked.settled)
                || counted(now.reserved) != counted(self.booked.reserved))
    }

    fn book(&mut self, open: &mut Open<'_>, execution: &Execution, now: Timestamp) {
        let (limits, ledger) = execution.budget();
        if let Some(state) = open {
            self.roll_in(state, now);
            self.book_in(state, ledger, Some(limits));
        }
    }

    fn book_in(&mut self, state: &mut State, ledger: Ledger, own: Option<&Limits>) {
        let settled = ledger.settled.minus(&self.booked.settled);
        for share in &mut self.shares {
            let Some(pool) = state.pools.get_mut(&share.key) else { continue };
            if let (Key::Tree(root), Some(limits)) = (&share.key, own)
                && *root == self.id
            {
                // A person may have raised them.
                pool.set_limits(limits);
            }
            let (settled, holds) = share.key.parts(settled, &ledger);
            let dropped = pool.book(&self.id, &settled, &holds);
            share.note(pool.begun_at(), &pool.counted(&settled), &pool.counted(&holds), &dropped);
        }
        self.booked = ledger;
    }

    /// Learns which pools there are, where that changed.
    fn look(&mut self, pools: &Pools, ledger: Ledger) {
        if pools.generation() == self.generation {
            return;
        }
        let mut state = pools.lock();
        self.generation = pools.generation();
        self.book_in(&mut state, ledger, None);
        let keys = state.keys(&self.id, &self.workflow_id, &self.ancestors);
        self.shares.retain(|share| keys.contains(&share.key));
        for key in keys {
            if self.shares.iter().all(|share| share.key != key) {
                self.join(&mut state, key, &ledger);
            }
        }
        let limits = self.shares.iter().filter_map(|share| state.pools.get(&share.key));
        self.limits_steps = limits.into_iter().any(Pool::limits_steps);
    }

    /// Has a part in a pool from here on: with all that it was promised before, and in a tree with all that it spent.
    fn join(&mut self, state: &mut State, key: Key, ledger: &Ledger) {
        match &key {
            Key::Tree(root) if !self.entered.contains(root) => {
                self.entered.push(root.clone());
                state.enter(root);
            }
            Key::Tree(_) => {}
            Key::Budget { .. } => state.open_budget(&key),
        }
        let Some(pool) = state.pools.get_mut(&key) else { return };
        let stored = pool.held(&self.id).unwrap_or_default();
        let mut share = Share { key, holds: stored, stored, unsaved: Part::default(), saving: Part::default() };
        let (_, holds) = share.key.parts(Amounts::NONE, ledger);
        let dropped = pool.book(&self.id, &Amounts::NONE, &holds);
        share.note(pool.begun_at(), &Amounts::NONE, &pool.counted(&holds), &dropped);
        self.shares.push(share);
    }

    /// What is written with the next append; [`Draws::saved`] follows once it is on disk.
    pub(in crate::driver) fn save(&mut self) -> Vec<Companion> {
        let mut companions = Vec::new();
        for share in &mut self.shares {
            share.saving = std::mem::take(&mut share.unsaved);
            let Key::Budget { id, subject } = &share.key else { continue };
            let Part { booked, holds } = &share.saving;
            let settled = booked.iter().map(|(at, settled, _)| (*at, *settled));
            let settled: Vec<_> = settled.filter(|(_, settled)| !settled.is_none()).collect();
            if !settled.is_empty() || holds.is_some() {
                companions.push(Companion::Drawn(Drawn {
                    budget_id: *id,
                    subject: subject.clone(),
                    execution_id: self.id.clone(),
                    settled,
                    reserved: *holds,
                }));
            }
        }
        companions
    }

    /// What was handed to the store is on disk.
    pub(in crate::driver) fn saved(&mut self) {
        self.counted = false;
        if self.shares.is_empty() {
            return;
        }
        let pools = self.pools.clone();
        let dropped = self.shares.iter().any(|share| !share.saving.booked.is_empty());
        let mut state = dropped.then(|| pools.lock());
        for share in &mut self.shares {
            let Part { booked, holds } = std::mem::take(&mut share.saving);
            share.stored = holds.unwrap_or(share.stored);
            if let Some(pool) = state.as_mut().and_then(|state| state.pools.get_mut(&share.key)) {
                booked.iter().for_each(|(at, _, dropped)| pool.release(*at, dropped));
            }
        }
    }
}

impl Share {
    fn note(&mut self, begun_at: Timestamp, settled: &Amounts, holds: &Amounts, dropped: &Dropped) {
        let Part { booked, holds: held } = &mut self.unsaved;
        match booked.last_mut() {
            Some((at, spent, all)) if *at == begun_at => {
                *spent = spent.plus(settled);
                *all = all.plus(dropped);
            }
            _ if settled.is_none() && dropped.is_none() => {}
            _ => booked.push((begun_at, *settled, *dropped)),
        }
        if self.holds != *holds {
            self.holds = *holds;
            *held = Some(*holds);
        }
    }
}

impl Key {
    /// What is spent for good and what is held there, of what an execution spent meanwhile and of its ledger. A tree holds
    /// all of it, so that an execution that is loaded again says anew how much that is.
    fn parts(&self, settled: Amounts, ledger: &Ledger) -> (Amounts, Amounts) {
        match self {
            Self::Budget { .. } => (settled, ledger.reserved),
            Self::Tree(_) => (Amounts::NONE, ledger.spent()),
        }
    }
}

impl Drop for Draws {
    fn drop(&mut self) {
        if self.shares.is_empty() && self.entered.is_empty() {
            return;
        }
        let mut state = self.pools.lock();
        for Share { key, stored, unsaved, saving, .. } in self.shares.drain(..) {
            if let Some(pool) = state.pools.get_mut(&key) {
                for (at, settled, dropped) in saving.booked.iter().chain(&unsaved.booked) {
                    pool.undo(*at, settled);
                    pool.release(*at, dropped);
                }
                pool.hold(&self.id, &stored);
            }
        }
        if let Some(root) = self.ancestors.first().filter(|_| self.counted) {
            state.count_back(root);
        }
        for root in &self.entered {
            state.leave(root);
        }
    }
}
