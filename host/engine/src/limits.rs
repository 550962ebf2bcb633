//! Guardrails: what is allowed, what is used, and the arithmetic of reserving before an effect and settling after it.
//!
//! `settled + reserved <= limit` holds for every quantity at every moment; [`Ledger::reserve`] is the only way in.

mod shared;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::shared::{Shared, Whose};

/// What to do when a limit of the execution would be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    /// The execution fails with `guardrail_exceeded`.
    #[default]
    Fail,
    /// The execution waits for a person to raise the limit or to stop it.
    Pause,
}

/// What to do with a model call whose price is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknownPrice {
    /// It is refused. The default where a money limit is set.
    Fail,
    /// It is made, and its cost stays unknown.
    Allow,
}

/// The guardrails of a workflow, a step or an execution. `None` is no limit of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Model requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Input and output tokens together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// Tokens sent to models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that models answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tool steps, and tools called by agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// Money, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_microusd: Option<u64>,
    /// Wall time from the start, in milliseconds; it goes on while the host is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Visits of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Fuel of one plugin call (about one unit an instruction).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Memory of one plugin call, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Fail (the default) or pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exceeded: Option<OnExceeded>,
    /// Refuse or allow model calls of unknown price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unknown_price: Option<OnUnknownPrice>,
}

impl Limits {
    /// These limits, each made as tight as `other`'s. What to do at a limit is `other`'s word where it has one.
    #[must_use]
    pub fn tightened_by(&self, other: &Self) -> Self {
        Self {
            requests: tighter(self.requests, other.requests),
            total_tokens: tighter(self.total_tokens, other.total_tokens),
            input_tokens: tighter(self.input_tokens, other.input_tokens),
            output_tokens: tighter(self.output_tokens, other.output_tokens),
            tool_calls: tighter(self.tool_calls, other.tool_calls),
            cost_microusd: tighter(self.cost_microusd, other.cost_microusd),
            timeout_ms: tighter(self.timeout_ms, other.timeout_ms),
            max_steps: tighter(self.max_steps, other.max_steps),
            fuel: tighter(self.fuel, other.fuel),
            memory_bytes: tighter(self.memory_bytes, other.memory_bytes),
            on_exceeded: other.on_exceeded.or(self.on_exceeded),
            on_unknown_price: other.on_unknown_price.or(self.on_unknown_price),
        }
    }

    /// Whether a request to a model may be sent though nobody knows what it costs.
    #[must_use]
    pub fn allow_unknown_price(&self) -> bool {
        match self.on_unknown_price {
            Some(OnUnknownPrice::Allow) => true,
            Some(OnUnknownPrice::Fail) => false,
            None => self.cost_microusd.is_none(),
        }
    }

    /// These limits with each quantity that `raised` names set to its value there, where that is more than before.
    #[must_use]
    pub fn raised_to(&self, raised: &Self) -> Self {
        let up = |old: Option<u64>, new: Option<u64>| old.map(|old| new.map_or(old, |new| new.max(old)));
        Self {
            requests: up(self.requests, raised.requests),
            total_tokens: up(self.total_tokens, raised.total_tokens),
            input_tokens: up(self.input_tokens, raised.input_tokens),
            output_tokens: up(self.output_tokens, raised.output_tokens),
            tool_calls: up(self.tool_calls, raised.tool_calls),
            cost_microusd: up(self.cost_microusd, raised.cost_microusd),
            max_steps: up(self.max_steps, raised.max_steps),
            ..self.clone()
        }
    }
}

fn tighter(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Quantities that are spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Amounts {
    /// Model requests.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Tokens sent to models.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    /// Tokens that models answered with.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
    /// Tool calls.
    #[serde(skip_serializing_if = "is_zero")]
    pub tool_calls: u64,
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_microusd: u64,
    /// Visits of steps.
    #[serde(skip_serializing_if = "is_zero")]
    pub steps: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Amounts {
    /// One tool call.
    pub const TOOL_CALL: Self = Self { tool_calls: 1, ..Self::NONE };
    /// One visit of a step.
    pub const STEP: Self = Self { steps: 1, ..Self::NONE };
    /// Nothing.
    pub const NONE: Self =
        Self { requests: 0, input_tokens: 0, output_tokens: 0, tool_calls: 0, cost_microusd: 0, steps: 0 };

    /// Whether nothing is spent.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The larger of both, quantity by quantity.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        self.zip(other, u64::max)
    }

    /// Both together; saturates.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// This less `other`; never below zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: f(self.requests, other.requests),
            input_tokens: f(self.input_tokens, other.input_tokens),
            output_tokens: f(self.output_tokens, other.output_tokens),
            tool_calls: f(self.tool_calls, other.tool_calls),
            cost_microusd: f(self.cost_microusd, other.cost_microusd),
            steps: f(self.steps, other.steps),
        }
    }
}

