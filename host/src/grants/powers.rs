//! Powers, asked for or granted: one shape for both.

use serde::Serialize;
use weir_engine::tool_grant::ToolGrant;

use super::{
    names::Names,
    reach::{self, HostGrant},
};

/// Hosts that one plugin asks for.
pub(super) const HOSTS_MAX: usize = 64;
/// Hosts that one version is granted: what two lists of [`HOSTS_MAX`] have in common may be longer than either, because
/// of the ports, and is shorter than this.
pub(super) const GRANTED_HOSTS_MAX: usize = 512;
/// Tools that one plugin asks for, those of all its agents included.
pub(super) const TOOLS_MAX: usize = 1_024;
/// Models, or secrets, that one plugin asks for.
pub(super) const NAMES_MAX: usize = 64;
/// Room in the plugin's own store where the plugin does not say how much it asks for.
pub(super) const KV_BYTES_DEFAULT: u64 = 1 << 20;
/// The most room in the plugin's own store.
pub(super) const KV_BYTES_MAX: u64 = 64 << 20;

/// Powers, one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Powers {
    /// Where requests may go.
    pub hosts: Vec<HostGrant>,
    /// The models' names.
    pub models: Names,
    /// Tools of other plugins, in the order of their names.
    pub tools: Vec<ToolGrant>,
    /// The secrets' names.
    pub secrets: Names,
    /// A store of its own.
    pub kv: Option<KvGrant>,
}

/// Room in a plugin's own store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KvGrant {
    /// The most bytes of keys and values together.
    pub bytes: u64,
}

impl Powers {
    /// Whether there is none.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn tool(&self, name: &str) -> Option<&ToolGrant> {
        let found = self.tools.binary_search_by(|known| known.tool.as_str().cmp(name));
        found.ok().and_then(|at| self.tools.get(at))
    }

    /// Puts the tools in order; of those that are there twice the first stays.
    pub(super) fn sort_tools(&mut self) {
        self.tools.sort_by(|a, b| a.tool.cmp(&b.tool));
        self.tools.dedup_by(|b, a| a.tool == b.tool);
    }

    /// What these are more than `others`, each with its place.
    pub(super) fn exceeding(&self, others: &Self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut add = |place: String, what: String| found.push((place, what));
        for (at, host) in self.hosts.iter().enumerate() {
            let methods = host.beyond(&others.hosts);
            if !methods.is_empty() {
                add(format!("hosts/{at}"), format!("host {} with {}", host.host, methods.join(", ")));
            }
        }
        for (at, model) in self.models.beyond(&others.models) {
            add(format!("models/{at}"), format!("model {model}"));
        }
        for (at, tool) in self.tools.iter().enumerate().filter(|(_, tool)| others.tool(&tool.tool).is_none()) {
            add(format!("tools/{at}"), format!("tool {}", tool.tool));
        }
        for (at, secret) in self.secrets.beyond(&others.secrets) {
            add(format!("secrets/{at}"), format!("secret {secret}"));
        }
        if let Some(kv) = self.kv.filter(|kv| others.kv.is_none_or(|other| kv.bytes > other.bytes)) {
            add("kv".to_owned(), format!("a store of {} bytes", kv.bytes));
        }
        found
    }

    /// What these have in common with `others`, on the terms of these.
    pub(super) fn common(&self, others: &Self) -> Self {
        Self {
            hosts: reach::common(&self.hosts, &others.hosts),
            models: self.models.common(&others.models),
            tools: self.tools.iter().filter(|tool| others.tool(&tool.tool).is_some()).cloned().collect(),
            secrets: self.secrets.common(&others.secrets),
            kv: self.kv.zip(others.kv).map(|(a, b)| KvGrant { bytes: a.bytes.min(b.bytes) }),
        }
    }
}
