//! Plugins as clients see them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::{GrantView, Time};
use crate::{
    grants::{Asks, GrantStatus, Granted},
    store::{GrantRow, PluginRow},
};

/// One version of a plugin, in few words.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PluginSummary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its title, for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The names of its tools.
    pub tools: Vec<String>,
    /// The names of its agents.
    pub agents: Vec<String>,
    /// SHA-256 of its component, in hex.
    pub digest: String,
    /// Size of its component, in bytes.
    pub size_bytes: u64,
    /// Whether new executions may use it.
    pub enabled: bool,
    /// How what it is granted stands to what it asks for: `nothing_asked`, `granted`, `partly`, `pending`.
    pub grants_status: &'static str,
    /// When it was installed.
    pub installed_at: Time,
}

/// One version of a plugin with all that it says about itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PluginDetail {
    /// The plugin in few words.
    #[serde(flatten)]
    pub summary: PluginSummary,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it offers, with the JSON Schemas of every tool and agent.
    #[schema(value_type = Object)]
    pub descriptor: Json,
    /// What it asks for, and what it is granted.
    pub grants: GrantView,
    /// Who installed it.
    pub installed_by: String,
}

fn names(descriptor: &Value, list: &str) -> Vec<String> {
    let items = descriptor.get(list).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get("name")?.as_str().map(str::to_owned)).collect()
}

impl PluginSummary {
    /// The summary of a version; `grant` is `None` where nothing was ever granted.
    #[must_use]
    pub fn new(row: &PluginRow, grant: Option<&GrantRow>) -> Self {
        let descriptor = row.descriptor.value();
        let text = |field: &str| descriptor.get(field).and_then(Value::as_str).map(str::to_owned);
        let nothing = Granted::default();
        let (granted, decided) = grant.map_or((&nothing, false), |grant| (&*grant.granted, grant.decided));
        Self {
            name: row.name.as_ref().to_owned(),
            version: row.version.as_ref().to_owned(),
            title: text("title"),
            description: text("description"),
            tools: names(descriptor, "tools"),
            agents: names(descriptor, "agents"),
            digest: row.digest.as_ref().to_owned(),
            size_bytes: row.size_bytes,
            enabled: row.enabled,
            grants_status: GrantStatus::of(&Asks::of_installed(descriptor), granted, decided).as_str(),
            installed_at: Time(row.installed_at),
        }
    }
}

impl PluginDetail {
    /// All about a version; `grant` is `None` where nothing was ever granted.
    #[must_use]
    pub fn new(row: PluginRow, grant: Option<&GrantRow>) -> Self {
        Self {
            summary: PluginSummary::new(&row, grant),
            grants: GrantView::new(&row, grant),
            imports: row.imports,
            descriptor: row.descriptor,
            installed_by: row.installed_by,
        }
    }
}
