//! Labels: what a number is about. Each set has few values, whatever the world sends.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus_client::encoding::EncodeLabelSet;

/// What stands for the values that are too many.
pub(super) const OTHER: &str = "other";
/// The most bytes of a value.
const BYTES_MAX: usize = 64;

/// One label whose values are our own words.
macro_rules! labels {
    ($($(#[$about:meta])* $name:ident { $($label:ident),* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(super) struct $name { $(pub(super) $label: &'static str),* }
    )*};
}

labels! {
    /// What started an execution.
    OfTrigger { trigger }
    /// How an execution ended, and what had started it.
    OfEnd { trigger, status }
    /// How a step ended.
    OfStep { r#type, status }
    /// A tool or an agent.
    OfKind { kind }
    /// What became of something.
    OfOutcome { kind, outcome }
    /// Why a plugin failed.
    OfFailure { kind, code }
    /// What became of a row.
    OfStatus { status }
    /// A line of the table of routes.
    OfRoute { route, method }
    /// Why something was dropped.
    OfReason { reason }
}

/// What a route answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAnswer {
    pub(super) route: &'static str,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfLimit {
    pub(super) limit: Arc<str>,
}

/// A limit of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfBudget {
    pub(super) budget: Arc<str>,
    pub(super) limit: &'static str,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfModel {
    pub(super) alias: Arc<str>,
    pub(super) provider: Arc<str>,
}

/// What became of a model's requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfModelOutcome {
    pub(super) alias: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) outcome: &'static str,
}

/// What tokens were.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfTokens {
    pub(super) alias: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) kind: &'static str,
}

/// Values that come from outside this program: the first so many are known by name, all further ones are `other`.
#[derive(Debug)]
pub(super) struct Names {
    max: usize,
    known: RwLock<HashSet<Arc<str>>>,
    other: Arc<str>,
}

impl Names {
    pub(super) fn new(max: usize) -> Self {
        Self { max, known: RwLock::default(), other: OTHER.into() }
    }

    /// The value as a label: short, printable, and one of few.
    pub(super) fn bounded(&self, value: &str) -> Arc<str> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return Arc::clone(known);
        }
        let value = printable(value);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&*value) {
            return Arc::clone(known);
        }
        if known.len() >= self.max {
            return Arc::clone(&self.other);
        }
        let value: Arc<str> = value.into();
        known.insert(Arc::clone(&value));
        value
    }
}

fn printable(value: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' };
    value.chars().take(BYTES_MAX).map(plain).collect()
}
