//! The arithmetic of what several executions draw from: a budget in its period, or the tree of executions that started each
//! other. Pure.
//!
//! `settled + held + returned <= limit` for every quantity, at every moment: what an execution gives back stays taken until
//! that is on disk, so that a host that is killed finds no more promised than there is room for.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use weir_engine::{
    id::Timestamp,
    limits::{Amounts, Limits, Shared, Whose},
};

use crate::budgets::{Period, Window};

/// What several executions draw from.
#[derive(Debug)]
pub(in crate::driver) struct Pool {
    /// What it is called, and what failures tell of it.
    name: String,
    details: Value,
    limits: Limits,
    period: Option<(Period, Window)>,
    whose: Arc<Whose>,
    /// Spent for good, in this period.
    settled: Amounts,
    /// What executions have taken and may give back.
    held: HashMap<Arc<str>, Amounts>,
    held_by_all: Amounts,
    /// What was given back, and is not on disk.
    returned: Amounts,
    /// What was held and is spent for good in this period, and still held on the disk.
    converted: Amounts,
}

/// What an execution holds no more, while the disk still says that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) struct Dropped {
    /// Given back.
    pub(in crate::driver) returned: Amounts,
    /// Spent for good.
    pub(in crate::driver) converted: Amounts,
}

impl Pool {
    /// One that never begins anew: a tree.
    pub(in crate::driver) fn lasting(name: String, details: Value, limits: Limits) -> Self {
        Self::new(name, details, limits, None)
    }

    /// One for each period: a budget.
    pub(in crate::driver) fn periodic(budget: &str, limits: Limits, period: Period, now: Timestamp) -> Self {
        let details = json!({ "budget": budget });
        Self::new(format!("budget {budget:?}"), details, limits, Some((period, period.window(now))))
    }

    fn new(name: String, details: Value, limits: Limits, period: Option<(Period, Window)>) -> Self {
        let mut pool = Self {
            name,
            details,
            limits,
            period,
            whose: Arc::default(),
            settled: Amounts::NONE,
            held: HashMap::new(),
            held_by_all: Amounts::NONE,
            returned: Amounts::NONE,
            converted: Amounts::NONE,
        };
        pool.describe();
        pool
    }

    fn describe(&mut self) {
        let (mut name, mut details) = (self.name.clone(), self.details.clone());
        if let Some((period, window)) = &self.period {
            let end = window.end_text();
            name = format!("{name} (this {}, until {end})", period.as_str());
            details["period"] = period.as_str().into();
            details["period_ends_at"] = end.into();
        }
        self.whose = Arc::new(Whose { name, details });
    }

    /// Begins a new period where the old one is over. What is held goes along: it is spent when it is settled. So does what
    /// the disk still says is held: after a kill it would be. A clock that goes back changes nothing.
    pub(in crate::driver) fn roll(&mut self, now: Timestamp) {
        if let Some((period, window)) = &mut self.period
            && now >= window.end
        {
            *window = period.window(now);
            self.settled = Amounts::NONE;
            self.returned = self.returned.plus(&self.converted);
            self.converted = Amounts::NONE;
            self.describe();
        }
    }

    pub(in crate::driver) fn set_limits(&mut self, limits: &Limits) {
        if self.limits != *limits {
            self.limits = limits.clone();
        }
    }

    /// When this period began.
    pub(in crate::driver) fn begun_at(&self) -> Timestamp {
        self.period.map_or(Timestamp(0), |(_, window)| window.start)
    }

    /// What was spent for good, and what is promised.
    pub(in crate::driver) fn standing(&self) -> (Amounts, Amounts) {
        (self.settled, self.held_by_all.plus(&self.returned))
    }

    /// The limit at this moment.
    pub(in crate::driver) fn shared(&self) -> Shared {
        let (settled, reserved) = self.standing();
        let left = self.limits.less(&settled.plus(&reserved));
        Shared { whose: self.whose.clone(), limits: self.limits.clone(), left }
    }

    /// Whether it limits what steps spend by themselves, and not only their effects.
    pub(in crate::driver) fn limits_steps(&self) -> bool {
        self.limits.tool_calls.is_some() || self.limits.max_steps.is_some()
    }

    /// What counts here: tool calls and steps only where they are limited, as every step would have to be written down.
    pub(in crate::driver) fn counted(&self, amounts: &Amounts) -> Amounts {
        let tool_calls = if self.limits.tool_calls.is_some() { amounts.tool_calls } else { 0 };
        let steps = if self.limits.max_steps.is_some() { amounts.steps } else { 0 };
        Amounts { tool_calls, steps, ..*amounts }
    }

    /// What an execution holds.
    pub(in crate::driver) fn held(&self, who: &str) -> Option<Amounts> {
        self.held.get(who).copied()
    }

    /// What was spent before this program started.
    pub(in crate::driver) fn know_settled(&mut self, amounts: &Amounts) {
        self.settled = self.settled.plus(amounts);
    }

    /// From here on, an execution holds so much.
    pub(in crate::driver) fn hold(&mut self, who: &Arc<str>, amounts: &Amounts) {
        let before = match amounts.is_none() {
            true => self.held.remove(who),
            false => self.held.insert(who.clone(), *amounts),
        };
        self.held_by_all = self.held_by_all.minus(&before.unwrap_or_default()).plus(amounts);
    }

    /// An execution has spent so much more for good, and holds so much from here on. Answers what it dropped; what of that
    /// it gave back stays taken until [`Pool::release`].
    pub(in crate::driver) fn book(&mut self, who: &Arc<str>, settled: &Amounts, holds: &Amounts) -> Dropped {
        let (settled, holds) = (self.counted(settled), self.counted(holds));
        let held = self.held(who).unwrap_or_default();
        let returned = held.minus(&settled.plus(&holds));
        let converted = held.minus(&holds).minus(&returned);
        self.settled = self.settled.plus(&settled);
        self.hold(who, &holds);
        self.returned = self.returned.plus(&returned);
        self.converted = self.converted.plus(&converted);
        Dropped { returned, converted }
    }

    /// What was dropped in the period that began at `begun_at` is on disk: others may have it.
    pub(in crate::driver) fn release(&mut self, begun_at: Timestamp, dropped: &Dropped) {
        self.returned = self.returned.minus(&dropped.returned);
        if begun_at == self.begun_at() {
            self.converted = self.converted.minus(&dropped.converted);
        } else {
            self.returned = self.returned.minus(&dropped.converted);
        }
    }

    /// What was spent in the period that began at `begun_at` is not on disk, and never will be.
    pub(in crate::driver) fn undo(&mut self, begun_at: Timestamp, settled: &Amounts) {
        if begun_at == self.begun_at() {
            self.settled = self.settled.minus(settled);
        }
    }
}

impl Dropped {
    pub(in crate::driver) fn is_none(&self) -> bool {
        self.returned.is_none() && self.converted.is_none()
    }

    pub(in crate::driver) fn plus(&self, other: &Self) -> Self {
        let (returned, converted) = (self.returned.plus(&other.returned), self.converted.plus(&other.converted));
        Self { returned, converted }
    }
}
