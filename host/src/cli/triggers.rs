//! `weir triggers`: what starts workflows by itself.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Outcome, file,
    out::{Out, clean, text_of},
};
use crate::client::{Client, Method, Sent, segment};

/// What starts workflows by itself.
#[derive(Debug, Subcommand)]
pub(super) enum Triggers {
    /// List triggers.
    List {
        /// Only those of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// Only those of this type: manual, cron, webhook, event, agent_completion.
        #[arg(long = "type", value_name = "TYPE")]
        trigger_type: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Show a trigger.
    Show {
        /// Its id.
        trigger: String,
    },
    /// Show when a schedule starts something next.
    Next {
        /// Its id.
        trigger: String,
        /// How many instants.
        #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
        n: u32,
    },
    /// Let a trigger start things again.
    Enable {
        /// Its id.
        trigger: String,
    },
    /// Keep a trigger from starting things.
    Disable {
        /// Its id.
        trigger: String,
    },
    /// Start a trigger's workflow now.
    Fire {
        /// Its id.
        trigger: String,
        /// The workflow's input: JSON, or @FILE. By default what the schedule gives, or {}.
        #[arg(long, value_name = "JSON|@FILE")]
        input: Option<String>,
    },
    /// List what came in at a webhook, and what became of it, newest first.
    Deliveries {
        /// The trigger's id.
        trigger: String,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Take a stored delivery once more, as if it were new.
    Resend {
        /// The delivery's id.
        delivery: String,
    },
    /// List the secrets of a webhook; add one, or take one away. Their values are shown once, when they are made.
    Secrets {
        /// The trigger's id.
        trigger: String,
        /// Add a secret: @FILE holds its value, `new` makes one.
        #[arg(long, value_name = "new|@FILE", conflicts_with = "remove")]
        add: Option<String>,
        /// Take the secret with this id away.
        #[arg(long, value_name = "ID")]
        remove: Option<String>,
    },
    /// List what a trigger had reason to start, and what became of it, newest first.
    Occurrences {
        /// Its id.
        trigger: String,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
}

impl Triggers {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::List { workflow, trigger_type, limit } => {
                let filters = [("workflow", workflow), ("type", trigger_type)];
                let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let query: String = given.map(|(name, value)| format!("&{name}={}", segment(&value))).collect();
                let page = client.get(&format!("/api/triggers?limit={limit}{query}")).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Show { trigger } => {
                let found = client.get(&path(&trigger, "")).await?;
                out.show(&found, || clean(&format!("{found:#}")));
            }
            Self::Next { trigger, n } => {
                let next = client.get(&path(&trigger, &format!("/next?n={n}"))).await?;
                out.show(&next, || instants(&next));
            }
            Self::Enable { trigger } => switch(client, out, &trigger, "enable").await?,
            Self::Disable { trigger } => switch(client, out, &trigger, "disable").await?,
            Self::Fire { trigger, input } => {
                let input = input.as_deref().map(file::argument).transpose()?;
                let started = client.post(&path(&trigger, "/fire"), json!({ "input_data": input })).await?;
                out.show(&started, || text_of(&started, "execution_id"));
            }
            Self::Deliveries { trigger, limit } => {
                let page = client.get(&path(&trigger, &format!("/deliveries?limit={limit}"))).await?;
                out.show(&page, || deliveries(out, &page));
            }
            Self::Resend { delivery } => {
                let resent = client.post(&format!("/api/deliveries/{}/resend", segment(&delivery)), json!({})).await?;
                out.show(&resent, || format!("{} {}", text_of(&resent, "status"), shown(&resent, "execution_id")));
            }
            Self::Secrets { trigger, add: Some(add), remove: _ } => {
                let added = client.post(&path(&trigger, "/secrets"), given(&add)?).await?;
                out.show(&added, || text_of(&added, "secret"));
            }
            Self::Secrets { trigger, add: None, remove: Some(id) } => {
                let path = path(&trigger, &format!("/secrets/{}", segment(&id)));
                let removed = client.send(Method::DELETE, &path, Sent::Nothing).await?;
                out.show(&removed, || format!("removed {id}"));
            }
            Self::Secrets { trigger, add: None, remove: None } => {
                let page = client.get(&path(&trigger, "/secrets")).await?;
                out.show(&page, || secrets(out, &page));
            }
            Self::Occurrences { trigger, limit } => {
                let page = client.get(&path(&trigger, &format!("/occurrences?limit={limit}"))).await?;
                out.show(&page, || occurrences(out, &page));
            }
        }
        Ok(Outcome::Done)
    }
}

fn path(trigger: &str, rest: &str) -> String {
    format!("/api/triggers/{}{rest}", segment(trigger))
}

async fn switch(client: &Client, out: Out, trigger: &str, verb: &str) -> anyhow::Result<()> {
    let switched = client.post(&path(trigger, &format!("/{verb}")), json!({})).await?;
    out.show(&switched, || format!("{verb}d {}", text_of(&switched, "id")));
    Ok(())
}

fn items(page: &Value) -> impl Iterator<Item = &Value> {
    page["items"].as_array().into_iter().flatten()
}

/// A text, or nothing where it is null.
fn shown(item: &Value, name: &str) -> String {
    if item[name].is_null() { String::new() } else { text_of(item, name) }
}

fn instants(next: &Value) -> String {
    let lines: Vec<_> = items(next).filter_map(Value::as_str).map(clean).collect();
    if lines.is_empty() { "nothing is due".to_owned() } else { lines.join("\n") }
}

fn table(out: Out, page: &Value) -> String {
    let rows = items(page).map(|item| {
        let on = item["enabled"] == true && item["workflow_active"] == true;
        vec![
            text_of(item, "id"),
            text_of(item, "workflow_name"),
            text_of(item, "key"),
            text_of(item, "type"),
            if on { "yes" } else { "no" }.to_owned(),
            shown(item, "next_at"),
            text_of(item, "fired"),
            text_of(item, "skipped"),
            text_of(item, "failed"),
        ]
    });
    let head = ["ID", "WORKFLOW", "KEY", "TYPE", "ON", "NEXT", "FIRED", "SKIPPED", "FAILED"];
    out.table(&head, &rows.collect::<Vec<_>>())
}

/// The body that adds a secret. A value on the command line would be seen by everybody on the machine.
fn given(add: &str) -> anyhow::Result<Value> {
    match add.strip_prefix('@') {
        Some(path) => {
            let text = String::from_utf8(file::read(std::path::Path::new(path))?)?;
            Ok(json!({ "secret": text.trim() }))
        }
        None if add == "new" => Ok(json!({})),
        None => anyhow::bail!("write `--add new`, or `--add @FILE` for a secret that the sender gave you"),
    }
}

fn deliveries(out: Out, page: &Value) -> String {
    let rows = items(page).map(|item| {
        vec![
            text_of(item, "received_at"),
            text_of(item, "id"),
            text_of(item, "verdict"),
            shown(item, "delivery_key"),
            shown(item, "execution_id"),
            shown(item, "reason"),
        ]
    });
    out.table(&["AT", "ID", "VERDICT", "KEY", "EXECUTION", "REASON"], &rows.collect::<Vec<_>>())
}

fn secrets(out: Out, page: &Value) -> String {
    let rows =
        items(page).map(|item| vec![text_of(item, "id"), text_of(item, "created_at"), text_of(item, "created_by")]);
    out.table(&["ID", "ADDED", "BY"], &rows.collect::<Vec<_>>())
}

fn occurrences(out: Out, page: &Value) -> String {
    let rows = items(page).map(|item| {
        vec![
            text_of(item, "at"),
            text_of(item, "key"),
            text_of(item, "status"),
            text_of(item, "count"),
            shown(item, "execution_id"),
            shown(item, "reason"),
        ]
    });
    out.table(&["AT", "KEY", "STATUS", "COUNT", "EXECUTION", "REASON"], &rows.collect::<Vec<_>>())
}
