//! Files and arguments that hold documents.

use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::Value;
use weir_engine::{definition::JSON_DEPTH_MAX, json::Json};

use crate::{client::Sent, server::body};

/// A workflow's file as a request's body: YAML by its name, else JSON.
pub(super) fn definition(path: &Path) -> anyhow::Result<Sent> {
    let bytes = Bytes::from(read(path)?);
    let kind = if is_yaml(path) { "application/yaml" } else { "application/json" };
    Ok(Sent::Bytes(kind, bytes))
}

/// A workflow's file as a document.
pub(super) fn definition_value(path: &Path) -> anyhow::Result<Value> {
    let text = String::from_utf8(read(path)?).with_context(|| format!("could not read {} as text", path.display()))?;
    let json = if is_yaml(path) {
        body::from_yaml(&text).map_err(|e| anyhow::anyhow!("could not read {}: {}", path.display(), e.detail()))?
    } else {
        text
    };
    let document = Json::parse_within(json, JSON_DEPTH_MAX);
    document
        .map(|document| document.value().clone())
        .with_context(|| format!("could not read {} as JSON", path.display()))
}

/// The document that an argument gives: JSON itself, or `@FILE`.
pub(super) fn argument(argument: &str) -> anyhow::Result<Value> {
    match argument.strip_prefix('@') {
        Some("-") => {
            let text = std::io::read_to_string(std::io::stdin()).context("could not read standard input")?;
            parse(&text).context("could not read standard input as JSON")
        }
        Some(path) => {
            let text = String::from_utf8(read(Path::new(path))?).with_context(|| format!("{path} is not text"))?;
            parse(&text).with_context(|| format!("could not read {path} as JSON"))
        }
        None => parse(argument).with_context(|| {
            format!("could not read {argument:.100?} as JSON: write JSON, or @FILE to read it from a file")
        }),
    }
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Value> {
    Ok(Json::parse(text)?.value().clone())
}

pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
