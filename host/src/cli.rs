//! The command line: one noun a file. Everything but `serve`, `run` and what needs no host talks to a host over HTTP.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::out::Out;
use crate::{
    client::{Client, ClientError},
    config::LISTEN_DEFAULT,
    runtime::compile,
    server::auth::TOKEN_FILE,
};

mod approvals;
mod audit;
mod budgets;
mod cron;
mod demo;
mod events;
mod executions;
mod file;
mod grants;
mod models;
mod notices;
mod out;
mod plugins;
mod prices;
mod progress;
mod reference;
mod run;
mod secrets;
mod serve;
mod tokens;
mod transcript;
mod triggers;
mod users;
mod webhooks;
mod workflows;

const EXAMPLES: &str = "\
Examples:
  weir serve --data ./data                        start a host
  weir plugin add text.wasm                       install a plugin
  weir workflow apply triage.json                 save a workflow
  weir workflow execute triage --input @in.json   run it, and watch
  weir executions list --status awaiting_human    what waits for people
  weir triggers list --type cron                  what is due when
  weir events send --type com.example.order --source /shop --input @in.json
                                                  tell what happened; workflows that wait for it start
  weir approve EXECUTION --option approve         answer
  weir secrets set search-key --host api.example.com
                                                  a secret that plugins send there; asks for the value
  weir models try fast 'who are you?'             ask a language model
  weir budgets set team --period month --cost 500
                                                  what all executions may cost together
  weir tokens create ci --role operator           a token for a program
  weir users add alice --role author,approver     a user for the web app; asks for the password
  weir audit verify                               check that nothing was changed in the audit log
  weir run flow.json --input '{\"n\": 1}' --plugin text.wasm
                                                  run one workflow without a host
  weir reference '$.input.a' --scope @scope.json  what a reference resolves to
  weir cron next '0 9 * * MON-FRI' --timezone Europe/Berlin
                                                  when a schedule runs

A client finds the host at --url (WEIR_URL), and its token in --token (WEIR_TOKEN) or in DATA/admin-token.";

/// Runs workflows whose tools and agents are sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, after_help = EXAMPLES, max_term_width = 110, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
struct Globals {
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    /// The host to talk to.
    #[arg(long, global = true, env = "WEIR_URL", value_name = "URL", default_value_t = format!("http://{LISTEN_DEFAULT}"), hide_env_values = true)]
    url: String,
    /// A token of the host: one of `weir tokens`, or the admin token.
    #[arg(long, global = true, env = "WEIR_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The data directory: of the host, or where a client finds the token.
    #[arg(long, global = true, env = "WEIR_DATA", value_name = "DIR", hide_env_values = true)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a host.
    Serve(serve::Serve),
    /// Run one workflow in this process, and watch its steps.
    Run(run::Run),
    /// Start a host with plugins and example workflows, and run one.
    Demo(demo::Demo),
    /// Find everything that is wrong with a workflow's file.
    Validate(workflows::Validate),
    /// Workflows: save, list, show, execute, delete.
    #[command(subcommand, visible_alias = "workflows")]
    Workflow(workflows::Workflow),
    /// Executions: list, show, watch, cancel.
    #[command(subcommand, visible_alias = "execution")]
    Executions(executions::Executions),
    /// Open questions to people.
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Answer a question.
    Approve(approvals::Approve),
    /// What people are told about questions.
    #[command(subcommand)]
    Notices(notices::Notices),
    /// What starts workflows by itself: list, show, switch, fire.
    #[command(subcommand, visible_alias = "trigger")]
    Triggers(triggers::Triggers),
    /// Send events, and list them.
    #[command(subcommand)]
    Events(events::Events),
    /// Plugins: inspect, add, list, show, enable, disable, delete.
    #[command(subcommand, visible_alias = "plugins")]
    Plugin(plugins::Plugin),
    /// Secrets for plugins and models: set, list, delete; and the key that they are sealed with.
    #[command(subcommand, visible_alias = "secret")]
    Secrets(secrets::Secrets),
    /// Language models: list, try.
    #[command(subcommand, visible_alias = "model")]
    Models(models::Models),
    /// What executions share for an hour, a day or a month: set, list, show, delete.
    #[command(subcommand, visible_alias = "budget")]
    Budgets(budgets::Budgets),
    /// What language models cost: show, import.
    #[command(subcommand)]
    Prices(prices::Prices),
    /// API tokens: create, list, revoke.
    #[command(subcommand, visible_alias = "token")]
    Tokens(tokens::Tokens),
    /// Users: add, list, password, set-roles, enable, disable, delete.
    #[command(subcommand, visible_alias = "user")]
    Users(users::Users),
    /// The audit log: list, verify.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Webhooks: sign a request as a sender does.
    #[command(subcommand, visible_alias = "webhook")]
    Webhooks(webhooks::Webhooks),
    /// Show what a reference or template resolves to.
    Reference(reference::Reference),
    /// Schedules: when they run.
    #[command(subcommand)]
    Cron(cron::Cron),
    /// Print the API's description (OpenAPI 3.1).
    Openapi,
    /// Print the version.
    Version,
    /// The host's own compiler; not for people.
    #[command(name = compile::SUBCOMMAND, hide = true)]
    CompileComponent {
        /// As the host gives them.
        arguments: Vec<OsString>,
    },
}

