//! `weir plugin`: components inspected, installed, granted powers, listed, switched, deleted.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Globals, Outcome, file,
    grants::{self, Grant},
    out::{Ink, Out, brief_or_nothing, text_of},
};
use crate::{
    client::{Client, Method, Sent, segment},
    runtime::{Runtime, RuntimeConfig},
};

/// Plugins.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Show what a component offers; needs no host.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Install plugins.
    Add {
        /// The components.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Grant them all that they ask for.
        #[arg(long)]
        grant_all: bool,
    },
    /// List installed plugins.
    List,
    /// Show an installed plugin.
    Show(Named),
    /// Let new executions use a plugin.
    Enable(Named),
    /// Keep new executions from using a plugin.
    Disable(Named),
    /// Delete a plugin that no unfinished execution needs.
    Delete(Named),
    /// Show what every version of a plugin asks for, and what it is granted.
    Grants {
        /// The plugin's name.
        name: String,
    },
    /// Decide what a version of a plugin may do.
    Grant(Grant),
}

/// An installed plugin.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name.
    name: String,
    /// Its version; by default the highest that is enabled.
    #[arg(long)]
    version: Option<String>,
}

impl Named {
    fn path(&self, verb: &str) -> String {
        let version = self.version.as_ref().map(|version| format!("?version={}", segment(version)));
        format!("/api/plugins/{}{verb}{}", segment(&self.name), version.unwrap_or_default())
    }
}

impl Plugin {
    pub(super) async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        if let Self::Inspect { file } = &self {
            return inspect(file, out).await;
        }
        let client = globals.client()?;
        match self {
            Self::Inspect { .. } => {}
            Self::Add { files, grant_all } => {
                for file in files {
                    let plugin = add(&client, &file, grant_all).await?;
                    out.show(&plugin, || added(out, &plugin));
                }
            }
            Self::List => {
                let page = client.get("/api/plugins").await?;
                out.show(&page, || table(out, &page));
            }
            Self::Show(named) => {
                let plugin = client.get(&named.path("")).await?;
                out.show(&plugin, || {
                    let grants = grants::lines(out, &plugin["grants"]).into_iter().map(|line| format!("\n  {line}"));
                    format!("{}{}", described(out, &plugin["descriptor"]), grants.collect::<String>())
                });
            }
            Self::Grants { name } => grants::show(&client, &name, out).await?,
            Self::Grant(grant) => grant.run(&client, out).await?,
            Self::Enable(named) => switch(&client, out, &named, "/enable").await?,
            Self::Disable(named) => switch(&client, out, &named, "/disable").await?,
            Self::Delete(named) => {
                client.send(Method::DELETE, &named.path(""), Sent::Nothing).await?;
                out.show(&json!({ "deleted": named.name }), || format!("deleted {}", named.name));
            }
        }
        Ok(Outcome::Done)
    }
}

async fn switch(client: &Client, out: Out, named: &Named, verb: &str) -> anyhow::Result<()> {
    let plugin = client.send(Method::POST, &named.path(verb), Sent::Nothing).await?;
    let state = if plugin["enabled"] == true { "enabled" } else { "disabled" };
    out.show(&plugin, || format!("{} {} is {state}", text_of(&plugin, "name"), text_of(&plugin, "version")));
    Ok(())
}

/// Uploads a component, and grants all that it asks for if that is wanted.
pub(super) async fn add(client: &Client, path: &std::path::Path, grant_all: bool) -> anyhow::Result<Value> {
    let bytes = file::read(path)?;
    let route = if grant_all { "/api/plugins?grant=all" } else { "/api/plugins" };
    let sent = client.send(Method::POST, route, Sent::Bytes("application/wasm", bytes.into())).await;
    sent.with_context(|| format!("could not install {}", path.display()))
}

/// What was installed.
pub(super) fn added(out: Out, plugin: &Value) -> String {
    let names = |list: &str| {
        let items = plugin[list].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(super::out::clean).collect::<Vec<_>>()
    };
    let offers = [names("tools"), names("agents")].concat().join(", ");
    let (name, version) = (text_of(plugin, "name"), text_of(plugin, "version"));
    let mut lines = vec![format!("{} {version}: {}", out.ink(Ink::Strong, &name), out.ink(Ink::Faint, &offers))];
    lines.extend(grants::lines(out, &plugin["grants"]).into_iter().map(|line| format!("    {line}")));
    if plugin["grants"]["missing"].as_array().is_some_and(|missing| !missing.is_empty()) {
        lines.push(format!("    {}", out.ink(Ink::Faint, &format!("weir plugin grant {name} --all lets it"))));
    }
    lines.join("\n")
}

async fn inspect(path: &std::path::Path, out: Out) -> anyhow::Result<Outcome> {
    let bytes = file::read(path)?;
    let folder = tempfile::tempdir().context("could not make a directory for the compiled component")?;
    let config = RuntimeConfig::new(folder.path().join("plugins"), folder.path().join("cache"))?;
    let runtime = Arc::new(Runtime::new(config)?);
    let found = runtime.validate_and_compile(bytes.into()).await;
    let found = found.with_context(|| format!("could not accept {} as a plugin", path.display()))?;
    let shown = json!({
        "digest": found.digest,
        "size_bytes": found.size,
        "imports": found.imports,
        "asks": found.descriptor.asks,
        "descriptor": found.descriptor_json.value(),
    });
    out.show(&shown, || {
        let imports = super::out::clean(&found.imports.join(", "));
        let asks = grants::powers(&shown["asks"]).into_iter().map(|power| format!("\n  asks for {power}"));
        format!(
            "{}{}\n  digest  {}\n  size    {} bytes\n  imports {imports}",
            described(out, &shown["descriptor"]),
            asks.collect::<String>(),
            found.digest,
            found.size
        )
    });
    Ok(Outcome::Done)
}

/// What a plugin says about itself.
fn described(out: Out, descriptor: &Value) -> String {
    let (name, version) = (text_of(descriptor, "name"), text_of(descriptor, "version"));
    let mut lines = vec![format!("{} {version}  {}", out.ink(Ink::Strong, &name), text_of(descriptor, "description"))];
    for (list, word) in [("tools", "tool "), ("agents", "agent")] {
        for offer in descriptor[list].as_array().into_iter().flatten() {
            let tool = text_of(offer, "name");
            let fields = offer["input_schema"]["properties"].as_object();
            let fields: Vec<_> = fields.into_iter().flatten().map(|(field, _)| super::out::clean(field)).collect();
            let about = brief_or_nothing(&offer["description"], 80);
            lines.push(format!("  {word} {name}.{tool}({})  {}", fields.join(", "), out.ink(Ink::Faint, &about)));
        }
    }
    lines.join("\n")
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let count = |list: &str| item[list].as_array().map_or(0, Vec::len).to_string();
        vec![
            text_of(item, "name"),
            text_of(item, "version"),
            out.status(if item["enabled"] == true { "enabled" } else { "disabled" }),
            count("tools"),
            count("agents"),
            out.status(&text_of(item, "grants_status")),
            text_of(item, "digest").chars().take(12).collect(),
            brief_or_nothing(&item["description"], 60),
        ]
    });
    out.table(
        &["NAME", "VERSION", "STATE", "TOOLS", "AGENTS", "GRANTS", "DIGEST", "DESCRIPTION"],
        &rows.collect::<Vec<_>>(),
    )
}
