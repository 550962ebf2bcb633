//! `weir demo`: a host with plugins and example workflows, one of them run on the input that lies beside it, one with an
//! agent and a model, others started by a schedule and a webhook; then it keeps serving.

mod agent;
mod triggers;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{
    Globals, Outcome, file,
    out::{Ink, Out},
    plugins,
    progress::{self, Asked},
    serve,
    serve::StopSignal,
    workflows,
};
use crate::{
    Running,
    client::{Client, segment},
    config::Config,
};

/// What ends the names of files that hold a workflow's input: a document, or a text that becomes its member of that
/// name.
const INPUT_ENDINGS: [&str; 3] = [".input.json", ".input.csv", ".input.txt"];

/// Start a host with plugins and example workflows, and run one.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The components to install: files, or directories of them.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    plugins: Vec<PathBuf>,
    /// The directory of the workflows to save. The input of NAME.json lies in NAME.input.json, or as a text in
    /// NAME.input.csv or NAME.input.txt.
    #[arg(long, value_name = "DIR")]
    workflows: PathBuf,
    /// The workflow to run, by its file's name without ending; by default the first that has an input.
    #[arg(long, value_name = "NAME")]
    execute: Option<String>,
    /// The address to listen on; port 0 picks a free one. Default: 127.0.0.1:8787.
    #[arg(long, env = "WEIR_LISTEN", value_name = "ADDR:PORT", hide_env_values = true)]
    listen: Option<SocketAddr>,
    /// Answer every human step with this option.
    #[arg(long, value_name = "OPTION")]
    approve: Option<String>,
    /// End after the run instead of serving on.
    #[arg(long)]
    once: bool,
    /// What to log on standard error.
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", default_value = "warn", hide_env_values = true)]
    log: String,
}

impl Demo {
    pub(super) async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        let mut config = Config { data: globals.data_dir(), ..Config::default() };
        serve::log_to_stderr(&self.log, false, &config.masker)?;
        config.listen = self.listen.unwrap_or(config.listen);
        agent::add_model(&mut config, &self.workflows, |name| std::env::var(name).ok())?;
        let mut stop = StopSignal::listen()?;
        let mut running = serve::start(config, out).await?;
        let shown = tokio::select! {
            shown = self.show(&mut running, globals, out) => shown,
            () = stop.received() => {
                running.stop().await;
                return Ok(Outcome::Done);
            }
        };
        if shown.is_ok() && !self.once {
            stop.received().await;
        }
        running.stop().await;
        shown
    }

    async fn show(&self, running: &mut Running, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        running.ready().await?;
        let client = Client::new(&running.url(), running.token().token.as_str())?;
        out.say(&out.ink(Ink::Strong, "\nplugins"));
        out.say("  (a demo grants them all that they ask for; `weir plugin add` grants nothing by itself)");
        for component in components(&self.plugins)? {
            out.say(&format!("  {}", plugins::added(out, &plugins::add(&client, &component, true).await?)));
        }
        out.say(&out.ink(Ink::Strong, "\nworkflows"));
        let mut example = None;
        for path in files(&self.workflows, is_definition)? {
            let saved = workflows::apply(&client, &path).await;
            let saved = saved.with_context(|| format!("could not save {}", path.display()))?;
            out.say(&format!("  {}", workflows::applied(out, &saved)));
            if example.is_none() && self.is_example(&path) {
                example = Some((path, saved));
            }
        }
        let Some((path, saved)) = example else { return Ok(Outcome::Done) };
        let outcome = self.execute(&client, out, &path, &saved).await?;
        agent::show(&client, &self.workflows, out).await?;
        let webhook = triggers::show(&client, &running.url(), &self.workflows, out).await?;
        if !self.once {
            out.say(&where_next(running, globals, out, &path, &saved));
            if let Some(curl) = webhook {
                out.say(&format!("\n  # a signed webhook, good for five minutes and one execution\n  {curl}"));
            }
            out.say("\nserving on; Ctrl-C stops");
        }
        Ok(outcome)
    }

    fn is_example(&self, path: &Path) -> bool {
        match &self.execute {
            Some(name) => path.file_stem().is_some_and(|stem| stem == name.as_str()),
            None => input_of(path).is_some() && !agent::is_example(path),
        }
    }

    async fn execute(&self, client: &Client, out: Out, path: &Path, saved: &Value) -> anyhow::Result<Outcome> {
        let name = saved["name"].as_str().unwrap_or_default();
        let input = input_of(path);
        let on = input.as_ref().map_or_else(|| "no input".to_owned(), |input| input.display().to_string());
        out.say(&format!("\n{}", out.ink(Ink::Strong, &format!("running {name} on {on}"))));
        let input = input.map_or_else(|| Ok(json!({})), |input| read_input(&input))?;
        let body = json!({ "input_data": input });
        let started = client.post(&format!("/api/workflows/{}/execute", segment(name)), body).await?;
        let id = started["execution_id"].as_str().unwrap_or_default();
        let asked = match &self.approve {
            Some(option) => Asked::Choose(option.clone()),
            None if out.is_interactive() => Asked::Here,
            None => Asked::Leave,
        };
        let execution = progress::follow(client, id, out, &asked).await?;
        out.record(&execution);
        out.say(&format!("\n{}", progress::result(out, &execution)));
        if execution["status"] == "awaiting_human" {
            let question = question(client, id).await?;
            out.say(&format!("  it waits for you: {} approve {id}{}", program(), choice(&question)));
            out.say(&format!("  or in a browser:  {}", link(client, &question).await?));
        }
        let failed = execution["status"] != "completed" && execution["status"] != "awaiting_human";
        Ok(if failed { Outcome::Failed } else { Outcome::Done })
    }
}

