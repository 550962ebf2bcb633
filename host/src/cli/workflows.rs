//! `weir workflow` and `weir validate`: definitions saved, checked, listed, run, deleted.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_engine::{
    compile::{ArgumentProblem, Catalog, Found},
    definition::Diagnostic,
    graph::Target,
};

use super::{
    Globals, Outcome, file,
    out::{Ink, Out, brief_or_nothing, text_of},
    progress::{self, Asked},
};
use crate::{
    client::{Client, ClientError, Method, segment},
    driver,
    secrets::Masker,
    store, trigger,
};

/// Workflows.
#[derive(Debug, Subcommand)]
pub(super) enum Workflow {
    /// Save a workflow: as a new one, or as the next version of the one with its name.
    Apply {
        /// Its definition, JSON or YAML.
        file: PathBuf,
    },
    /// List workflows.
    List {
        /// Text that the name or description holds.
        #[arg(long)]
        search: Option<String>,
        /// Only those that you made.
        #[arg(long)]
        mine: bool,
    },
    /// Show a workflow's newest definition.
    Show {
        /// Its id or name.
        workflow: String,
    },
    /// Execute a workflow, and watch.
    Execute {
        /// Its id or name.
        workflow: String,
        /// Its input: JSON, or @FILE.
        #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
        input: String,
        /// Limits that tighten the workflow's own: JSON, or @FILE.
        #[arg(long, value_name = "JSON|@FILE")]
        guardrails: Option<String>,
        /// Only start it, and print its id.
        #[arg(long)]
        detach: bool,
    },
    /// Delete a workflow. Its executions stay.
    Delete {
        /// Its id or name.
        workflow: String,
    },
}

/// Find everything that is wrong with a workflow's file.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// The definition, JSON or YAML.
    file: PathBuf,
    /// Ask no host: tools and agents are taken on trust.
    #[arg(long)]
    offline: bool,
}

impl Workflow {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Apply { file } => {
                let saved = apply(client, &file).await?;
                out.show(&saved, || applied(out, &saved));
            }
            Self::List { search, mine } => {
                let filter = search.map(|text| format!("&search={}", segment(&text))).unwrap_or_default();
                let page = client.get(&format!("/api/workflows?limit=199&mine={mine}{filter}")).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Show { workflow } => {
                let found = client.get(&format!("/api/workflows/{}", segment(&workflow))).await?;
                out.show(&found, || super::out::clean(&format!("{:#}", found["definition"])));
            }
            Self::Execute { workflow, input, guardrails, detach } => {
                let mut body = json!({ "input_data": file::argument(&input)? });
                if let Some(guardrails) = guardrails {
                    body["guardrails"] = file::argument(&guardrails)?;
                }
                return execute(client, out, &workflow, body, detach).await;
            }
            Self::Delete { workflow } => {
                let path = format!("/api/workflows/{}", segment(&workflow));
                client.send(Method::DELETE, &path, crate::client::Sent::Nothing).await?;
                out.show(&json!({ "deleted": workflow }), || format!("deleted {workflow}"));
            }
        }
        Ok(Outcome::Done)
    }
}

/// Starts an execution, and follows it unless told otherwise.
async fn execute(client: &Client, out: Out, workflow: &str, body: Value, detach: bool) -> anyhow::Result<Outcome> {
    let started = client.post(&format!("/api/workflows/{}/execute", segment(workflow)), body).await?;
    let id = started["execution_id"].as_str().unwrap_or_default();
    if detach {
        out.show(&started, || id.to_owned());
        return Ok(Outcome::Done);
    }
    let asked = if out.is_interactive() { Asked::Here } else { Asked::Wait };
    let execution = progress::follow(client, id, out, &asked).await?;
    out.record(&execution);
    out.say(&progress::result(out, &execution));
    Ok(if execution["status"] == "completed" { Outcome::Done } else { Outcome::Failed })
}

