//! `weir approvals` and `weir approve`: what people are asked, and their answers.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Outcome, file,
    out::{Ink, Out, brief, text_of},
};
use crate::client::{Client, Method, Sent, segment};

/// Open questions to people.
#[derive(Debug, Subcommand)]
pub(super) enum Approvals {
    /// List open questions, newest first.
    List {
        /// Only those of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// Only those that you may decide, and have not answered yet.
        #[arg(long)]
        mine: bool,
        /// Those whose time was up and that nobody decided, lapsed ones too.
        #[arg(long)]
        overdue: bool,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Show a question, and what was answered to it.
    Show {
        /// Its id: EXECUTION.NUMBER.
        id: String,
    },
    /// Answer a question.
    Approve {
        /// Its id: EXECUTION.NUMBER.
        id: String,
        #[command(flatten)]
        given: Given,
    },
    /// Ask others instead; without roles and users that is every approver.
    Reassign {
        /// Its id: EXECUTION.NUMBER.
        id: String,
        /// Whoever has this role; may be given several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Whoever has this name; may be given several times.
        #[arg(long = "user", value_name = "NAME")]
        users: Vec<String>,
    },
    /// Tell people about a question once more.
    Remind {
        /// Its id: EXECUTION.NUMBER.
        id: String,
    },
    /// Make a link with which somebody can decide a question once.
    Link {
        /// Its id: EXECUTION.NUMBER.
        id: String,
        /// Whom it is for; only admins make links for others.
        #[arg(long = "for", value_name = "NAME")]
        name: Option<String>,
        /// The only option that it may choose.
        #[arg(long, short)]
        option: Option<String>,
        /// When it expires, in minutes; at the latest with the question.
        #[arg(long, value_name = "MINUTES")]
        expires_in: Option<f64>,
    },
    /// List the links to a question.
    Links {
        /// Its id: EXECUTION.NUMBER.
        id: String,
    },
    /// Take a link back: nobody decides with it any more.
    RevokeLink {
        /// The question's id: EXECUTION.NUMBER.
        id: String,
        /// The link's id, as `weir approvals links` lists it.
        link: String,
    },
}

/// An answer.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// The option to choose.
    #[arg(long, short)]
    option: Option<String>,
    /// Words to go with it.
    #[arg(long, short)]
    comment: Option<String>,
    /// The form's data: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    form: Option<String>,
}

impl Given {
    fn body(&self) -> anyhow::Result<Value> {
        let mut answer = json!({ "option_id": self.option, "comment": self.comment });
        if let Some(form) = self.form.as_deref() {
            answer["data"] = file::argument(form)?;
        }
        Ok(answer)
    }
}

/// Answer a question of an execution.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The execution that asks.
    execution: String,
    #[command(flatten)]
    given: Given,
    /// Which question, where several are open.
    #[arg(long, value_name = "ID")]
    approval: Option<u64>,
}

impl Approvals {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        let path = |id: &str, act: &str| format!("/api/approvals/{}{act}", segment(id));
        match self {
            Self::List { workflow, mine, overdue, limit } => {
                let workflow = workflow.map(|workflow| format!("&workflow={}", segment(&workflow))).unwrap_or_default();
                let filter = format!("limit={limit}&mine={mine}&overdue={overdue}{workflow}");
                let page = client.get(&format!("/api/approvals?{filter}")).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Show { id } => {
                let approval = client.get(&path(&id, "")).await?;
                out.show(&approval, || detail(&approval));
            }
            Self::Approve { id, given } => {
                let answered = client.post(&path(&id, "/approve"), given.body()?).await?;
                out.show(&answered, || words(&answered));
            }
            Self::Reassign { id, roles, users } => {
                let body = json!({ "roles": roles, "users": users });
                let answer = client.post(&path(&id, "/reassign"), body).await?;
                out.show(&answer, || format!("asked now: {}", people(&answer["approvers"])));
            }
            Self::Remind { id } => {
                let answer = client.post(&path(&id, "/remind"), json!({})).await?;
                out.show(&answer, || format!("told over {}", list(&answer["channels"])));
            }
            Self::Link { id, name, option, expires_in } => {
                let body = json!({ "name": name, "option_id": option, "expires_in_minutes": expires_in });
                let link = client.post(&path(&id, "/links"), body).await?;
                out.show(&link, || text_of(&link, "url"));
            }
            Self::Links { id } => {
                let page = client.get(&path(&id, "/links")).await?;
                out.show(&page, || links(out, &page));
            }
            Self::RevokeLink { id, link } => {
                let path = path(&id, &format!("/links/{}", segment(&link)));
                client.send(Method::DELETE, &path, Sent::Nothing).await?;
                out.show(&json!({ "revoked": link }), || format!("took {link} back"));
            }
        }
        Ok(Outcome::Done)
    }
}

