//! `weir models`: which language models there are, and whether they answer.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Outcome,
    out::{Out, brief_or_nothing, text_of},
};
use crate::client::{Client, segment};

/// Language models.
#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// List the models that plugins and workflows can name.
    List,
    /// Ask a model one question. It costs what such a request costs.
    Try {
        /// Its name, as `weir models list` tells it.
        alias: String,
        /// The question.
        text: String,
        /// The most tokens of the answer.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        max_tokens: Option<u64>,
    },
}

impl Models {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::List => {
                let page = client.get("/api/models").await?;
                out.show(&page, || table(out, &page));
                Ok(Outcome::Done)
            }
            Self::Try { alias, text, max_tokens } => {
                let body = json!({ "text": text, "max_tokens": max_tokens });
                let answer = client.post(&format!("/api/models/{}/try", segment(&alias)), body).await?;
                out.show(&answer, || told(&answer));
                Ok(if answer["error"].is_null() { Outcome::Done } else { Outcome::Failed })
            }
        }
    }
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        vec![
            text_of(item, "alias"),
            text_of(item, "provider"),
            text_of(item, "model"),
            price(item),
            brief_or_nothing(&item["data_class"], 30),
        ]
    });
    out.table(&["ALIAS", "PROVIDER", "MODEL", "$ PER MILLION, IN/OUT", "DATA"], &rows.collect::<Vec<_>>())
}

fn price(item: &Value) -> String {
    match item["price_status"].as_str() {
        Some("known") => format!("{} / {}", item["price"]["input"], item["price"]["output"]),
        other => other.unwrap_or("unknown").to_owned(),
    }
}

fn told(answer: &Value) -> String {
    if let Some(message) = answer["error"]["message"].as_str() {
        return message.to_owned();
    }
    let usage = &answer["usage"];
    let tokens = |name: &str| usage[name].as_u64().map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
    let cost = answer["cost_microdollars"]
        .as_u64()
        .map_or_else(|| "price unknown".to_owned(), |cost| format!("${}.{:06}", cost / 1_000_000, cost % 1_000_000));
    format!(
        "{}\n\n{} tokens in, {} out, {cost}, {} ms",
        text_of(answer, "text"),
        tokens("input_tokens"),
        tokens("output_tokens"),
        answer["latency_ms"]
    )
}