/// Saves a workflow's file, as a new workflow or as the next version.
pub(super) async fn apply(client: &Client, path: &std::path::Path) -> anyhow::Result<Value> {
    let definition = file::definition(path)?;
    match client.send(Method::POST, "/api/workflows", definition.clone()).await {
        Err(ClientError::Problem(problem)) if problem["code"] == "name_taken" => {
            let name = file::definition_value(path)?["name"].as_str().unwrap_or_default().to_owned();
            Ok(client.send(Method::PUT, &format!("/api/workflows/{}", segment(&name)), definition).await?)
        }
        other => Ok(other?),
    }
}

/// What became of a saved workflow.
pub(super) fn applied(out: Out, saved: &Value) -> String {
    let state = if saved["new_version"] == true { "saved" } else { "unchanged:" };
    let mut lines = vec![format!("{state} {} version {}", text_of(saved, "name"), saved["version"])];
    lines.extend(problems(out, saved));
    lines.join("\n")
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let active = if item["active"] == true { "yes" } else { "no" };
        vec![
            text_of(item, "name"),
            text_of(item, "version"),
            active.to_owned(),
            text_of(item, "owner"),
            text_of(item, "updated_at"),
            brief_or_nothing(&item["description"], 60),
        ]
    });
    out.table(&["NAME", "VERSION", "ACTIVE", "OWNER", "UPDATED", "DESCRIPTION"], &rows.collect::<Vec<_>>())
}

impl Validate {
    pub(super) async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        let found = if self.offline {
            check_offline(&file::definition_value(&self.file)?)
        } else {
            use anyhow::Context as _;
            let definition = file::definition(&self.file)?;
            let sent = globals.client()?.send(Method::POST, "/api/workflows/validate", definition).await;
            sent.context("could not validate with a host; --offline checks without one, and takes tools on trust")?
        };
        let valid = found["valid"] == true;
        out.show(&found, || {
            let verdict = if valid { out.ink(Ink::Good, "valid") } else { out.ink(Ink::Bad, "not valid") };
            [vec![format!("{}: {verdict}", self.file.display())], problems(out, &found)].concat().join("\n")
        });
        Ok(if valid { Outcome::Done } else { Outcome::Failed })
    }
}

/// Takes every name on trust.
struct Trusting;

impl Catalog for Trusting {
    fn find(&self, name: &str, agent: bool) -> Found {
        let (plugin, name) = name.split_once('.').unwrap_or(("any", name));
        let name = name.to_owned();
        let (version, digest, tools) = (String::new(), String::new(), BTreeMap::new());
        let wants = weir_engine::graph::Wants::default();
        Found::One(Target { plugin: plugin.to_owned(), version, digest, name, agent, wants, tools })
    }

    fn check_arguments(&self, _target: &Target, _arguments: &Value) -> Vec<ArgumentProblem> {
        Vec::new()
    }
}

/// What a definition's check finds without a host, in the shape of the host's answer.
fn check_offline(definition: &Value) -> Value {
    let driver::Checked { definition, diagnostics: mut found, .. } =
        driver::check(definition, &Trusting, &Masker::default());
    found.extend(trigger::config::read(&definition, store::now()).1);
    let (errors, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(Diagnostic::is_error);
    json!({ "valid": errors.is_empty(), "errors": errors, "warnings": warnings })
}

/// A line for each error and each warning.
fn problems(out: Out, found: &Value) -> Vec<String> {
    let lines = |list: &str, word: String| {
        let items: Vec<Value> = found[list].as_array().cloned().unwrap_or_default();
        items.into_iter().map(move |item| {
            let step = item["step_id"].as_str().map(|step| format!(" (step {})", super::out::clean(step)));
            format!("  {word} {}{}: {}", text_of(&item, "field"), step.unwrap_or_default(), text_of(&item, "message"))
        })
    };
    let errors = lines("errors", out.ink(Ink::Bad, "error"));
    errors.chain(lines("warnings", out.ink(Ink::Warn, "warning"))).collect()
}
