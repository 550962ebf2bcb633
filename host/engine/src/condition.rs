//! Conditions: comparisons of a step's scope.
use crate::reference::View;

/// A condition.
#[derive(Debug, Clone)]
pub struct Condition;

impl Condition {
    /// Whether it holds.
    pub fn evaluate(&self, _view: &dyn View, _warnings: &mut Vec<String>) -> bool {
        false
    }
}
