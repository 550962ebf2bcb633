//! Where requests may go, and with which methods.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::egress::{HostPattern, HostPort, Method};

/// Hosts that are meant: those of a pattern, or every host on every port, written `*`. What is not public stays closed
/// unless an operator allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule(Option<HostPattern>);

impl HostRule {
    /// Every host.
    pub const ANY: Self = Self(None);

    /// The hosts of a pattern.
    #[must_use]
    pub fn of(pattern: HostPattern) -> Self {
        Self(Some(pattern))
    }

    /// The pattern, if not every host is meant.
    #[must_use]
    pub fn pattern(&self) -> Option<&HostPattern> {
        self.0.as_ref()
    }

    /// Whether a target is one of those meant.
    #[must_use]
    pub fn matches(&self, target: &HostPort) -> bool {
        self.0.as_ref().is_none_or(|pattern| pattern.matches(target))
    }

    fn common(&self, other: &Self) -> Option<Self> {
        match (&self.0, &other.0) {
            (None, _) => Some(other.clone()),
            (_, None) => Some(self.clone()),
            (Some(a), Some(b)) => a.common(b).map(Self::of),
        }
    }

    /// Whether all that is meant is meant by `other` as well.
    fn is_within(&self, other: &Self) -> bool {
        self.common(other).as_ref() == Some(self)
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(pattern) => pattern.fmt(f),
            None => f.write_str("*"),
        }
    }
}

impl Serialize for HostRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Methods of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Methods {
    /// Every one that the egress guard lets out; written `*`.
    Any,
    /// These.
    List(Vec<Method>),
}

impl Methods {
    /// Those that only read: what is meant where none is named.
    #[must_use]
    pub fn reading() -> Self {
        Self::List(vec![Method::GET, Method::HEAD])
    }

    /// Whether a method is one of them.
    #[must_use]
    pub fn contain(&self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::List(methods) => methods.contains(method),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::List(methods) if methods.is_empty())
    }

    fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, methods) | (methods, Self::Any) => methods.clone(),
            (Self::List(methods), Self::List(_)) => {
                Self::List(methods.iter().filter(|method| other.contain(method)).cloned().collect())
            }
        }
    }

    fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Any, _) => {}
            (Self::List(_), Self::Any) => *self = Self::Any,
            (Self::List(methods), Self::List(others)) => {
                let new: Vec<Method> = others.into_iter().filter(|method| !methods.contains(method)).collect();
                methods.extend(new);
            }
        }
    }
}

impl Serialize for Methods {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.collect_seq(["*"]),
            Self::List(methods) => serializer.collect_seq(methods.iter().map(Method::as_str)),
        }
    }
}

/// Some hosts, and what may be sent there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostGrant {
    /// Which hosts.
    pub host: HostRule,
    /// What may be sent there.
    pub methods: Methods,
}

impl HostGrant {
    /// The methods for which none of `others` means all these hosts: `*` for every method.
    pub(super) fn beyond(&self, others: &[Self]) -> Vec<&str> {
        let around: Vec<&Self> = others.iter().filter(|other| self.host.is_within(&other.host)).collect();
        match &self.methods {
            Methods::Any if around.iter().any(|other| other.methods == Methods::Any) => Vec::new(),
            Methods::Any => vec!["*"],
            Methods::List(methods) => {
                let missing = methods.iter().filter(|m| !around.iter().any(|other| other.methods.contain(m)));
                missing.map(Method::as_str).collect()
            }
        }
    }
}

/// What two lists have in common.
pub(super) fn common(some: &[HostGrant], others: &[HostGrant]) -> Vec<HostGrant> {
    let pairs = some.iter().flat_map(|a| others.iter().map(move |b| (a, b)));
    let both = pairs.filter_map(|(a, b)| {
        let methods = a.methods.common(&b.methods);
        let host = a.host.common(&b.host).filter(|_| !methods.is_empty())?;
        Some(HostGrant { host, methods })
    });
    merged(both)
}

/// The same, each host once.
pub(super) fn merged(grants: impl IntoIterator<Item = HostGrant>) -> Vec<HostGrant> {
    let mut merged: Vec<HostGrant> = Vec::new();
    for grant in grants {
        match merged.iter_mut().find(|known| known.host == grant.host) {
            Some(known) => known.methods.add(grant.methods),
            None => merged.push(grant),
        }
    }
    merged
}
