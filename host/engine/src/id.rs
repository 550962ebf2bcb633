//! Names of things inside one execution, and its clock's unit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since the Unix epoch. The engine gets it from outside and never reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant moved on by `ms` milliseconds; saturates at the end of time.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        let micros = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000);
        Self(self.0.saturating_add(micros))
    }
}

/// Position of an event in its execution's log, from 1 without gaps.
pub type Seq = u64;

macro_rules! seq_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Seq);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

seq_id! {
    /// One visit of a step, named by the sequence number of its `StepStarted` event. All its attempts share it, so
    /// `{execution}/{call}` is the idempotency key of its effect.
    CallId
}
seq_id! {
    /// One running copy of a block, named by the sequence number of the event that opened it; the root scope is 0.
    ScopeId
}

impl ScopeId {
    /// The scope of the workflow's own list of steps.
    pub const ROOT: Self = Self(0);
}
