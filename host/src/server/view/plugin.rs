//! Plugins as clients see them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::Time;
use crate::store::PluginRow;

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
    /// Who installed it.
    pub installed_by: String,
}

fn names(descriptor: &Value, list: &str) -> Vec<String> {
    let items = descriptor.get(list).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get("name")?.as_str().map(str::to_owned)).collect()
}

impl From<&PluginRow> for PluginSummary {
    fn from(row: &PluginRow) -> Self {
        let descriptor = row.descriptor.value();
        let text = |field: &str| descriptor.get(field).and_then(Value::as_str).map(str::to_owned);
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
            installed_at: Time(row.installed_at),
        }
    }
}

impl From<PluginRow> for PluginDetail {
    fn from(row: PluginRow) -> Self {
        Self {
            summary: PluginSummary::from(&row),
            imports: row.imports,
            descriptor: row.descriptor,
            installed_by: row.installed_by,
        }
    }
}