/// The members of a list of texts.
fn list(texts: &Value) -> String {
    let texts: Vec<&str> = texts.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    super::out::clean(&texts.join(", "))
}

fn people(approvers: &Value) -> String {
    let named = [list(&approvers["roles"]), list(&approvers["users"])];
    let named: Vec<String> = named.into_iter().filter(|names| !names.is_empty()).collect();
    if named.is_empty() { "every approver".to_owned() } else { named.join(", ") }
}

/// What became of an answer.
fn words(answered: &Value) -> String {
    let option = brief(&answered["decision"]["option_id"], 100);
    match answered["missing"].as_u64().unwrap_or_default() {
        0 => format!("answered: {option}"),
        missing => format!("answered: {option}; {missing} more must choose the same"),
    }
}

fn detail(approval: &Value) -> String {
    let options = approval["request"]["options"].as_array().into_iter().flatten();
    let options: Vec<String> = options.map(|option| text_of(option, "id")).collect();
    let mut lines = vec![
        format!("{}  {}", text_of(approval, "id"), text_of(approval, "status")),
        format!("  {}, step {}", text_of(approval, "workflow_name"), text_of(approval, "path")),
        format!("  {}", brief(&approval["request"]["notification"], 2_000)),
        format!("  options:   {}", super::out::clean(&options.join(", "))),
        format!("  approvers: {} (quorum {})", people(&approval["approvers"]), approval["approvers"]["quorum"]),
        format!("  due:       {}", brief(&approval["due"], 40)),
    ];
    for decision in approval["decisions"].as_array().into_iter().flatten() {
        let (option, comment) = (brief(&decision["option_id"], 64), brief(&decision["comment"], 200));
        lines.push(format!(
            "  {} {}: {option} {comment}",
            text_of(decision, "decided_at"),
            text_of(decision, "decided_by")
        ));
    }
    lines.join("\n")
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let option = |option: &Value| option["id"].as_str().map(str::to_owned);
        let options: Vec<_> = item["request"]["options"].as_array().into_iter().flatten().filter_map(option).collect();
        vec![
            text_of(item, "id"),
            text_of(item, "workflow_name"),
            text_of(item, "path"),
            super::out::clean(&options.join("|")),
            brief(&item["request"]["notification"], 50),
        ]
    });
    out.table(&["ID", "WORKFLOW", "STEP", "OPTIONS", "QUESTION"], &rows.collect::<Vec<_>>())
}

fn links(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|link| {
        let columns = ["id", "name", "status", "made_by", "expires_at"];
        columns.map(|column| text_of(link, column)).to_vec()
    });
    out.table(&["ID", "FOR", "STATUS", "MADE BY", "EXPIRES"], &rows.collect::<Vec<_>>())
}

impl Approve {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        let mut answer = self.given.body()?;
        answer["approval_id"] = json!(self.approval);
        let answered = client.post(&format!("/api/executions/{}/approve", segment(&self.execution)), answer).await?;
        out.show(&answered, || words(&answered));
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
