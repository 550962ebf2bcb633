//! How much work one evaluation may do.

use serde_json::Value;

/// Work that is left: about one unit for each value looked at.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
}

/// There was more to do than one evaluation may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(units: u64) -> Self {
        Self { left: units }
    }

    /// A budget for work that is bounded by the size of two values alone.
    pub(crate) fn unlimited() -> Self {
        Self { left: u64::MAX }
    }

    pub(crate) fn spend(&mut self, units: usize) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(units as u64).ok_or(Exhausted)?;
        Ok(())
    }

    /// Spends the size of `value`, in bytes of compact JSON without escapes; stops as soon as nothing is left.
    pub(crate) fn spend_size(&mut self, value: &Value) -> Result<(), Exhausted> {
        match value {
            Value::Null | Value::Bool(_) => self.spend(5),
            Value::Number(_) => self.spend(8),
            Value::String(text) => self.spend(text.len() + 2),
            Value::Array(items) => {
                self.spend(items.len() + 2)?;
                items.iter().try_for_each(|item| self.spend_size(item))
            }
            Value::Object(members) => {
                self.spend(2)?;
                members.iter().try_for_each(|(name, member)| {
                    self.spend(name.len() + 4)?;
                    self.spend_size(member)
                })
            }
        }
    }
}
