//! References: JSONPath queries into a scope, and templates that hold them.
use std::borrow::Cow;

use serde_json::Value;

/// What a reference can see: the scope of a step.
pub trait View {
    /// The value under a root name (`input`, a step's id, the item variable, …).
    fn get(&self, name: &str) -> Option<&Value>;
    /// Every root name, inner scopes first.
    fn names(&self) -> Vec<&str>;
}

/// A parsed JSONPath query.
#[derive(Debug, Clone)]
pub struct Reference {
    source: String,
}

/// Why a text is not a reference that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReferenceError(pub String);

/// A reference that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The reference as written.
    pub reference: String,
}

impl Reference {
    /// Parses a query.
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Ok(Self { source: text.to_owned() })
    }
    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// What it selects.
    pub fn resolve<'a>(&self, view: &'a dyn View) -> Option<Cow<'a, Value>> {
        view.get(&self.source).map(Cow::Borrowed)
    }
}

/// A value with references in it.
#[derive(Debug, Clone)]
pub struct Template;

impl Template {
    /// Resolves every reference.
    /// # Errors
    /// The first reference that selects nothing.
    pub fn resolve(&self, _view: &dyn View) -> Result<Value, Missing> {
        Ok(Value::Null)
    }
}
