//! Names of things inside one execution, and its clock's unit.

use std::{fmt, str::FromStr};

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

/// Which effect of a call: `3` is the third that its plugin asked for, `3/1` the first that the third itself asked for.
/// The effects of an effect come right after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EffectId(Vec<u32>);

impl EffectId {
    /// The call itself: around all of its effects.
    pub const CALL: Self = Self(Vec::new());

    /// The effect `n`, from 1, of the one at this place.
    #[must_use]
    pub fn child(&self, n: u32) -> Self {
        Self(self.0.iter().copied().chain([n]).collect())
    }

    /// How many effects stand around this one, itself counted.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether this is an effect of the one at `other`, or of one of its effects.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, n) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "/" };
            write!(f, "{separator}{n}")?;
        }
        Ok(())
    }
}

/// A text that names no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the place of an effect: write numbers from 1 like 3/1")]
pub struct EffectIdError(String);

impl FromStr for EffectId {
    type Err = EffectIdError;

    fn from_str(text: &str) -> Result<Self, EffectIdError> {
        let numbers = text.split('/').map(|n| n.parse().ok().filter(|n| *n > 0));
        numbers.collect::<Option<_>>().map(Self).ok_or_else(|| EffectIdError(text.to_owned()))
    }
}

impl TryFrom<String> for EffectId {
    type Error = EffectIdError;

    fn try_from(text: String) -> Result<Self, EffectIdError> {
        text.parse()
    }
}

impl From<EffectId> for String {
    fn from(place: EffectId) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_of_an_effect_follow_it() {
        let third = EffectId::CALL.child(3);
        let inner = third.child(1);
        assert_eq!(inner.to_string(), "3/1");
        assert_eq!("3/1".parse(), Ok(inner.clone()));
        assert!(inner.is_within(&third) && inner.is_within(&EffectId::CALL) && !third.is_within(&third));
        assert!(third < inner && inner < EffectId::CALL.child(4));
        for text in ["", "0", "3/", "/1", "x"] {
            assert!(text.parse::<EffectId>().is_err(), "{text}");
        }
    }
}
