//! `weir approvals` and `weir approve`: what people are asked, and their answers.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Outcome, file,
    out::{Ink, Out, brief, text_of},
};
use crate::client::{Client, segment};

/// Open questions to people.
#[derive(Debug, Subcommand)]
pub(super) enum Approvals {
    /// List open questions, newest first.
    List {
        /// Only those of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
}

/// Answer a question of an execution.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The execution that asks.
    execution: String,
    /// The option to choose.
    #[arg(long, short)]
    option: Option<String>,
    /// Words to go with it.
    #[arg(long, short)]
    comment: Option<String>,
    /// The form's data: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    form: Option<String>,
    /// Which question, where several are open.
    #[arg(long, value_name = "ID")]
    approval: Option<u64>,
}

impl Approvals {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        let Self::List { workflow, limit } = self;
        let filter = workflow.map(|workflow| format!("&workflow={}", segment(&workflow))).unwrap_or_default();
        let page = client.get(&format!("/api/approvals?limit={limit}{filter}")).await?;
        out.show(&page, || table(out, &page));
        Ok(Outcome::Done)
    }
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let option = |option: &Value| option["id"].as_str().map(str::to_owned);
        let options: Vec<_> = item["request"]["options"].as_array().into_iter().flatten().filter_map(option).collect();
        vec![
            text_of(item, "execution_id"),
            text_of(item, "approval_id"),
            text_of(item, "workflow_name"),
            text_of(item, "path"),
            super::out::clean(&options.join("|")),
            brief(&item["request"]["notification"], 50),
        ]
    });
    out.table(&["EXECUTION", "ID", "WORKFLOW", "STEP", "OPTIONS", "QUESTION"], &rows.collect::<Vec<_>>())
}

impl Approve {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        let data = self.form.as_deref().map(file::argument).transpose()?;
        let mut answer = json!({ "option_id": self.option, "comment": self.comment, "approval_id": self.approval });
        if let Some(data) = data {
            answer["data"] = data;
        }
        let answered = client.post(&format!("/api/executions/{}/approve", segment(&self.execution)), answer).await?;
        out.show(&answered, || format!("answered: {}", brief(&answered["decision"]["option_id"], 100)));
        Ok(Outcome::Done)
    }
}

/// Asks the question on this terminal, until the answer is one that it allows.
pub(super) async fn ask(out: Out, request: &Value) -> anyhow::Result<Value> {
    let options: Vec<(String, String)> = request["options"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|option| (text_of(option, "id"), text_of(option, "label")))
        .collect();
    for (n, (id, label)) in options.iter().enumerate() {
        out.say(&format!("    {} {id}  {}", out.ink(Ink::Strong, &format!("{})", n + 1)), out.ink(Ink::Faint, label)));
    }
    let option = loop {
        let line = read_line(out, if options.is_empty() { "  press Enter to go on: " } else { "  choose: " }).await?;
        match chosen(&options, line.trim()) {
            Some(option) => break option,
            None => out.say("  write the number or the id of one of the options"),
        }
    };
    let mut answer = json!({ "option_id": option });
    if !request["form_schema"].is_null() {
        out.say(&format!("  the form: {}", brief(&request["form_schema"], 400)));
        let line = read_line(out, "  data as JSON: ").await?;
        answer["data"] = file::argument(line.trim())?;
    }
    Ok(answer)
}

/// The option that a line names; `Some(None)` where there are none to choose.
fn chosen(options: &[(String, String)], line: &str) -> Option<Option<String>> {
    if options.is_empty() {
        return Some(None);
    }
    let by_number = line.parse::<usize>().ok().and_then(|n| options.get(n.checked_sub(1)?));
    let by_id = || options.iter().find(|(id, _)| id == line);
    by_number.or_else(by_id).map(|(id, _)| Some(id.clone()))
}

async fn read_line(out: Out, prompt: &str) -> anyhow::Result<String> {
    out.prompt(prompt);
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|bytes| (bytes, line))
    });
    let (bytes, line) = read.await??;
    anyhow::ensure!(bytes > 0, "could not read an answer: standard input has ended; answer with `weir approve`");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_chosen_by_number_or_id() {
        let options = [("yes".to_owned(), String::new()), ("no".to_owned(), String::new())];
        assert_eq!(chosen(&options, "2"), Some(Some("no".to_owned())));
        assert_eq!(chosen(&options, "yes"), Some(Some("yes".to_owned())));
        assert_eq!(chosen(&options, "0"), None);
        assert_eq!(chosen(&options, "3"), None);
        assert_eq!(chosen(&[], ""), Some(None));
    }
}
