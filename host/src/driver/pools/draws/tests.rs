//! Whatever executions do beside each other, wherever the host dies: no pool is ever promised more than there is, neither in
//! memory nor on the disk.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    budgets::{BudgetScope, Period},
    store::BudgetRow,
};

const LIMIT: u64 = 10;
const EXECUTIONS: usize = 4;
const HOUR_US: i64 = 3_600_000_000;

/// What happens next, and to which execution.
#[derive(Debug, Clone)]
enum Act {
    /// It wants to begin an effect.
    Reserve(usize, u64),
    /// Its oldest effect is over, and used this much at most.
    Settle(usize, u64),
    /// What it did is handed to the store.
    Save(usize),
    /// The store has written that.
    Commit(usize),
    /// The store has refused that; the execution is loaded again.
    Refuse(usize),
    /// The host is killed and starts again.
    Kill,
    /// A new period begins.
    Roll,
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..EXECUTIONS;
    prop_oneof![
        6 => (who.clone(), 1..=4_u64).prop_map(|(who, n)| Act::Reserve(who, n)),
        5 => (who.clone(), 0..=4_u64).prop_map(|(who, n)| Act::Settle(who, n)),
        5 => who.clone().prop_map(Act::Save),
        5 => who.clone().prop_map(Act::Commit),
        1 => who.prop_map(Act::Refuse),
        1 => Just(Act::Kill),
        1 => Just(Act::Roll),
    ]
}

fn requests(n: u64) -> Amounts {
    Amounts { requests: n, ..Amounts::NONE }
}

/// One execution: in memory, as it is handed to the store, and on the disk.
struct One {
    draws: Draws,
    live: Ledger,
    promised: Vec<u64>,
    saving: Option<(Ledger, Vec<Companion>)>,
    stored: Ledger,
}

struct World {
    tree: bool,
    now: Timestamp,
    pools: Pools,
    all: Vec<One>,
    /// The disk: what was spent in each period, and what each execution holds.
    spent: BTreeMap<Timestamp, u64>,
    held: BTreeMap<usize, u64>,
}

fn limits() -> Limits {
    Limits { requests: Some(LIMIT), ..Limits::default() }
}

fn row() -> BudgetRow {
    let at = Timestamp(0);
    BudgetRow {
        id: 1,
        name: "team".into(),
        scope: BudgetScope::Host,
        period: Period::Hour,
        limits: limits(),
        created_at: at,
        set_at: at,
        set_by: "test".to_owned(),
    }
}

fn id(who: usize) -> Arc<str> {
    format!("x{who}").into()
}

fn started(who: usize) -> Started {
    Started {
        execution_id: id(who),
        workflow_id: "w".into(),
        workflow_name: "w".into(),
        workflow_version: 1,
        trigger: json!({}).into(),
        input: json!({}).into(),
        deadline: None,
        limits: Limits::default(),
        targets: Arc::default(),
    }
}

impl World {
    fn new(tree: bool) -> Self {
        let (now, pools) = (Timestamp(HOUR_US / 2), Pools::default());
        let mut world = Self { tree, now, pools, all: Vec::new(), spent: BTreeMap::new(), held: BTreeMap::new() };
        world.start();
        world
    }

    fn key(&self) -> Key {
        match self.tree {
            true => Key::Tree("x0".into()),
            false => Key::Budget { id: 1, subject: "".into() },
        }
    }

    /// The host starts on what is on the disk.
    fn start(&mut self) {
        let before: Vec<Ledger> = self.all.drain(..).map(|one| one.stored).collect();
        self.pools = Pools::default();
        let (key, mut state) = (self.key(), self.pools.lock());
        if !self.tree {
            let mut pool = Pool::periodic("team", limits(), Period::Hour, self.now);
            pool.know_settled(&requests(self.spent.get(&pool.begun_at()).copied().unwrap_or_default()));
            self.held.iter().for_each(|(who, n)| pool.hold(&id(*who), &requests(*n)));
            state.pools.insert(key, pool);
            state.set_budgets(vec![row()]);
        }
        drop(state);
        for who in 0..EXECUTIONS {
            let stored = before.get(who).copied().unwrap_or_default();
            let one = self.load(who, stored);
            self.all.push(one);
        }
        if self.tree {
            let members: Vec<_> = (0..EXECUTIONS).map(|who| (id(who), self.all[who].stored.spent())).collect();
            self.pools.lock().know(&"x0".into(), limits(), &members);
            self.pools.changed();
        }
        (0..EXECUTIONS).for_each(|who| self.recover(who));
    }

    fn load(&self, who: usize, stored: Ledger) -> One {
        let ancestors = if self.tree && who > 0 { vec!["x0".into()] } else { Vec::new() };
        let mut draws = Draws::new(self.pools.clone(), &started(who), ancestors);
        if self.tree {
            draws.enter(&"x0".into());
        }
        draws.booked = Ledger { settled: stored.settled, reserved: Amounts::NONE };
        One { draws, live: stored, promised: Vec::new(), saving: None, stored }
    }

    /// It is loaded: what was under way is written off.
    fn recover(&mut self, who: usize) {
        let pools = self.pools.clone();
        let one = &mut self.all[who];
        one.draws.look(&pools, one.live);
        let lost = one.live.reserved;
        one.live.settle(&lost, &lost);
        let mut state = pools.lock();
        one.draws.roll_in(&mut state, self.now);
        one.draws.book_in(&mut state, one.live, None);
    }

