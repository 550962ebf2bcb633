//! The descriptor: what a plugin says about itself when it is uploaded.

use crate::Plugin;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// What stands at the top of a descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The plugin's name, as workflows write it before the dot.
    pub name: &'static str,
    /// Its version (semver).
    pub version: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is good for.
    pub description: &'static str,
    /// What it asks an administrator to grant.
    pub asks: Asks,
}

/// What a plugin asks for. Asking gives nothing: an administrator grants all of it, less, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    /// Hosts, for requests over HTTP.
    pub hosts: &'static [Host],
    /// Models, by their aliases; `*` for any.
    pub models: &'static [&'static str],
    /// Tools, beside those that single agents ask for.
    pub tools: &'static [&'static str],
    /// Secrets, by their names.
    pub secrets: &'static [&'static str],
    /// Room for documents.
    pub kv: Kv,
}

/// A host that a plugin asks for.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// `api.example.com`, `*.example.com`, each perhaps with a port; `*` for any.
    pub host: &'static str,
    /// The methods; empty for `GET` and `HEAD`.
    pub methods: &'static [&'static str],
}

/// The room for documents that a plugin asks for.
#[derive(Clone, Copy, Debug)]
pub enum Kv {
    /// None.
    None,
    /// As much as the host gives by default.
    Some,
    /// So many bytes.
    Bytes(u64),
}

/// One tool or agent: how it is called, and what to say about it.
#[derive(Clone, Copy)]
pub struct Offer {
    /// The name, as workflows write it after the dot.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// Whether it changes nothing outside.
    pub read_only: bool,
    /// What the author thinks it needs.
    pub limits: Limits,
    /// The tools that an agent asks to call.
    pub tools: &'static [&'static str],
    /// The schema of its configuration, for one that has any.
    pub config_schema: Option<fn() -> Value>,
    /// The schema of its input.
    pub input_schema: fn() -> Value,
    /// The schema of its output.
    pub output_schema: fn() -> Value,
    /// Runs it.
    pub run: fn(&crate::Call) -> Result<String, crate::Failure>,
}

/// Limits that an author wishes for a tool or agent; the host's own stay above them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Longest duration of one call.
    pub timeout_ms: Option<u64>,
    /// Most instructions of one call.
    pub fuel: Option<u64>,
    /// Most memory of one call.
    pub memory_bytes: Option<u64>,
}

/// The descriptor of a plugin, as the host reads it.
pub(crate) fn describe<P: Plugin>() -> Value {
    let Header { name, version, title, description, asks } = P::HEADER;
    json!({
        "name": name,
        "version": version,
        "title": title,
        "description": description,
        "tools": P::TOOLS.iter().map(describe_offer).collect::<Vec<_>>(),
        "agents": P::AGENTS.iter().map(describe_agent).collect::<Vec<_>>(),
        "asks": describe_asks(&asks),
    })
}

/// Only what is asked for: the document of a plugin that asks for nothing is `{}`.
fn describe_asks(asks: &Asks) -> Value {
    let Asks { hosts, models, tools, secrets, kv } = asks;
    let mut described = Map::new();
    if !hosts.is_empty() {
        described.insert("hosts".into(), hosts.iter().map(describe_host).collect());
    }
    for (name, list) in [("models", models), ("tools", tools), ("secrets", secrets)] {
        if !list.is_empty() {
            described.insert(name.into(), json!(list));
        }
    }
    match kv {
        Kv::None => {}
        Kv::Some => drop(described.insert("kv".into(), true.into())),
        Kv::Bytes(bytes) => drop(described.insert("kv".into(), json!({ "bytes": bytes }))),
    }
    Value::Object(described)
}

fn describe_host(host: &Host) -> Value {
    match host.methods {
        [] => host.host.into(),
        methods => json!({ "host": host.host, "methods": methods }),
    }
}

fn describe_agent(agent: &Offer) -> Value {
    let mut described = describe_offer(agent);
    described["tools"] = json!(agent.tools);
    described
}

fn describe_offer(offer: &Offer) -> Value {
    let mut described = Map::new();
    described.insert("name".into(), offer.name.into());
    described.insert("title".into(), offer.title.into());
    described.insert("description".into(), offer.description.into());
    if let Some(schema) = offer.config_schema {
        described.insert("config_schema".into(), schema());
    }
    described.insert("input_schema".into(), (offer.input_schema)());
    described.insert("output_schema".into(), (offer.output_schema)());
    described.insert("idempotent".into(), offer.idempotent.into());
    described.insert("read_only".into(), offer.read_only.into());
    if let Some(limits) = describe_limits(offer.limits) {
        described.insert("limits".into(), limits);
    }
    Value::Object(described)
}

fn describe_limits(limits: Limits) -> Option<Value> {
    let Limits { timeout_ms, fuel, memory_bytes } = limits;
    let wished = [("timeout_ms", timeout_ms), ("fuel", fuel), ("memory_bytes", memory_bytes)];
    let wished: Map<_, _> = wished.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect();
    (!wished.is_empty()).then_some(Value::Object(wished))
}

/// The schema (JSON Schema 2020-12) of what a function reads.
pub fn schema_to_read<T: JsonSchema>() -> Value {
    schema::<T>(Contract::Deserialize)
}

/// The schema (JSON Schema 2020-12) of what a function answers.
pub fn schema_to_write<T: JsonSchema>() -> Value {
    schema::<T>(Contract::Serialize)
}

fn schema<T: JsonSchema>(contract: Contract) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.contract = contract;
    settings.meta_schema = None;
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    // The name of the Rust type is not for people.
    if schema.get("title").and_then(Value::as_str) == Some(&T::schema_name()) {
        schema.remove("title");
    }
    schema.to_value()
}