/// What an execution waits for people with.
async fn question(client: &Client, id: &str) -> anyhow::Result<Value> {
    let mut open = client.get(&format!("/api/executions/{}/approvals", segment(id))).await?;
    Ok(open["items"][0].take())
}

/// How to answer a question on the command line: ` --option yes (or no)`.
fn choice(question: &Value) -> String {
    let options = question["request"]["options"].as_array().into_iter().flatten();
    let ids: Vec<&str> = options.filter_map(|option| option["id"].as_str()).collect();
    match ids.split_first() {
        None => String::new(),
        Some((first, [])) => format!(" --option {first}"),
        Some((first, others)) => format!(" --option {first}   (or {})", others.join(", ")),
    }
}

/// The address of a page with the question.
async fn link(client: &Client, question: &Value) -> anyhow::Result<String> {
    let approval = question["id"].as_str().unwrap_or_default();
    let made = client.post(&format!("/api/approvals/{}/links", segment(approval)), json!({})).await?;
    Ok(made["url"].as_str().unwrap_or_default().to_owned())
}

/// This program as it was called.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "weir".to_owned())
}

fn components(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => all.extend(files(path, |name| name.ends_with(".wasm"))?),
            false => all.push(path.clone()),
        }
    }
    Ok(all)
}

/// The files of a directory whose names are of a kind, in the order of their names.
fn files(directory: &Path, is_meant: impl Fn(&str) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("could not read {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.is_file() && path.file_name().and_then(|name| name.to_str()).is_some_and(&is_meant));
    paths.sort();
    Ok(paths)
}

fn is_definition(name: &str) -> bool {
    let is_document = name.ends_with(".json") || file::is_yaml(Path::new(name));
    is_document && !INPUT_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn input_of(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let candidates = INPUT_ENDINGS.iter().map(|ending| path.with_file_name(format!("{stem}{ending}")));
    candidates.into_iter().find(|candidate| candidate.exists())
}

/// A JSON file as it is; a text as an object with one member, named after the file's ending.
fn read_input(path: &Path) -> anyhow::Result<Value> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(member @ ("csv" | "txt")) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
            Ok(json!({ member: text }))
        }
        _ => file::argument(&format!("@{}", path.display())),
    }
}

fn where_next(running: &Running, globals: &Globals, out: Out, path: &Path, saved: &Value) -> String {
    let (url, weir) = (running.url(), program());
    let token = globals.data_dir().join(crate::server::auth::TOKEN_FILE).display().to_string();
    let title = out.ink(Ink::Strong, "where to go on");
    let name = saved["name"].as_str().unwrap_or_default();
    let definition = path.display();
    format!(
        "\n{title}\n  API       {url}/api/openapi.json\n  token     {token}\n\
         \n  export WEIR_URL={url} WEIR_TOKEN=$(cat {token})\n  {weir} executions list\n  {weir} approvals list\n  \
         {weir} validate {definition}\n\
         \n  curl -H \"Authorization: Bearer $WEIR_TOKEN\" $WEIR_URL/api/executions\n  \
         curl -H \"Authorization: Bearer $WEIR_TOKEN\" -H 'content-type: application/json' \\\n       \
         -d '{{\"input_data\": {{\"csv\": \"id,text\\n1,Thank you!\"}}}}' \"$WEIR_URL/api/workflows/{name}/execute?wait=10\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_lie_beside_their_definitions() {
        assert!(is_definition("a.json") && is_definition("a.yaml"));
        assert!(!is_definition("a.input.json") && !is_definition("README.md"));
        let directory = tempfile::tempdir().unwrap();
        let (definition, input) = (directory.path().join("x.json"), directory.path().join("x.input.csv"));
        assert_eq!(input_of(&definition), None);
        std::fs::write(&input, "a,b\n1,2\n").unwrap();
        assert_eq!(input_of(&definition), Some(input.clone()));
        assert_eq!(read_input(&input).unwrap(), json!({ "csv": "a,b\n1,2\n" }));
    }
}
