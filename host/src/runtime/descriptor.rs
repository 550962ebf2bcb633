//! What a plugin says about itself, checked: names, versions and schemas are sound, and all problems are told at once.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::text::neutral;
pub use crate::names::{is_name, is_version};
use crate::{grants::Asks, names::is_tool_reference, schema::Schema};

/// Tools of one plugin, and agents of one plugin.
const OFFERS_MAX: usize = 256;
/// Tools that one agent asks for.
const ASKED_TOOLS_MAX: usize = 256;
const TITLE_BYTES_MAX: usize = 200;
const DESCRIPTION_BYTES_MAX: usize = 16 << 10;
/// Problems that are told.
const PROBLEMS_MAX: usize = 100;

/// A plugin's descriptor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Descriptor {
    /// The plugin's name.
    pub name: String,
    /// Its version (semantic versioning).
    pub version: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its tools.
    pub tools: Vec<Offer>,
    /// Its agents.
    pub agents: Vec<Offer>,
    /// What it asks for, the tools that its agents list included.
    pub asks: Asks,
}

/// A tool or an agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offer {
    /// Its name, unique in the plugin.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of the step's configuration.
    pub config_schema: Option<Value>,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the answer.
    pub output_schema: Value,
    /// Whether a second call with the same input changes nothing.
    pub idempotent: bool,
    /// Whether it changes nothing at all.
    pub read_only: bool,
    /// What one call wants to use.
    pub limits: OfferLimits,
    /// Tools that an agent asks to call: `plugin.tool`, perhaps with `@version`.
    pub tools: Vec<String>,
}

/// What one call wants to use; `None` is the host's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OfferLimits {
    /// Wall time in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Fuel.
    pub fuel: Option<u64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

impl Descriptor {
    /// The tool or agent with this name.
    #[must_use]
    pub fn offer(&self, name: &str) -> Option<&Offer> {
        self.tools.iter().chain(&self.agents).find(|offer| offer.name == name)
    }
}

/// Reads a descriptor.
///
/// # Errors
/// Everything that is wrong, each with its place (`tools/0/input_schema: …`).
pub fn check(value: &Value) -> Result<Descriptor, Vec<String>> {
    let mut reader = Reader::default();
    let Value::Object(object) = value else { return Err(vec!["the descriptor is not an object".to_owned()]) };
    let descriptor = Descriptor {
        name: reader.name(object, "name", ""),
        version: reader.version(object),
        title: reader.text(object, "title", "", TITLE_BYTES_MAX),
        description: reader.text(object, "description", "", DESCRIPTION_BYTES_MAX),
        tools: reader.offers(object, "tools"),
        agents: reader.offers(object, "agents"),
        asks: reader.asks(value),
    };
    reader.unique(&descriptor);
    if reader.problems.is_empty() { Ok(descriptor) } else { Err(reader.problems) }
}

