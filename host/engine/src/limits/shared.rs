//! Limits that an execution shares with others: a budget, or the tree of executions that started each other.

use std::sync::Arc;

use serde_json::Value;

use super::{Amounts, Exceeded, Ledger, Limits};

/// Whose a shared limit is, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whose {
    /// As a part of a sentence: `budget "team" (until 2030-01-01T00:00:00Z)`.
    pub name: String,
    /// Members for the details of a failure; an object.
    pub details: Value,
}

/// A limit that an execution shares with others, at one moment. Whoever hands it in sees to it that nobody else draws from
/// it meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Whose it is.
    pub whose: Arc<Whose>,
    /// What is allowed to all together.
    pub limits: Limits,
    /// What is left of that at the beginning.
    pub left: Limits,
}

impl Shared {
    /// Whether `ask` fits into what is left, on top of what this execution has `drawn` from it meanwhile.
    ///
    /// # Errors
    /// The first limit that stands in the way, with its value for all together.
    pub fn admits(&self, drawn: &Amounts, ask: &Amounts) -> Result<(), Exceeded> {
        let ledger = Ledger { settled: *drawn, reserved: Amounts::NONE };
        ledger.admits(&self.left, ask).map_err(|Exceeded { limit, value }| {
            let value = self.limits.by_name(&limit).unwrap_or(value);
            Exceeded { limit, value }
        })
    }
}

impl Limits {
    /// The quantity that a guardrail limits, by the name that authors write.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<u64> {
        let rows = self.quantities();
        rows.into_iter().find(|(known, _)| *known == name).and_then(|(_, limit)| limit)
    }

    /// The quantities that add up, by the names that authors write.
    #[must_use]
    pub fn quantities(&self) -> [(&'static str, Option<u64>); 7] {
        [
            ("request_limit", self.requests),
            ("input_tokens_limit", self.input_tokens),
            ("output_tokens_limit", self.output_tokens),
            ("total_tokens_limit", self.total_tokens),
            ("tool_calls_limit", self.tool_calls),
            ("max_cost_dollars", self.cost_microusd),
            ("max_steps", self.max_steps),
        ]
    }

    /// What is left of the quantities that add up when so much is spent.
    #[must_use]
    pub fn less(&self, spent: &Amounts) -> Self {
        let steps = self.max_steps.map(|limit| limit.saturating_sub(spent.steps));
        let ledger = Ledger { settled: *spent, reserved: Amounts::NONE };
        Self { max_steps: steps, ..ledger.room(self).limits() }
    }
}

impl Amounts {
    /// What is spent of the quantities of [`Limits::quantities`], in their order.
    #[must_use]
    pub fn quantities(&self) -> [u64; 7] {
        let total = self.input_tokens.saturating_add(self.output_tokens);
        [self.requests, self.input_tokens, self.output_tokens, total, self.tool_calls, self.cost_microusd, self.steps]
    }
}
