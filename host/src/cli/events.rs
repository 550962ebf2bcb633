//! `weir events`: what happened elsewhere, and here, and starts workflows.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{
    Outcome, file,
    out::{Out, clean, text_of},
};
use crate::client::{Client, Method, Sent, segment};

/// What happened elsewhere, and here, and starts workflows.
#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Send an event: it starts every workflow that waits for it.
    Send(Send),
    /// List events, newest first.
    List {
        /// Only those of this type.
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Only those of this source.
        #[arg(long)]
        source: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Show an event.
    Show {
        /// Its number.
        seq: u64,
    },
}

/// An event to send.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// What kind of event: `com.example.order.placed`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,
    /// Where it comes from: a URI reference.
    #[arg(long)]
    source: String,
    /// What makes it one at its source: the same id is taken once. By default a new one.
    #[arg(long)]
    id: Option<String>,
    /// What it is about.
    #[arg(long)]
    subject: Option<String>,
    /// When it happened: 2026-01-31T12:00:00Z.
    #[arg(long)]
    time: Option<String>,
    /// What it says, and what workflows are given: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    input: Option<String>,
}

impl Events {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Send(send) => {
                let event = send.event()?;
                let sent = Sent::Bytes("application/cloudevents+json", event.to_string().into());
                let answer = client.send(Method::POST, "/api/events", sent).await?;
                let is_new = answer["accepted"] == 1;
                let said = if is_new { "accepted" } else { "stored before, nothing starts:" };
                out.show(&answer, || format!("{said} {}", text_of(&event, "id")));
            }
            Self::List { event_type, source, limit } => {
                let filters = [("type", event_type), ("source", source)];
                let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let query: String = given.map(|(name, value)| format!("&{name}={}", segment(&value))).collect();
                let page = client.get(&format!("/api/events?limit={limit}{query}")).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Show { seq } => {
                let found = client.get(&format!("/api/events/{seq}")).await?;
                out.show(&found, || clean(&format!("{found:#}")));
            }
        }
        Ok(Outcome::Done)
    }
}

impl Send {
    /// The event in the JSON format.
    fn event(self) -> anyhow::Result<Value> {
        let Self { event_type, source, id, subject, time, input } = self;
        let id = id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let attributes = [
            ("specversion", Some("1.0".to_owned())),
            ("type", Some(event_type)),
            ("source", Some(source)),
            ("id", Some(id)),
            ("subject", subject),
            ("time", time),
        ];
        let given = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
        let mut event: Map<_, _> = given.collect();
        if let Some(data) = input.as_deref().map(file::argument).transpose()? {
            event.insert("datacontenttype".to_owned(), "application/json".into());
            event.insert("data".to_owned(), data);
        }
        Ok(Value::Object(event))
    }
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let event = &item["event"];
        vec![
            text_of(item, "seq"),
            text_of(item, "received_at"),
            text_of(event, "type"),
            text_of(event, "source"),
            text_of(event, "id"),
            if item["dispatched_at"].is_null() { "no" } else { "yes" }.to_owned(),
        ]
    });
    out.table(&["SEQ", "RECEIVED", "TYPE", "SOURCE", "ID", "DISPATCHED"], &rows.collect::<Vec<_>>())
}
