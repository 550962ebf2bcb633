//! What steps can call: the tools and agents of the enabled plugins, as the compiler asks for them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use weir_engine::{
    compile::{ArgumentProblem, Catalog, Found, edit_distance},
    graph::{Target, Wants},
    json::Json,
};

use super::lock;
use crate::{
    schema::Schema,
    store::{PluginRow, Precedence},
};

/// How many similar names a message suggests.
const SIMILAR_MAX: usize = 3;

/// Compiled input schemas by digest and tool; `None` where there is none.
type Schemas = HashMap<(Arc<str>, String), Option<Arc<Schema>>>;

/// The enabled plugins at one moment.
#[derive(Debug, Default)]
pub struct HostCatalog {
    /// By name; the newest version last.
    plugins: BTreeMap<Arc<str>, Vec<PluginRow>>,
    schemas: Mutex<Schemas>,
}

/// A name as authors write it: `tool`, `plugin.tool`, either with `@version`.
struct Written<'a> {
    plugin: Option<&'a str>,
    name: &'a str,
    version: Option<&'a str>,
}

impl<'a> Written<'a> {
    fn parse(text: &'a str) -> Self {
        let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
        let (plugin, name) = path.split_once('.').map_or((None, path), |(plugin, name)| (Some(plugin), name));
        Self { plugin, name, version }
    }
}

impl HostCatalog {
    /// The catalog of these plugins.
    #[must_use]
    pub fn new(rows: Vec<PluginRow>) -> Self {
        let mut plugins: BTreeMap<Arc<str>, Vec<PluginRow>> = BTreeMap::new();
        for row in rows {
            plugins.entry(row.name.clone()).or_default().push(row);
        }
        for versions in plugins.values_mut() {
            versions.sort_by_cached_key(|row| Precedence::of(&row.version));
        }
        Self { plugins, schemas: Mutex::default() }
    }

    /// The descriptor's entry of a tool or agent.
    #[must_use]
    pub fn about(&self, target: &Target) -> Option<&Value> {
        let versions = self.plugins.get(target.plugin.as_str())?;
        let row = versions.iter().find(|row| *row.digest == *target.digest)?;
        entry(row, &target.name, target.agent)
    }

    fn candidates(&self, written: &Written<'_>) -> Vec<&PluginRow> {
        let named = self.plugins.iter().filter(|(name, _)| written.plugin.is_none_or(|plugin| plugin == &***name));
        let version = |versions: &'_ [PluginRow]| match written.version {
            Some(version) => versions.iter().position(|row| *row.version == *version),
            None => versions.len().checked_sub(1),
        };
        named.filter_map(|(_, versions)| versions.get(version(versions)?)).collect()
    }

    fn target(&self, row: &PluginRow, name: &str, agent: bool) -> Target {
        let asked = entry(row, name, agent).filter(|_| agent).and_then(|entry| entry.get("tools")?.as_array());
        let tools =
            asked.into_iter().flatten().filter_map(Value::as_str).filter_map(|tool| match self.find(tool, false) {
                Found::One(target) => Some((tool.to_owned(), target)),
                Found::Ambiguous(_) | Found::Missing => None,
            });
        Target {
            plugin: row.name.to_string(),
            version: row.version.to_string(),
            digest: row.digest.to_string(),
            name: name.to_owned(),
            agent,
            wants: wanted(entry(row, name, agent)),
            tools: tools.collect(),
        }
    }

    fn schema_of(&self, target: &Target) -> Option<Arc<Schema>> {
        let key = (Arc::from(target.digest.as_str()), target.name.clone());
        if let Some(known) = lock(&self.schemas).get(&key) {
            return known.clone();
        }
        let schema =
            self.about(target).and_then(|entry| Schema::compile(entry.get("input_schema")?).ok()).map(Arc::new);
        lock(&self.schemas).insert(key, schema.clone());
        schema
    }
}

impl Catalog for HostCatalog {
    fn find(&self, name: &str, agent: bool) -> Found {
        let written = Written::parse(name);
        let offers: Vec<&PluginRow> =
            self.candidates(&written).into_iter().filter(|row| entry(row, written.name, agent).is_some()).collect();
        match offers.as_slice() {
            [] => Found::Missing,
            [row] => Found::One(self.target(row, written.name, agent)),
            several => Found::Ambiguous(several.iter().map(|row| format!("{}.{}", row.name, written.name)).collect()),
        }
    }

