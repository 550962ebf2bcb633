//! `weir notices`: what people were told about questions.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Outcome,
    out::{Out, brief, text_of},
};
use crate::client::{Client, segment};

/// What people are told about questions.
#[derive(Debug, Subcommand)]
pub(super) enum Notices {
    /// List notices, those of the newest executions first.
    List {
        /// Only those in this status.
        #[arg(long, value_parser = ["pending", "sent", "dead", "withdrawn"])]
        status: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Send a notice again that was given up.
    Retry {
        /// Its id.
        id: String,
    },
}

impl Notices {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::List { status, limit } => {
                let filter = status.map(|status| format!("&status={status}")).unwrap_or_default();
                let page = client.get(&format!("/api/notices?limit={limit}{filter}")).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Retry { id } => {
                let answer = client.post(&format!("/api/notices/{}/retry", segment(&id)), json!({})).await?;
                out.show(&answer, || format!("notice {id} is tried again"));
            }
        }
        Ok(Outcome::Done)
    }
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        vec![
            text_of(item, "id"),
            text_of(item, "channel"),
            text_of(item, "kind"),
            text_of(item, "status"),
            item["attempts"].to_string(),
            brief(&item["last_error"], 60),
        ]
    });
    out.table(&["ID", "CHANNEL", "KIND", "STATUS", "ATTEMPTS", "LAST ERROR"], &rows.collect::<Vec<_>>())
}
