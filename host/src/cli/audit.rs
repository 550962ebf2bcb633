//! `weir audit`: what was done, refused and failed.

use clap::Subcommand;
use serde_json::Value;

use super::{
    Outcome,
    out::{Ink, Out, brief, text_of},
};
use crate::client::{Client, segment};

/// The audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List what was done, refused and failed, newest first.
    List {
        /// Only what this actor did: user:alice, token:ci, admin, anonymous.
        #[arg(long)]
        actor: Option<String>,
        /// Only this act: workflow.create, …
        #[arg(long)]
        act: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Check that nothing in the log was changed or taken out; fails if something was.
    Verify,
}

impl Audit {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::List { actor, act, limit } => {
                let filter = |name: &str, value: Option<String>| {
                    value.map(|value| format!("&{name}={}", segment(&value))).unwrap_or_default()
                };
                let path = format!("/api/audit?limit={limit}{}{}", filter("actor", actor), filter("act", act));
                let page = client.get(&path).await?;
                out.show(&page, || table(out, &page));
                Ok(Outcome::Done)
            }
            Self::Verify => {
                let found = client.get("/api/audit/verify").await?;
                let is_sound = found["sound"] == true;
                out.show(&found, || verdict(out, &found, is_sound));
                Ok(if is_sound { Outcome::Done } else { Outcome::Failed })
            }
        }
    }
}

fn verdict(out: Out, found: &Value, is_sound: bool) -> String {
    let (rows, head) = (text_of(found, "rows"), text_of(found, "head"));
    if is_sound {
        return format!("{} {rows} rows, the last with the hash {head}", out.ink(Ink::Good, "sound:"));
    }
    let broken_at = text_of(found, "broken_at");
    format!("{} row {broken_at} is not as it was written; the {rows} before it are", out.ink(Ink::Bad, "broken:"))
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let outcome = text_of(item, "outcome");
        let ink = if outcome == "done" { Ink::Good } else { Ink::Bad };
        vec![
            text_of(item, "seq"),
            text_of(item, "at"),
            text_of(item, "actor"),
            text_of(item, "act"),
            out.ink(ink, &outcome),
            brief(&item["object"], 40).replace("null", ""),
            brief(&item["details"], 60).replace("null", ""),
        ]
    });
    out.table(&["SEQ", "AT", "ACTOR", "ACT", "OUTCOME", "OBJECT", "DETAILS"], &rows.collect::<Vec<_>>())
}
