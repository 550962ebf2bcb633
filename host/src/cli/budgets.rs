//! `weir budgets`: what many executions share for an hour, a day or a month.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    Outcome,
    out::{Out, text_of},
};
use crate::client::{Client, Method, Sent, segment};

/// Budgets that executions share.
#[derive(Debug, Subcommand)]
pub(super) enum Budgets {
    /// Make a budget, or set the limits of one; what was spent of it stays.
    Set(Set),
    /// List budgets, and how they stand.
    List,
    /// Show one budget.
    Show {
        /// Its name.
        name: String,
    },
    /// Delete a budget: it limits nothing any more.
    Delete {
        /// Its name.
        name: String,
    },
}

/// Make a budget, or set the limits of one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  weir budgets set everything --period month --cost 500
  weir budgets set each-flow --each-workflow --period day --requests 1000 --cost 5
  weir budgets set triage --workflow triage --period hour --tool-calls 200")]
pub(super) struct Set {
    /// Its name: a small letter, then small letters, digits, hyphens and underscores.
    name: String,
    /// How long it lasts, in UTC.
    #[arg(long)]
    period: PeriodName,
    /// For the executions of this workflow, by its name or id. By default it is for all executions of the host.
    #[arg(long, value_name = "WORKFLOW", conflicts_with = "each_workflow")]
    workflow: Option<String>,
    /// For each workflow by itself.
    #[arg(long)]
    each_workflow: bool,
    /// Model requests.
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Tokens sent to models.
    #[arg(long, value_name = "N")]
    input_tokens: Option<u64>,
    /// Tokens that models answer with.
    #[arg(long, value_name = "N")]
    output_tokens: Option<u64>,
    /// Input and output tokens together.
    #[arg(long, value_name = "N")]
    total_tokens: Option<u64>,
    /// Tool calls, of steps and of agents.
    #[arg(long, value_name = "N")]
    tool_calls: Option<u64>,
    /// Money, in US dollars.
    #[arg(long, value_name = "DOLLARS")]
    cost: Option<f64>,
    /// Let requests pass a limit of money whose price nobody knows.
    #[arg(long)]
    allow_unknown_price: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PeriodName {
    Hour,
    Day,
    Month,
}

impl PeriodName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl Budgets {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        let path = |name: &str| format!("/api/budgets/{}", segment(name));
        match self {
            Self::Set(set) => {
                let budget = client.send(Method::PUT, &path(&set.name), Sent::Json(set.body())).await?;
                out.show(&budget, || table(out, std::slice::from_ref(&budget)));
            }
            Self::List => {
                let page = client.get("/api/budgets").await?;
                let items = page["items"].as_array().cloned().unwrap_or_default();
                out.show(&page, || table(out, &items));
            }
            Self::Show { name } => {
                let budget = client.get(&path(&name)).await?;
                out.show(&budget, || table(out, std::slice::from_ref(&budget)));
            }
            Self::Delete { name } => {
                let gone = client.send(Method::DELETE, &path(&name), Sent::Nothing).await?;
                out.show(&gone, || format!("deleted {name}"));
            }
        }
        Ok(Outcome::Done)
    }
}

impl Set {
    fn body(&self) -> Value {
        let mut limits = json!({
            "request_limit": self.requests,
            "input_tokens_limit": self.input_tokens,
            "output_tokens_limit": self.output_tokens,
            "total_tokens_limit": self.total_tokens,
            "tool_calls_limit": self.tool_calls,
            "max_cost_dollars": self.cost,
            "on_unknown_price": self.allow_unknown_price.then_some("allow"),
        });
        if let Some(members) = limits.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        let scope = if self.workflow.is_some() || self.each_workflow { "workflow" } else { "host" };
        json!({ "scope": scope, "workflow": self.workflow, "period": self.period.as_str(), "limits": limits })
    }
}

/// The quantities: of the limits, of what is spent, and for people.
const QUANTITIES: [(&str, &[&str], &str); 6] = [
    ("request_limit", &["requests"], "requests"),
    ("input_tokens_limit", &["input_tokens"], "input tokens"),
    ("output_tokens_limit", &["output_tokens"], "output tokens"),
    ("total_tokens_limit", &["input_tokens", "output_tokens"], "tokens"),
    ("tool_calls_limit", &["tool_calls"], "tool calls"),
    ("max_cost_dollars", &["estimated_cost_dollars"], "dollars"),
];

/// A line for each limit of each budget.
fn table(out: Out, budgets: &[Value]) -> String {
    let rows = budgets.iter().flat_map(|budget| {
        QUANTITIES.iter().filter(|(limit, ..)| !budget["limits"][*limit].is_null()).map(|(limit, members, noun)| {
            vec![
                text_of(budget, "name"),
                whose(budget),
                format!("{} {noun} {}", budget["limits"][*limit], a_period(budget)),
                sum(&budget["settled"], members),
                sum(&budget["reserved"], members),
                text_of(budget, "period_ends_at"),
            ]
        })
    });
    out.table(&["NAME", "FOR", "LIMIT", "SPENT", "PROMISED", "UNTIL"], &rows.collect::<Vec<_>>())
}

fn a_period(budget: &Value) -> &'static str {
    match budget["period"].as_str() {
        Some("hour") => "an hour",
        Some("day") => "a day",
        _ => "a month",
    }
}

fn whose(budget: &Value) -> String {
    match (budget["scope"].as_str(), budget["workflow_id"].as_str()) {
        (Some("workflow"), Some(id)) => format!("workflow {id}"),
        (Some("workflow"), None) => "each workflow".to_owned(),
        _ => "all executions".to_owned(),
    }
}

fn sum(usage: &Value, members: &[&str]) -> String {
    let sum: f64 = members.iter().filter_map(|member| usage[*member].as_f64()).sum();
    sum.to_string()
}
