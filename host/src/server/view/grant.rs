//! What plugins ask for and what they are granted, as clients see it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Time;
use crate::{
    grants::{Asks, GrantStatus, Granted, Powers},
    store::{GrantRow, PluginRow},
};

/// What one version of a plugin asks for, and what it is granted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GrantView {
    /// The version.
    pub version: String,
    /// SHA-256 of its component, in hex.
    pub digest: String,
    /// Whether new executions may use it.
    pub enabled: bool,
    /// `nothing_asked`; `granted`: all of it; `partly`: somebody decided on less, or on nothing; `pending`: nobody has
    /// decided about all of it yet.
    pub status: &'static str,
    /// What it asks for, as its descriptor and the tools of its agents say.
    pub asks: PowersView,
    /// What it may do; never more than it asks for.
    pub granted: PowersView,
    /// What it asks for and is not granted, one phrase each.
    pub missing: Vec<String>,
    /// When it was granted, or carried over.
    pub granted_at: Option<Time>,
    /// Who decided.
    pub granted_by: Option<String>,
    /// The version whose grants these were.
    pub carried_from: Option<String>,
}

impl GrantView {
    /// The view of a version; `row` is `None` where nothing was ever granted.
    #[must_use]
    pub fn new(plugin: &PluginRow, row: Option<&GrantRow>) -> Self {
        let asks = Asks::of_installed(plugin.descriptor.value());
        let nothing = Granted::default();
        let granted = row.map_or(&nothing, |row| &row.granted);
        Self {
            version: plugin.version.to_string(),
            digest: plugin.digest.to_string(),
            enabled: plugin.enabled,
            status: GrantStatus::of(&asks, granted, row.is_some_and(|row| row.decided)).as_str(),
            missing: asks.missing(granted),
            asks: asks.powers().into(),
            granted: granted.powers().into(),
            granted_at: row.map(|row| Time(row.granted_at)),
            granted_by: row.and_then(|row| row.granted_by.clone()),
            carried_from: row.and_then(|row| row.carried_from.as_deref().map(str::to_owned)),
        }
    }
}

/// Powers, asked for or granted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PowersView {
    /// Where requests may go: `{host, methods}`. A host is `api.example.com`, `*.example.com`, each with a port if it is
    /// not that of http or https, or `*` for every host; methods are names, or `*`.
    #[schema(value_type = Vec<Object>)]
    pub hosts: Value,
    /// Names of models; `*` for all.
    #[schema(value_type = Vec<String>)]
    pub models: Value,
    /// Tools of other plugins: `{tool, approval, approvers, timeout_minutes}`; `approval: required` asks a person before
    /// each call.
    #[schema(value_type = Vec<Object>)]
    pub tools: Value,
    /// Names of secrets; `*` for all.
    #[schema(value_type = Vec<String>)]
    pub secrets: Value,
    /// A store of its own: `{bytes}`; null for none.
    #[schema(value_type = Option<Object>)]
    pub kv: Value,
}

impl From<&Powers> for PowersView {
    fn from(powers: &Powers) -> Self {
        let mut written = serde_json::to_value(powers).unwrap_or_default();
        let mut take = |member: &str| written.get_mut(member).map(Value::take).unwrap_or_default();
        Self {
            hosts: take("hosts"),
            models: take("models"),
            tools: take("tools"),
            secrets: take("secrets"),
            kv: take("kv"),
        }
    }
}
