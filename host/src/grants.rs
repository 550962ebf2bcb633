//! What plugins ask for, and what they are granted: hosts with methods, models, tools, secrets, and a store of their own.
//! Pure.
//!
//! A plugin's descriptor [`Asks`]; an administrator grants all of it, less, or nothing, to one version ([`Granted`]). A
//! power is there only if it was asked for **and** granted: neither grants nor what follows from them ever exceed what the
//! version asks for.

mod known;
mod names;
mod powers;
mod reach;
mod reader;

use serde::Serialize;
use serde_json::Value;
use weir_engine::tool_grant::ToolGrant;

pub use self::{
    known::Grants,
    names::Names,
    powers::{KvGrant, Powers},
    reach::{HostGrant, HostRule, Methods},
};
use self::{
    powers::{GRANTED_HOSTS_MAX, HOSTS_MAX},
    reader::Reader,
};
use crate::egress::{Grant, HostPort, Method};

/// What is wrong with a document, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place, from the document's own beginning: `hosts/0/methods/1`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// What a version of a plugin asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Asks(Powers);

impl Asks {
    /// What a descriptor asks for: its `asks`, and the tools that its agents list.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place in the descriptor.
    pub fn of_descriptor(descriptor: &Value) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new();
        let mut powers = match descriptor.get("asks") {
            None => Powers::default(),
            Some(asks) => reader.powers(asks, "asks", HOSTS_MAX, false),
        };
        reader.tools_of_agents(descriptor, &mut powers);
        reader.end().map(|()| Self(powers))
    }

    /// What a descriptor asks for that was checked when its plugin was installed.
    #[must_use]
    pub fn of_installed(descriptor: &Value) -> Self {
        Self::of_descriptor(descriptor).unwrap_or_default()
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_nothing()
    }

    /// Whether it asks for anything beyond what is granted.
    #[must_use]
    pub fn exceeds(&self, granted: &Granted) -> bool {
        !self.0.exceeding(&granted.0).is_empty()
    }

    /// What is asked for and not granted, one phrase each.
    #[must_use]
    pub fn missing(&self, granted: &Granted) -> Vec<String> {
        self.0.exceeding(&granted.0).into_iter().map(|(_, what)| what).collect()
    }

    /// Whether it asks for no more than another version does.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.exceeding(&other.0).is_empty()
    }

    /// What is asked for, one by one.
    #[must_use]
    pub fn powers(&self) -> &Powers {
        &self.0
    }
}

/// What a version of a plugin may do. The checks are made for every effect: they take no memory and little time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Granted(Powers);

impl Granted {
    /// All that is asked for.
    #[must_use]
    pub fn all(asks: &Asks) -> Self {
        Self(asks.0.clone())
    }

    /// Reads what somebody grants, or what was stored.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new();
        let powers = reader.powers(value, "", GRANTED_HOSTS_MAX, true);
        reader.end().map(|()| Self(powers))
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_nothing()
    }

    /// What is granted without being asked for, each with its place; nothing where all is as it should be.
    #[must_use]
    pub fn beyond(&self, asks: &Asks) -> Vec<Problem> {
        let problem = |(place, what)| Problem { place, message: format!("{what} is not asked for") };
        self.0.exceeding(&asks.0).into_iter().map(problem).collect()
    }

    /// What of this a version gets that asks for something else: what both have in common.
    #[must_use]
    pub fn carried_over(&self, asks: &Asks) -> Self {
        Self(self.0.common(&asks.0))
    }

    /// Whether a request may go there.
    #[must_use]
    pub fn http(&self, method: &Method, target: &HostPort) -> bool {
        self.0.hosts.iter().any(|granted| granted.methods.contain(method) && granted.host.matches(target))
    }

    /// Whether the model with this name may be used.
    #[must_use]
    pub fn model(&self, alias: &str) -> bool {
        self.0.models.contain(alias)
    }

    /// Leave to call a tool that the plugin's descriptor names so.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&ToolGrant> {
        self.0.tool(name)
    }

    /// Whether the secret with this name may be put into requests.
    #[must_use]
    pub fn secret(&self, name: &str) -> bool {
        self.0.secrets.contain(name)
    }

    /// The room in the plugin's own store; `None` where it has none.
    #[must_use]
    pub fn kv(&self) -> Option<KvGrant> {
        self.0.kv
    }

    /// What is granted, one by one.
    #[must_use]
    pub fn powers(&self) -> &Powers {
        &self.0
    }
}

impl Grant for Granted {
    fn allows_host(&self, target: &HostPort) -> bool {
        self.0.hosts.iter().any(|granted| granted.host.matches(target))
    }

    fn allows(&self, method: &Method, target: &HostPort) -> bool {
        self.http(method, target)
    }
}

/// How grants stand to what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantStatus {
    /// Nothing is asked for.
    NothingAsked,
    /// All that is asked for is granted.
    Granted,
    /// An administrator decided, and granted less, or nothing.
    Partly,
    /// Nobody has decided about what this version asks for beyond what is granted.
    Pending,
}

impl GrantStatus {
    /// The status of a version; `decided` says whether somebody decided about all that it asks for.
    #[must_use]
    pub fn of(asks: &Asks, granted: &Granted, decided: bool) -> Self {
        match (asks.is_nothing(), asks.exceeds(granted)) {
            (true, _) => Self::NothingAsked,
            (false, false) => Self::Granted,
            (false, true) if decided => Self::Partly,
            (false, true) => Self::Pending,
        }
    }

    /// The status as it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingAsked => "nothing_asked",
            Self::Granted => "granted",
            Self::Partly => "partly",
            Self::Pending => "pending",
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
