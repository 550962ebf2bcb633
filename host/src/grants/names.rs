//! Lists of names: models, secrets.

use serde::{Serialize, Serializer};

/// Some names, or all that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Whatever the name; written `*`.
    Any,
    /// These, in order, none twice.
    List(Vec<Box<str>>),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Names {
    /// The names of a list; `*` among them means all.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut list: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        if list.iter().any(|name| &**name == "*") {
            return Self::Any;
        }
        list.sort_unstable();
        list.dedup();
        Self::List(list)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn contain(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(names) => names.binary_search_by(|known| (**known).cmp(name)).is_ok(),
        }
    }

    /// The names as they are written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (any, list) = match self {
            Self::Any => (Some("*"), [].as_slice()),
            Self::List(names) => (None, names.as_slice()),
        };
        any.into_iter().chain(list.iter().map(|name| &**name))
    }

    /// The names that `other` does not mean, with their places.
    pub(super) fn beyond<'s>(&'s self, other: &Self) -> Vec<(usize, &'s str)> {
        let is_beyond = |name: &str| *other != Self::Any && (name == "*" || !other.contain(name));
        self.iter().enumerate().filter(|(_, name)| is_beyond(name)).collect()
    }

    pub(super) fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, names) | (names, Self::Any) => names.clone(),
            (Self::List(names), Self::List(_)) => {
                Self::List(names.iter().filter(|name| other.contain(name)).cloned().collect())
            }
        }
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