    fn reserve(&mut self, who: usize, n: u64) {
        let pools = self.pools.clone();
        let one = &mut self.all[who];
        one.draws.look(&pools, one.live);
        let mut open = one.draws.open(&pools);
        let shared = one.draws.shared(&mut open, self.now);
        assert_eq!(shared.len(), 1);
        if shared[0].admits(&Amounts::NONE, &requests(n)).is_ok() {
            one.live.reserve(&requests(n));
            one.promised.push(n);
            one.draws.book_in(open.as_mut().unwrap(), one.live, None);
        }
    }

    fn settle(&mut self, who: usize, n: u64) {
        let pools = self.pools.clone();
        let one = &mut self.all[who];
        if let Some(promised) = one.promised.pop() {
            one.live.settle(&requests(promised), &requests(n.min(promised)));
            let mut state = pools.lock();
            one.draws.roll_in(&mut state, self.now);
            one.draws.book_in(&mut state, one.live, None);
        }
    }

    fn commit(&mut self, who: usize) {
        let one = &mut self.all[who];
        let Some((ledger, companions)) = one.saving.take() else { return };
        one.stored = ledger;
        for companion in companions {
            let Companion::Drawn(drawn) = companion else { panic!("{companion:?}") };
            for (at, amounts) in drawn.settled {
                *self.spent.entry(at).or_default() += amounts.requests;
            }
            if let Some(held) = drawn.reserved {
                self.held.insert(who, held.requests);
            }
        }
        one.draws.saved();
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Reserve(who, n) => self.reserve(*who, *n),
            Act::Settle(who, n) => self.settle(*who, *n),
            Act::Save(who) => {
                let one = &mut self.all[*who];
                if one.saving.is_none() {
                    one.saving = Some((one.live, one.draws.save()));
                }
            }
            Act::Commit(who) => self.commit(*who),
            Act::Refuse(who) => {
                let stored = self.all[*who].stored;
                let again = self.load(*who, stored);
                self.all[*who] = again;
                self.recover(*who);
            }
            Act::Kill => self.start(),
            Act::Roll => self.now = Timestamp(self.now.0 + HOUR_US),
        }
    }

    fn check(&mut self) {
        let key = self.key();
        let mut state = self.pools.lock();
        let pool = state.pools.get_mut(&key).unwrap();
        pool.roll(self.now);
        let (settled, reserved) = pool.standing();
        let in_memory = settled.requests + reserved.requests;
        let on_disk = if self.tree {
            self.all.iter().map(|one| one.stored.spent().requests).sum()
        } else {
            self.spent.get(&pool.begun_at()).copied().unwrap_or_default() + self.held.values().sum::<u64>()
        };
        assert!(in_memory <= LIMIT, "{in_memory} in memory");
        assert!(on_disk <= in_memory, "{on_disk} on the disk, {in_memory} in memory");
    }
}

fn run(tree: bool, acts: &[Act]) {
    let mut world = World::new(tree);
    for act in acts {
        world.act(act);
        world.check();
    }
    // Once everything is on the disk, memory and disk are the same.
    for who in 0..EXECUTIONS {
        world.commit(who);
        world.act(&Act::Save(who));
        world.commit(who);
    }
    let state = world.pools.lock();
    let (settled, reserved) = state.pools[&world.key()].standing();
    let live: u64 = world.all.iter().map(|one| one.live.reserved.requests).sum();
    if world.tree {
        assert_eq!(reserved.requests, world.all.iter().map(|one| one.stored.spent().requests).sum::<u64>());
    } else {
        let begun_at = state.pools[&world.key()].begun_at();
        assert_eq!(settled.requests, world.spent.get(&begun_at).copied().unwrap_or_default());
        assert_eq!((reserved.requests, world.held.values().sum::<u64>()), (live, live));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn g1_no_interleaving_promises_more_than_a_budget_has(acts in prop::collection::vec(act(), 1..80)) {
        run(false, &acts);
    }

    #[test]
    fn g2_no_interleaving_promises_more_than_a_tree_has(acts in prop::collection::vec(act(), 1..80)) {
        run(true, &acts);
    }
}

#[test]
fn a_new_period_is_a_new_budget_and_what_is_under_way_goes_along() {
    let mut world = World::new(false);
    for act in [Act::Reserve(0, 4), Act::Reserve(0, 4), Act::Settle(0, 4), Act::Save(0), Act::Commit(0)] {
        world.act(&act);
    }
    let standing = |world: &World| world.pools.standings(world.now)[0].drawn[0].clone();
    assert_eq!(standing(&world), (None, requests(4), requests(4)));
    world.act(&Act::Reserve(1, 3));
    assert_eq!(world.all[1].promised, Vec::<u64>::new(), "there is no room for three");
    world.act(&Act::Roll);
    assert_eq!(standing(&world), (None, requests(0), requests(4)), "what is under way goes along");
    world.act(&Act::Reserve(1, 4));
    assert_eq!(world.all[1].promised, [4]);
    world.act(&Act::Reserve(2, 3));
    assert_eq!(world.all[2].promised, Vec::<u64>::new(), "two are left");
    world.act(&Act::Settle(0, 1));
    assert_eq!(standing(&world), (None, requests(1), requests(7)), "what is given back stays until that is on disk");
    world.act(&Act::Save(0));
    world.act(&Act::Commit(0));
    assert_eq!(standing(&world), (None, requests(1), requests(4)));
    world.act(&Act::Reserve(2, 3));
    assert_eq!(world.all[2].promised, [3]);
}
