//! Budgets: what they allow, and what of it is taken.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Metrics,
    label::{Names, OfBudget},
    registered,
};

/// The most budgets that are known by name.
const BUDGETS_MAX: usize = 64;

/// One limit of a budget at the moment, in the unit of its name.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetLevel {
    /// The budget.
    pub budget: Arc<str>,
    /// The guardrail.
    pub limit: &'static str,
    /// What is allowed.
    pub allowed: f64,
    /// What was spent or is promised in this period; where each workflow has the budget for itself, by the one that took most.
    pub taken: f64,
}

/// What is shown about budgets.
pub(super) struct Budgets {
    allowed: Family<OfBudget, Gauge<f64, AtomicU64>>,
    taken: Family<OfBudget, Gauge<f64, AtomicU64>>,
    names: Names,
}

impl Budgets {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (allowed, taken) =
            ("what a budget allows in a period", "what was spent of it or is promised in this period");
        Self {
            allowed: registered(registry, "weir_budget_limit", allowed, Family::default()),
            taken: registered(registry, "weir_budget_taken", taken, Family::default()),
            names: Names::new(BUDGETS_MAX),
        }
    }
}

impl Metrics {
    /// From here on, budgets stand so; those that are not named are gone.
    pub fn budgets(&self, levels: &[BudgetLevel]) {
        let budgets = &self.0.budgets;
        budgets.allowed.clear();
        budgets.taken.clear();
        for BudgetLevel { budget, limit, allowed, taken } in levels {
            let labels = OfBudget { budget: budgets.names.bounded(budget), limit };
            budgets.allowed.get_or_create(&labels).set(*allowed);
            budgets.taken.get_or_create(&labels).set(*taken);
        }
    }
}
