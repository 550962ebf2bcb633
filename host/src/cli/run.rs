//! `weir run`: one workflow in this process. A host is started on a free port of this machine, used and stopped; what
//! `run` does is what any client does.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{
    Globals, Outcome, executions, file,
    out::{Ink, Out},
    plugins,
    progress::{self, Asked},
    serve, workflows,
};
use crate::{
    Host, Running,
    client::{Client, segment},
    config::Config,
    secrets::Masker,
};

/// Run one workflow in this process, and watch its steps.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 completed, 1 failed, timed out or cancelled, 2 a wrong command line.")]
pub(super) struct Run {
    /// The workflow's definition, JSON or YAML.
    file: PathBuf,
    /// Its input: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    input: String,
    /// A plugin to install before; may be repeated. Without --data nothing else is installed.
    #[arg(long = "plugin", value_name = "FILE.wasm")]
    plugins: Vec<PathBuf>,
    /// Grant these plugins all that they ask for.
    #[arg(long, requires = "plugins")]
    grant_all: bool,
    /// Limits that tighten the workflow's own: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    guardrails: Option<String>,
    /// Answer every human step with this option.
    #[arg(long, value_name = "OPTION")]
    approve: Option<String>,
    /// What to log on standard error.
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", default_value = "error", hide_env_values = true)]
    log: String,
}

impl Run {
    pub(super) async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        let masker = Masker::default();
        serve::log_to_stderr(&self.log, false, &masker)?;
        let input = file::argument(&self.input)?;
        let folder = tempfile::tempdir().context("could not make a directory for the run")?;
        let data = globals.data.clone().unwrap_or_else(|| folder.path().to_owned());
        let running = start(&data, masker).await?;
        let result = self.execute(&running, out, input).await;
        running.stop().await;
        result
    }

    async fn execute(&self, running: &Running, out: Out, input: Value) -> anyhow::Result<Outcome> {
        let client = Client::new(&running.url(), running.token().token.as_str())?;
        for plugin in &self.plugins {
            plugins::add(&client, plugin, self.grant_all).await?;
        }
        let saved = workflows::apply(&client, &self.file).await.context("could not take the workflow")?;
        let mut body = json!({ "input_data": input });
        if let Some(guardrails) = &self.guardrails {
            body["guardrails"] = file::argument(guardrails)?;
        }
        let name = saved["id"].as_str().unwrap_or_default();
        let started = client.post(&format!("/api/workflows/{}/execute", segment(name)), body).await?;
        let id = started["execution_id"].as_str().unwrap_or_default().to_owned();
        let asked = self.asked(out);
        let execution = watched(&client, &id, out, &asked).await?;
        show(&client, out, &execution).await?;
        Ok(if execution["status"] == "completed" { Outcome::Done } else { Outcome::Failed })
    }

    fn asked(&self, out: Out) -> Asked {
        match &self.approve {
            Some(option) => Asked::Choose(option.clone()),
            None if out.is_interactive() => Asked::Here,
            None => Asked::Leave,
        }
    }
}

async fn start(data: &Path, masker: Masker) -> anyhow::Result<Running> {
    // It is asked for one execution, and starts no other.
    let (data, listen) = (data.to_owned(), ([127, 0, 0, 1], 0).into());
    let config = Config { data, listen, schedules: false, masker, ..Config::default() };
    let mut running = Host::start(config).await?;
    running.ready().await?;
    Ok(running)
}

/// Follows an execution; Ctrl-C cancels it.
async fn watched(client: &Client, id: &str, out: Out, asked: &Asked) -> anyhow::Result<Value> {
    let mut stop = serve::StopSignal::listen()?;
    tokio::select! {
        execution = progress::follow(client, id, out, asked) => return execution,
        () = stop.received() => {}
    }
    let path = format!("/api/executions/{}/cancel", segment(id));
    // It may have ended meanwhile; how it stands is read in any case.
    drop(client.post(&path, json!({ "reason": "interrupted" })).await);
    Ok(client.get(&format!("/api/executions/{}", segment(id))).await?)
}

/// The table of steps, and the result.
async fn show(client: &Client, out: Out, execution: &Value) -> anyhow::Result<()> {
    out.record(execution);
    let id = execution["id"].as_str().unwrap_or_default();
    let steps = client.get(&format!("/api/executions/{}/steps?limit=199", segment(id))).await?;
    out.say(&format!("\n{}\n", executions::step_table(out, &steps)));
    out.say(&progress::result(out, execution));
    if execution["status"] == "awaiting_human" {
        let hint = "a person is asked, and nobody is here to answer: use --approve OPTION, or a terminal";
        out.say(&out.ink(Ink::Warn, hint));
    }
    Ok(())
}