/// How a command ended, other than by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// As it was meant.
    Done,
    /// What it asked about went badly: a failed execution, a definition with errors.
    Failed,
}

/// Runs the command line: 0 for what went well, 1 for what did not, 2 for a command that makes no sense.
#[must_use]
pub fn main() -> ExitCode {
    // The compiler's own limits must hold before anything else is set up.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == compile::SUBCOMMAND) {
        return compile::child_main(arguments);
    }
    let cli = Cli::parse();
    let out = Out::new(cli.globals.json);
    match block_on(run(cli, out)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            out.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A thread may wait for a line of the terminal; nobody waits for that.
    runtime.shutdown_background();
    result
}

async fn run(cli: Cli, out: Out) -> anyhow::Result<Outcome> {
    let globals = &cli.globals;
    match cli.command {
        Command::Serve(serve) => serve.run(globals, out).await,
        Command::Run(run) => run.run(globals, out).await,
        Command::Demo(demo) => demo.run(globals, out).await,
        Command::Validate(validate) => validate.run(globals, out).await,
        Command::Workflow(workflow) => workflow.run(&globals.client()?, out).await,
        Command::Executions(executions) => executions.run(&globals.client()?, out).await,
        Command::Approvals(approvals) => approvals.run(&globals.client()?, out).await,
        Command::Approve(approve) => approve.run(&globals.client()?, out).await,
        Command::Notices(notices) => notices.run(&globals.client()?, out).await,
        Command::Triggers(triggers) => triggers.run(&globals.client()?, out).await,
        Command::Events(events) => events.run(&globals.client()?, out).await,
        Command::Plugin(plugin) => plugin.run(globals, out).await,
        Command::Secrets(secrets) => secrets.run(globals, out).await,
        Command::Models(models) => models.run(&globals.client()?, out).await,
        Command::Budgets(budgets) => budgets.run(&globals.client()?, out).await,
        Command::Prices(prices) => prices.run(out),
        Command::Tokens(tokens) => tokens.run(&globals.client()?, out).await,
        Command::Users(users) => users.run(&globals.client()?, out).await,
        Command::Audit(audit) => audit.run(&globals.client()?, out).await,
        Command::Webhooks(webhooks) => webhooks.run(globals, out),
        Command::Reference(reference) => reference.run(out),
        Command::Cron(cron) => cron.run(out),
        Command::Openapi => {
            out.text(crate::server::openapi::document().trim_end());
            Ok(Outcome::Done)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            out.show(&serde_json::json!({ "version": version }), || format!("weir {version}"));
            Ok(Outcome::Done)
        }
        Command::CompileComponent { arguments: _ } => Ok(Outcome::Failed),
    }
}

impl Globals {
    /// A client of the host that is meant.
    fn client(&self) -> Result<Client, ClientError> {
        Client::new(&self.url, self.find_token())
    }

    /// The token that was given, or that of the data directory; empty if there is none, so that the host can say so.
    fn find_token(&self) -> String {
        let from_file = || std::fs::read_to_string(self.data_dir().join(TOKEN_FILE)).ok();
        self.token.clone().or_else(from_file).unwrap_or_default().trim().to_owned()
    }

    fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| "data".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
