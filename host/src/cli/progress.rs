//! Follows an execution on the terminal: a line for each step that ends, questions asked where they come up.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    approvals,
    out::{Ink, Out, brief, text_of, took},
};
use crate::client::{Client, ClientError, segment};

/// How often a stream that broke off is taken up again before that is an error.
const RECONNECTS_MAX: u32 = 20;
const RECONNECT_WAIT: Duration = Duration::from_millis(500);

/// What to do when a person is asked.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// Ask on this terminal.
    Here,
    /// Choose this option.
    Choose(String),
    /// Say so, and wait for an answer from elsewhere.
    Wait,
    /// Say so, and stop following.
    Leave,
}

/// Follows an execution to its end, and answers it.
pub(super) async fn follow(client: &Client, id: &str, out: Out, asked: &Asked) -> anyhow::Result<Value> {
    let mut follower = Follower { client, id, out, asked, steps: HashMap::new(), seen: 0 };
    let mut reconnects = 0;
    loop {
        match follower.stream().await {
            Ok(()) => break,
            Err(error) if reconnects == RECONNECTS_MAX => return Err(error),
            Err(error) if error.downcast_ref::<ClientError>().is_some_and(is_passing) => {
                reconnects += 1;
                tokio::time::sleep(RECONNECT_WAIT).await;
            }
            Err(error) => return Err(error),
        }
    }
    client.get(&format!("/api/executions/{}", segment(id))).await.context("could not read how the execution ended")
}

/// Whether a stream that broke off like this is worth taking up again.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Answer { .. } | ClientError::Unreachable { .. } => true,
        ClientError::Problem(problem) => problem["status"] == 503,
        ClientError::Url { .. } => false,
    }
}

struct Follower<'a> {
    client: &'a Client,
    id: &'a str,
    out: Out,
    asked: &'a Asked,
    /// Steps that have begun: path and instant of the beginning, by call.
    steps: HashMap<u64, (String, String)>,
    seen: u64,
}

impl Follower<'_> {
    async fn stream(&mut self) -> anyhow::Result<()> {
        let mut events = self.client.events(self.id, self.seen).await?;
        while let Some(event) = events.next().await? {
            self.seen = event["seq"].as_u64().unwrap_or(self.seen);
            self.out.record(&event);
            if !self.show(&event).await? {
                return Ok(());
            }
        }
        // The stream ends with the execution, or because the host stops.
        let execution = self.client.get(&format!("/api/executions/{}", segment(self.id))).await?;
        if execution["completed_at"].is_null() {
            let reason = "the host ended the stream before the execution".to_owned();
            return Err(ClientError::Answer { request: self.id.to_owned(), reason }.into());
        }
        Ok(())
    }

    /// Shows one event; false where following ends with it.
    async fn show(&mut self, event: &Value) -> anyhow::Result<bool> {
        let data = &event["data"];
        let out = self.out;
        match event["type"].as_str().unwrap_or_default() {
            "step_started" => return self.step_started(event).await,
            "step_completed" => self.ended(event, &out.ink(Ink::Good, "✓"), brief(&data["output"], 60)),
            "step_failed" => self.ended(event, &out.ink(Ink::Bad, "✗"), failure(&data["failure"])),
            "step_skipped" => self.ended(event, "-", "skipped".to_owned()),
            "step_cancelled" => self.ended(event, &out.ink(Ink::Bad, "✗"), "cancelled".to_owned()),
            "retry_scheduled" => {
                self.ended(event, &out.ink(Ink::Warn, "↻"), format!("{}; tried again", failure(&data["failure"])))
            }
            "decided" => {
                let decision = &data["decision"];
                let (who, what) = (text_of(decision, "decided_by"), text_of(decision, "option_id"));
                self.ended(event, &out.ink(Ink::Good, "✓"), format!("{what} (by {who})"));
                // Its completion follows at once and has nothing to add.
                self.steps.remove(&data["call"].as_u64().unwrap_or_default());
            }
            "paused" => out.say(&out.ink(Ink::Warn, &format!("paused at a limit: {}", brief(&data["exceeded"], 80)))),
            _ => {}
        }
        Ok(true)
    }

    async fn step_started(&mut self, event: &Value) -> anyhow::Result<bool> {
        let data = &event["data"];
        let call = event["seq"].as_u64().unwrap_or_default();
        let path = text_of(data, "path");
        self.steps.insert(call, (path.clone(), text_of(event, "at")));
        if data["kind"] != "human" {
            return Ok(true);
        }
        self.out.say(&format!(
            "{} {path} asks: {}",
            self.out.ink(Ink::Warn, "?"),
            brief(&data["work"]["human"]["request"]["notification"], 200)
        ));
        self.ask(call, &data["work"]["human"]["request"]).await
    }

    async fn ask(&self, call: u64, request: &Value) -> anyhow::Result<bool> {
        // A question of the history may have been answered since.
        let path = format!("/api/executions/{}/approvals?limit=1&cursor={}", segment(self.id), call.saturating_sub(1));
        let page = self.client.get(&path).await?;
        if page["items"][0]["approval_id"] == call && page["items"][0]["status"] != "pending" {
            return Ok(true);
        }
        let answer = match self.asked {
            Asked::Here => approvals::ask(self.out, request).await?,
            Asked::Choose(option) => json!({ "option_id": option }),
            Asked::Wait => return Ok(true),
            Asked::Leave => return Ok(false),
        };
        let mut answer = answer;
        answer["approval_id"] = call.into();
        self.client.post(&format!("/api/executions/{}/approve", segment(self.id)), answer).await?;
        Ok(true)
    }

    /// The line of a step that ended, or is about to be tried again.
    fn ended(&self, event: &Value, mark: &str, words: String) {
        let call = event["data"]["call"].as_u64().unwrap_or_default();
        let Some((path, began)) = self.steps.get(&call) else { return };
        let seconds = between(began, event["at"].as_str().unwrap_or_default());
        let took = seconds.map(took).unwrap_or_default();
        self.out.say(&format!("{mark} {path:<32} {took:>8}  {}", self.out.ink(Ink::Faint, &words)));
    }
}

fn failure(failure: &Value) -> String {
    format!("{}: {}", text_of(failure, "code"), brief(&failure["message"], 160))
}

fn between(began: &str, ended: &str) -> Option<f64> {
    let (began, ended) = (began.parse::<jiff::Timestamp>().ok()?, ended.parse::<jiff::Timestamp>().ok()?);
    Some(ended.duration_since(began).as_secs_f64())
}

/// The last lines about an execution: how it ended, and what it made.
pub(super) fn result(out: Out, execution: &Value) -> String {
    let status = text_of(execution, "status");
    let mut lines =
        vec![format!("{} {} {}", out.ink(Ink::Strong, "execution"), text_of(execution, "id"), out.status(&status))];
    let mut row = |name: &str, words: String| lines.push(format!("  {name:<9} {words}"));
    if let Some(seconds) = execution["duration_seconds"].as_f64() {
        row("took", took(seconds));
    }
    let calls = execution["usage"]["tool_calls"].as_u64().unwrap_or_default();
    if calls > 0 {
        row("used", format!("{calls} tool calls"));
    }
    if !execution["error"].is_null() {
        let at = text_of(&execution["error"], "path");
        row(
            "failed",
            format!("{} {}", failure(&execution["error"]), if at.is_empty() { at } else { format!("(at {at})") }),
        );
    }
    if !execution["output"].is_null() {
        row("output", super::out::clean(&format!("{:#}", execution["output"])).replace('\n', "\n            "));
    }
    lines.join("\n")
}
