//! `weir executions`: listed, shown, watched, cancelled.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Outcome,
    out::{Out, brief, text_of, took},
    progress::{self, Asked},
    transcript,
};
use crate::client::{Client, segment};

/// Executions.
#[derive(Debug, Subcommand)]
pub(super) enum Executions {
    /// List executions, newest first.
    List {
        /// Only those that stand so: running, awaiting_human, completed, failed, timeout, cancelled.
        #[arg(long)]
        status: Option<String>,
        /// Only those of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Show an execution and its steps.
    Show {
        /// Its id.
        execution: String,
    },
    /// Watch an execution to its end.
    Watch {
        /// Its id.
        execution: String,
    },
    /// Show what an agent did in a step: turns with models, tools, tokens, money.
    Transcript {
        /// The execution's id.
        execution: String,
        /// The visit's path (`each[3].ask`), or the step's id.
        step: String,
        /// Which visit of the step with this id, from 1; the last by default.
        #[arg(long)]
        visit: Option<u32>,
    },
    /// Cancel an execution.
    Cancel {
        /// Its id.
        execution: String,
        /// Why, in words.
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Executions {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::List { status, workflow, limit } => {
                let mut path = format!("/api/executions?limit={limit}");
                for (name, value) in [("status", status), ("workflow", workflow)] {
                    if let Some(value) = value {
                        path.push_str(&format!("&{name}={}", segment(&value)));
                    }
                }
                let page = client.get(&path).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Show { execution } => show(client, out, &execution).await?,
            Self::Watch { execution } => {
                let asked = if out.is_interactive() { Asked::Here } else { Asked::Wait };
                let ended = progress::follow(client, &execution, out, &asked).await?;
                out.record(&ended);
                out.say(&progress::result(out, &ended));
                return Ok(if ended["status"] == "completed" { Outcome::Done } else { Outcome::Failed });
            }
            Self::Transcript { execution, step, visit } => {
                transcript::show(client, out, &execution, &step, visit).await?;
            }
            Self::Cancel { execution, reason } => {
                let path = format!("/api/executions/{}/cancel", segment(&execution));
                let cancelled = client.post(&path, json!({ "reason": reason })).await?;
                out.show(&cancelled, || format!("{execution} is {}", text_of(&cancelled, "status")));
            }
        }
        Ok(Outcome::Done)
    }
}

async fn show(client: &Client, out: Out, id: &str) -> anyhow::Result<()> {
    let mut execution = client.get(&format!("/api/executions/{}", segment(id))).await?;
    let steps = client.get(&format!("/api/executions/{}/steps?limit=199", segment(id))).await?;
    execution["steps"] = steps["items"].clone();
    out.show(&execution, || {
        let more = if steps["next_cursor"].is_null() { "" } else { "\n(more steps: use the API, /steps)" };
        format!("{}\n{}{more}", step_table(out, &steps), progress::result(out, &execution))
    });
    Ok(())
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        vec![
            text_of(item, "id"),
            text_of(item, "workflow_name"),
            out.status(&text_of(item, "status")),
            text_of(item, "current_step_id"),
            text_of(item, "started_at"),
            item["duration_seconds"].as_f64().map(took).unwrap_or_default(),
        ]
    });
    out.table(&["ID", "WORKFLOW", "STATUS", "STEP", "STARTED", "TOOK"], &rows.collect::<Vec<_>>())
}

/// The steps of an execution, a row each.
pub(super) fn step_table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let words = if item["error"].is_null() {
            brief(&item["output_data"], 50)
        } else {
            brief(&item["error"]["message"], 80)
        };
        vec![
            text_of(item, "path"),
            text_of(item, "type"),
            out.status(&text_of(item, "status")),
            item["duration_seconds"].as_f64().map(took).unwrap_or_default(),
            if words == "null" { String::new() } else { words },
        ]
    });
    out.table(&["STEP", "TYPE", "STATUS", "TOOK", "RESULT"], &rows.collect::<Vec<_>>())
}
