//! R1 for what is saved: workflows and plugins that were accepted are there after a kill, whole, and the others are
//! there whole or not at all.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use weir_e2e::{Api, Data, api::is_crash, program};

use crate::sample;

/// How often the host is killed.
const KILLS: u32 = 15;
/// Milliseconds that a host lives.
const LIFE_MS: std::ops::Range<u64> = 5..400;
/// Plugins that are installed again and again.
const GUESTS: [&str; 4] = ["echo", "h9_sleep", "h11_trap", "failures"];

/// What was accepted.
#[derive(Default)]
struct Accepted {
    /// Digests of plugins, by name.
    plugins: std::collections::BTreeMap<String, String>,
    /// Versions of the workflow, with their descriptions.
    versions: Vec<(u64, u64)>,
    /// Descriptions are counted, so that no two are alike.
    next: u64,
}

#[tokio::test]
async fn r1_saves_and_uploads_survive_kills() -> Result<()> {
    let data = Data::new()?;
    let mut host = data.start().await?;
    host.api.post("/api/workflows", &described(0)).await?;
    let mut accepted = Accepted { next: 1, ..Accepted::default() };
    for _ in 0..KILLS {
        let life = Duration::from_millis(rand::rng().random_range(LIFE_MS));
        if let Ok(Err(error)) = timeout(life, accepted.fill(&host.api)).await {
            ensure!(is_crash(&error), "a save failed though nobody killed the host: {error:#}");
        }
        host.kill().await?;
        host = data.start().await?;
        accepted.check(&host.api).await?;
    }
    // Whatever was left half done stands in nobody's way.
    for guest in GUESTS {
        host.api.install(&program::guest(guest)?).await?;
    }
    let tried = host.api.post("/api/plugins/echo/tools/run/try", &json!({ "input": { "a": 1 } })).await?;
    ensure!(tried["output"] == json!({ "a": 1 }), "an installed plugin does not run: {tried}");
    let odd = leftovers(&data, host.api.get("/api/plugins").await?)?;
    ensure!(odd.is_empty(), "files are left over: {odd:?}");
    ensure!(!data.said()?.contains("panicked"), "the host panicked: {}", data.said()?);
    eprintln!("r1: {KILLS} kills, {} versions accepted", accepted.versions.len());
    Ok(())
}

fn described(n: u64) -> Value {
    let mut definition = sample::asking();
    definition["description"] = n.to_string().into();
    definition
}

impl Accepted {
    /// Saves and uploads until the host is gone.
    async fn fill(&mut self, api: &Api) -> Result<()> {
        loop {
            for guest in GUESTS {
                let plugin = api.install(&program::guest(guest)?).await?;
                let digest = plugin["digest"].as_str().context("a plugin without a digest")?.to_owned();
                self.plugins.insert(guest.to_owned(), digest);
                let n = self.next;
                self.next += 1;
                let body = described(n).to_string();
                let saved = api.send(Method::PUT, "/api/workflows/asking", "application/json", body).await?.good()?;
                self.versions.push((saved["version"].as_u64().context("a save without a version")?, n));
            }
        }
    }

    async fn check(&self, api: &Api) -> Result<()> {
        for (name, digest) in &self.plugins {
            let found = api.get(&format!("/api/plugins/{name}")).await?;
            ensure!(found["digest"] == **digest, "plugin {name} has other bytes: {found}");
        }
        let versions = api.all("/api/workflows/asking/versions").await?;
        for (version, n) in &self.versions {
            let found = versions.iter().find(|found| found["version"] == *version);
            let found = found.with_context(|| format!("version {version} was accepted, and is gone"))?;
            let shown = api.get(&format!("/api/workflows/asking/versions/{version}")).await?;
            ensure!(shown["definition"] == described(*n), "version {version} is another: {found}");
        }
        Ok(())
    }
}

/// Files of plugins that no installed plugin has.
fn leftovers(data: &Data, plugins: Value) -> Result<Vec<String>> {
    let digests: Vec<_> =
        plugins["items"].as_array().into_iter().flatten().filter_map(|p| p["digest"].as_str()).collect();
    let entries = std::fs::read_dir(data.path().join("plugins")).context("listing the plugins' files")?;
    let names: Vec<String> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
    Ok(names.into_iter().filter(|name| !digests.iter().any(|digest| name.contains(digest))).collect())
}