/// Money is counted in millionths of a dollar, and written in dollars.
pub const MICRODOLLARS_PER_DOLLAR: u32 = 1_000_000;

/// How many of what is counted make one of what authors write for the guardrail of this name.
#[must_use]
pub fn unit(limit: &str) -> u32 {
    if limit == "max_cost_dollars" { MICRODOLLARS_PER_DOLLAR } else { 1 }
}

/// Which limit stands in the way, and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// The guardrail's name as authors write it: `tool_calls_limit`.
    pub limit: String,
    /// Its value; money in millionths of a dollar.
    pub value: u64,
}

impl Exceeded {
    /// The value as authors write it.
    #[must_use]
    pub fn shown(&self) -> Value {
        shown(&self.limit, self.value)
    }
}

/// The value of the guardrail of this name as authors write it: money in dollars.
#[expect(clippy::cast_precision_loss, reason = "limits fit a float's whole numbers")]
#[must_use]
pub fn shown(limit: &str, value: u64) -> Value {
    match unit(limit) {
        1 => json!(value),
        unit => json!(value as f64 / f64::from(unit)),
    }
}

/// What one holder of limits (an execution, a step) has spent and promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Spent for good.
    pub settled: Amounts,
    /// Promised to effects that are under way.
    pub reserved: Amounts,
}

impl Ledger {
    /// Whether `ask` fits under `limits` on top of what is settled and reserved.
    ///
    /// # Errors
    /// The first limit that stands in the way.
    pub fn admits(&self, limits: &Limits, ask: &Amounts) -> Result<(), Exceeded> {
        let after = self.spent().plus(ask).quantities();
        let rows = limits.quantities().into_iter().zip(after).zip(ask.quantities());
        for (((name, limit), after), ask) in rows {
            if let Some(limit) = limit
                && ask > 0
                && after > limit
            {
                return Err(Exceeded { limit: name.to_owned(), value: limit });
            }
        }
        Ok(())
    }

    /// Promises `ask`; the caller has seen [`Ledger::admits`] agree.
    pub fn reserve(&mut self, ask: &Amounts) {
        self.reserved = self.reserved.plus(ask);
    }

    /// Turns what was promised into what was used.
    pub fn settle(&mut self, promised: &Amounts, used: &Amounts) {
        self.reserved = self.reserved.minus(promised);
        self.settled = self.settled.plus(used);
    }
}

impl Ledger {
    /// Spent and promised together.
    #[must_use]
    pub fn spent(&self) -> Amounts {
        self.settled.plus(&self.reserved)
    }

    /// What is left of `limits`.
    #[must_use]
    pub fn room(&self, limits: &Limits) -> Room {
        let spent = self.spent();
        let left = |limit: Option<u64>, spent: u64| limit.map(|limit| limit.saturating_sub(spent));
        Room {
            requests: left(limits.requests, spent.requests),
            input_tokens: left(limits.input_tokens, spent.input_tokens),
            output_tokens: left(limits.output_tokens, spent.output_tokens),
            total_tokens: left(limits.total_tokens, spent.input_tokens.saturating_add(spent.output_tokens)),
            tool_calls: left(limits.tool_calls, spent.tool_calls),
            cost_microusd: left(limits.cost_microusd, spent.cost_microusd),
        }
    }
}

/// What may still be spent; `None`: nothing limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Room {
    /// Model requests.
    pub requests: Option<u64>,
    /// Tokens sent to models.
    pub input_tokens: Option<u64>,
    /// Tokens that models answer with.
    pub output_tokens: Option<u64>,
    /// Tokens of both kinds.
    pub total_tokens: Option<u64>,
    /// Tool calls.
    pub tool_calls: Option<u64>,
    /// Millionths of a US dollar.
    pub cost_microusd: Option<u64>,
}

impl Room {
    /// No room at all.
    pub const NONE: Self = Self {
        requests: Some(0),
        input_tokens: Some(0),
        output_tokens: Some(0),
        total_tokens: Some(0),
        tool_calls: Some(0),
        cost_microusd: Some(0),
    };

    /// What both leave.
    #[must_use]
    pub fn at_most(&self, other: &Self) -> Self {
        Self {
            requests: tighter(self.requests, other.requests),
            input_tokens: tighter(self.input_tokens, other.input_tokens),
            output_tokens: tighter(self.output_tokens, other.output_tokens),
            total_tokens: tighter(self.total_tokens, other.total_tokens),
            tool_calls: tighter(self.tool_calls, other.tool_calls),
            cost_microusd: tighter(self.cost_microusd, other.cost_microusd),
        }
    }

    /// The room that limits leave from the beginning.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Ledger::default().room(limits)
    }

    /// The limits that leave just this.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            requests: self.requests,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            total_tokens: self.total_tokens,
            tool_calls: self.tool_calls,
            cost_microusd: self.cost_microusd,
            ..Limits::default()
        }
    }
}