    fn similar(&self, name: &str, agent: bool) -> Vec<String> {
        let newest = self.plugins.values().filter_map(|versions| versions.last());
        let all = newest.flat_map(|row| {
            let names = row.descriptor.value().get(kind(agent)).and_then(Value::as_array).into_iter().flatten();
            names.filter_map(|entry| entry.get("name")?.as_str()).map(|entry| format!("{}.{entry}", row.name))
        });
        let bare = Written::parse(name).name;
        let mut scored: Vec<(usize, String)> = all
            .map(|full| {
                let own = full.split_once('.').map_or(full.as_str(), |(_, own)| own);
                (edit_distance(own, bare).min(edit_distance(&full, name)), full)
            })
            .filter(|(distance, full)| *distance <= full.len() / 2)
            .collect();
        scored.sort();
        scored.into_iter().take(SIMILAR_MAX).map(|(_, full)| full).collect()
    }

    fn check_arguments(&self, target: &Target, arguments: &Value) -> Vec<ArgumentProblem> {
        let problems = self.schema_of(target).map(|schema| schema.problems(arguments)).unwrap_or_default();
        problems.into_iter().map(|p| ArgumentProblem { pointer: p.field, message: p.message }).collect()
    }
}

/// The catalog of an execution that was started before: names mean what they meant then.
pub(super) struct Pinned<'a>(pub(super) &'a BTreeMap<String, Arc<Target>>);

impl Catalog for Pinned<'_> {
    fn find(&self, name: &str, agent: bool) -> Found {
        match self.0.get(name).filter(|target| target.agent == agent) {
            Some(target) => Found::One((**target).clone()),
            None => Found::Missing,
        }
    }

    fn check_arguments(&self, _: &Target, _: &Value) -> Vec<ArgumentProblem> {
        Vec::new()
    }
}

/// What a descriptor's entry wants for one call; it was checked at upload.
fn wanted(entry: Option<&Value>) -> Wants {
    let limits = entry.and_then(|entry| entry.get("limits"));
    let wanted = |name: &str| limits.and_then(|limits| limits.get(name)?.as_u64());
    Wants { timeout_ms: wanted("timeout_ms"), fuel: wanted("fuel"), memory_bytes: wanted("memory_bytes") }
}

fn kind(agent: bool) -> &'static str {
    if agent { "agents" } else { "tools" }
}

fn entry<'a>(row: &'a PluginRow, name: &str, agent: bool) -> Option<&'a Value> {
    let entries = Json::value(&row.descriptor).get(kind(agent))?.as_array()?;
    entries.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_engine::id::Timestamp;

    use super::*;

    fn plugin(name: &str, version: &str, tools: &[&str]) -> PluginRow {
        let tools: Vec<Value> = tools.iter().map(|tool| json!({ "name": tool })).collect();
        PluginRow {
            name: name.into(),
            version: version.into(),
            digest: format!("{name}-{version}").into(),
            descriptor: Json::from_value(
                json!({ "tools": tools, "agents": [{ "name": "helper", "limits": { "fuel": 7 }, "tools": ["text.count"] }] }),
            ),
            size_bytes: 1,
            imports: Vec::new(),
            enabled: true,
            installed_at: Timestamp(0),
            installed_by: "test".to_owned(),
        }
    }

    fn catalog() -> HostCatalog {
        HostCatalog::new(vec![
            plugin("text", "0.10.0", &["count"]),
            plugin("text", "0.9.0", &["count", "old"]),
            plugin("words", "1.0.0-rc.10", &["count", "spell"]),
            plugin("words", "1.0.0-rc.9", &["count", "spell"]),
        ])
    }

    fn one(found: Found) -> Target {
        match found {
            Found::One(target) => target,
            Found::Ambiguous(all) => panic!("ambiguous: {all:?}"),
            Found::Missing => panic!("missing"),
        }
    }

    #[test]
    fn a_name_means_the_newest_version_unless_it_pins_one() {
        let catalog = catalog();
        assert_eq!(one(catalog.find("text.count", false)).version, "0.10.0");
        assert_eq!(one(catalog.find("text.count@0.9.0", false)).version, "0.9.0");
        let spell = one(catalog.find("spell", false));
        assert_eq!((&*spell.plugin, &*spell.version), ("words", "1.0.0-rc.10"));
        assert_eq!(one(catalog.find("old@0.9.0", false)).plugin, "text");
    }

    #[test]
    fn a_bare_name_that_two_plugins_offer_is_ambiguous() {
        let Found::Ambiguous(all) = catalog().find("count", false) else { panic!("not ambiguous") };
        assert_eq!(all, ["text.count", "words.count"]);
    }

    #[test]
    fn a_missing_name_is_answered_with_similar_ones() {
        assert_eq!(catalog().find("text.cuont", false), Found::Missing);
        let similar = catalog().similar("text.cuont", false);
        assert!(similar.contains(&"text.count".to_owned()), "{similar:?}");
    }

    #[test]
    fn an_agent_is_pinned_to_the_tools_that_it_asks_for() {
        let agent = one(catalog().find("words.helper", true));
        assert_eq!(agent.tools["text.count"].version, "0.10.0");
        assert_eq!(agent.wants, Wants { fuel: Some(7), ..Wants::default() });
    }
}