/// Reads fields and collects what is wrong with them.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, place: &str, what: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(format!("{place}: {}", neutral(what, 500)));
        }
    }

    fn name(&mut self, object: &Map<String, Value>, key: &str, place: &str) -> String {
        match object.get(key).and_then(Value::as_str) {
            Some(name) if is_name(name) => name.to_owned(),
            _ => {
                self.problem(&format!("{place}{key}"), "must be a name like [a-z][a-z0-9_]{0,63}");
                String::new()
            }
        }
    }

    fn version(&mut self, object: &Map<String, Value>) -> String {
        match object.get("version").and_then(Value::as_str) {
            Some(version) if is_version(version) => version.to_owned(),
            _ => {
                self.problem("version", "must be a semantic version like 1.2.3");
                String::new()
            }
        }
    }

    fn text(&mut self, object: &Map<String, Value>, key: &str, place: &str, bytes_max: usize) -> Option<String> {
        match object.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.len() <= bytes_max => Some(text.clone()),
            Some(_) => {
                self.problem(&format!("{place}{key}"), &format!("must be a text of at most {bytes_max} bytes"));
                None
            }
        }
    }

    fn flag(&mut self, object: &Map<String, Value>, key: &str, place: &str) -> bool {
        match object.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.problem(&format!("{place}{key}"), "must be true or false");
                false
            }
        }
    }

    fn number(&mut self, object: &Map<String, Value>, key: &str, place: &str) -> Option<u64> {
        match object.get(key) {
            None | Some(Value::Null) => None,
            Some(value) if value.as_u64().is_some_and(|number| number > 0) => value.as_u64(),
            Some(_) => {
                self.problem(&format!("{place}{key}"), "must be a whole number above 0");
                None
            }
        }
    }

    fn list<'a>(&mut self, object: &'a Map<String, Value>, key: &str, place: &str, max: usize) -> &'a [Value] {
        match object.get(key) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(list)) if list.len() <= max => list,
            Some(_) => {
                self.problem(&format!("{place}{key}"), &format!("must be a list of at most {max}"));
                &[]
            }
        }
    }

    fn schema(&mut self, object: &Map<String, Value>, key: &str, place: &str) -> Option<Value> {
        let found = object.get(key)?;
        if let Err(why) = Schema::compile(found) {
            self.problem(&format!("{place}{key}{}", why.field), &why.message);
        }
        Some(found.clone())
    }

    fn needed_schema(&mut self, object: &Map<String, Value>, key: &str, place: &str) -> Value {
        self.schema(object, key, place).unwrap_or_else(|| {
            self.problem(&format!("{place}{key}"), "is missing");
            Value::Null
        })
    }

    fn offers(&mut self, object: &Map<String, Value>, key: &str) -> Vec<Offer> {
        let list = self.list(object, key, "", OFFERS_MAX);
        let mut offers = Vec::with_capacity(list.len());
        for (at, value) in list.iter().enumerate() {
            match value.as_object() {
                Some(offer) => offers.push(self.offer(offer, &format!("{key}/{at}/"))),
                None => self.problem(&format!("{key}/{at}"), "must be an object"),
            }
        }
        offers
    }

    fn offer(&mut self, object: &Map<String, Value>, place: &str) -> Offer {
        Offer {
            name: self.name(object, "name", place),
            title: self.text(object, "title", place, TITLE_BYTES_MAX),
            description: self.text(object, "description", place, DESCRIPTION_BYTES_MAX),
            config_schema: self.schema(object, "config_schema", place),
            input_schema: self.needed_schema(object, "input_schema", place),
            output_schema: self.needed_schema(object, "output_schema", place),
            idempotent: self.flag(object, "idempotent", place),
            read_only: self.flag(object, "read_only", place),
            limits: self.limits(object, place),
            tools: self.asked_tools(object, place),
        }
    }

    fn limits(&mut self, object: &Map<String, Value>, place: &str) -> OfferLimits {
        match object.get("limits") {
            None | Some(Value::Null) => OfferLimits::default(),
            Some(Value::Object(limits)) => {
                let place = format!("{place}limits/");
                OfferLimits {
                    timeout_ms: self.number(limits, "timeout_ms", &place),
                    fuel: self.number(limits, "fuel", &place),
                    memory_bytes: self.number(limits, "memory_bytes", &place),
                }
            }
            Some(_) => {
                self.problem(&format!("{place}limits"), "must be an object");
                OfferLimits::default()
            }
        }
    }

    fn asked_tools(&mut self, object: &Map<String, Value>, place: &str) -> Vec<String> {
        let list = self.list(object, "tools", place, ASKED_TOOLS_MAX);
        let mut tools = Vec::with_capacity(list.len());
        for (at, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(tool) if is_tool_reference(tool) => tools.push(tool.to_owned()),
                _ => self.problem(&format!("{place}tools/{at}"), "must name a tool: plugin.tool, tool@1.2.3"),
            }
        }
        tools
    }

    fn asks(&mut self, descriptor: &Value) -> Asks {
        Asks::of_descriptor(descriptor).unwrap_or_else(|problems| {
            for problem in problems {
                self.problem(&problem.place, &problem.message);
            }
            Asks::default()
        })
    }

    fn unique(&mut self, descriptor: &Descriptor) {
        let mut seen = BTreeSet::new();
        for offer in descriptor.tools.iter().chain(&descriptor.agents) {
            if !offer.name.is_empty() && !seen.insert(offer.name.as_str()) {
                self.problem("name", &format!("{:?} is offered twice", offer.name));
            }
        }
        if descriptor.tools.is_empty() && descriptor.agents.is_empty() && self.problems.is_empty() {
            self.problem("tools", "the plugin offers neither tools nor agents");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_problems_are_told_at_once() {
        let bad = json!({ "name": "Bad Name", "version": "1.0", "tools": [
            { "name": "a", "input_schema": {}, "output_schema": { "type": 7 } },
            { "name": "a", "input_schema": {} , "output_schema": {}, "idempotent": "yes", "limits": { "fuel": 0 } },
        ], "agents": [{ "name": "b", "input_schema": {}, "output_schema": {}, "tools": ["not a tool"] }, 7],
            "asks": { "hosts": ["a b"], "models": 7 } });
        let problems = check(&bad).unwrap_err().join("\n");
        for place in [
            "name: must",
            "version:",
            "tools/0/output_schema/type:",
            "tools/1/idempotent:",
            "tools/1/limits/fuel:",
            "agents/0/tools/0:",
            "agents/1:",
            "asks/hosts/0:",
            "asks/models:",
            "offered twice",
        ] {
            assert!(problems.contains(place), "{place} is not in:\n{problems}");
        }
    }
}
