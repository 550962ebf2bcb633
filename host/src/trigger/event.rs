//! Who waits for an event, and what an execution is given that it starts.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value, json};
use weir_engine::{definition::TriggerType, execution::Status, json::Json};

use super::{
    Firing, about, cloud_event,
    config::{CompletionConfig, EventConfig, TriggerConfig},
};
use crate::{
    driver::Companions,
    store::{BusEventRow, HOST_SOURCE, Interest, Store, StoreError, TriggerFilter, TriggerRow, bare_agent, is_type},
};

/// The longest chain of executions that start each other.
pub const LINEAGE_MAX: usize = 16;
/// The most triggers that one event fires.
pub const FAN_OUT_MAX: usize = 100;
/// Triggers of one read.
const PAGE: u32 = 200;

/// A trigger that waits for events.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) trigger: TriggerRow,
    /// What it waits for; `None` where its settings are of another release.
    config: Option<Awaited>,
}

#[derive(Debug)]
enum Awaited {
    Event(EventConfig),
    Completion(CompletionConfig),
}

/// All triggers that wait for events, at one moment.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Of which moment.
    pub(super) generation: u64,
    exact: HashMap<String, Vec<Arc<Waiter>>>,
    by_prefix: Vec<(String, Arc<Waiter>)>,
    completions: Vec<Arc<Waiter>>,
}

impl Waiters {
    /// Reads them.
    pub(super) async fn read(store: &Store, interest: &Interest) -> Result<Self, StoreError> {
        let mut waiters = Self { generation: interest.generation(), ..Self::default() };
        for trigger_type in [TriggerType::Event, TriggerType::AgentCompletion] {
            let filter = TriggerFilter { trigger_type: Some(trigger_type), ..TriggerFilter::default() };
            let mut after: Option<Arc<str>> = None;
            loop {
                let page = store.triggers(&filter, after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(Arc::clone(&last.id));
                page.into_iter().for_each(|trigger| waiters.add(trigger));
            }
        }
        Ok(waiters)
    }

    fn add(&mut self, trigger: TriggerRow) {
        if !trigger.enabled || !trigger.workflow_active {
            return;
        }
        let waiter = |trigger, config| Arc::new(Waiter { trigger, config });
        match TriggerConfig::stored(trigger.trigger_type, &trigger.config) {
            Ok(TriggerConfig::Event(config)) => {
                let pattern = config.event_type.clone();
                self.add_event(pattern, waiter(trigger, Some(Awaited::Event(config))));
            }
            Ok(TriggerConfig::AgentCompletion(config)) => {
                self.completions.push(waiter(trigger, Some(Awaited::Completion(config))));
            }
            Ok(TriggerConfig::Manual | TriggerConfig::Cron(_) | TriggerConfig::Webhook(_)) | Err(_) => {
                let pattern = trigger.config.value()["event_type"].as_str().map(str::to_owned);
                if let Some(pattern) = pattern {
                    self.add_event(pattern, waiter(trigger, None));
                }
            }
        }
    }

    fn add_event(&mut self, pattern: String, waiter: Arc<Waiter>) {
        if pattern.ends_with(".*") {
            self.by_prefix.push((pattern, waiter));
        } else {
            self.exact.entry(pattern).or_default().push(waiter);
        }
    }

    /// Those that may wait for an event, in the order in which they were made; what they are to be fired with, or why it
    /// cannot be known.
    pub(super) fn of(&self, news: &News<'_>) -> Vec<(Arc<Waiter>, Result<Firing, &'static str>)> {
        let event_type = &*news.row.event_type;
        let exact = self.exact.get(event_type).into_iter().flatten();
        let by_prefix = self.by_prefix.iter().filter(|(pattern, _)| is_type(pattern, event_type)).map(|(_, w)| w);
        let completions = self.completions.iter().filter(|_| &*news.row.source == HOST_SOURCE);
        let all = exact.chain(by_prefix).chain(completions);
        let mut fired: Vec<_> = all.filter_map(|waiter| Some((Arc::clone(waiter), news.firing(waiter)?))).collect();
        fired.sort_by(|(a, _), (b, _)| a.trigger.id.cmp(&b.trigger.id));
        fired
    }
}

/// An event, taken apart once for all who wait for it.
pub(super) struct News<'r> {
    pub(super) row: &'r BusEventRow,
    /// What makes it one for a trigger. No source has a space.
    pub(super) key: String,
    input: Json,
    attributes: Map<String, Value>,
    /// The chain of executions that led here.
    pub(super) lineage: Vec<Value>,
}

impl<'r> News<'r> {
    pub(super) fn of(row: &'r BusEventRow) -> Self {
        let event = row.event.value();
        let lineage = row.lineage.as_ref().and_then(|lineage| lineage.value().as_array().cloned());
        Self {
            row,
            key: format!("{} {}", row.source, row.id),
            input: Json::from_value(cloud_event::input(event)),
            attributes: cloud_event::attributes(event),
            lineage: lineage.unwrap_or_default(),
        }
    }

    /// What a trigger is to be fired with; `None` where it does not wait for this.
    fn firing(&self, waiter: &Waiter) -> Option<Result<Firing, &'static str>> {
        match &waiter.config {
            None => Some(Err("invalid_config: save the workflow again")),
            Some(Awaited::Event(config)) => self.event(&waiter.trigger, config).map(Ok),
            Some(Awaited::Completion(config)) => self.completion(&waiter.trigger, config).map(Ok),
        }
    }

    fn event(&self, trigger: &TriggerRow, config: &EventConfig) -> Option<Firing> {
        let shown = self.shown(trigger, json!({ "event": self.attributes }));
        let passes = |filter: &super::config::Filter| filter.passes(self.input.value(), shown.value());
        config.filter.as_ref().is_none_or(passes).then(|| self.with(shown, self.input.clone()))
    }

    fn completion(&self, trigger: &TriggerRow, config: &CompletionConfig) -> Option<Firing> {
        let data = self.input.value();
        let ended = ended(&self.row.event_type, data)?;
        if !config.wants(&ended) {
            return None;
        }
        let mut shown = Map::new();
        for name in ["execution_id", "workflow", "step_id", "path", "agent", "status", "error", "seq"] {
            shown.extend(data.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        shown.insert("output_omitted".to_owned(), data.get("output_omitted").cloned().unwrap_or(false.into()));
        let input = data.get("output").cloned().unwrap_or_else(|| json!({}));
        Some(self.with(self.shown(trigger, Value::Object(shown)), Json::from_value(input)))
    }

    /// The execution and the event of its log that hold an output which is too large for the event.
    pub(super) fn omitted_output(&self, trigger: &TriggerRow) -> Option<(String, u64)> {
        let data = self.input.value();
        let is_omitted = data.get("output_omitted") == Some(&Value::Bool(true));
        if trigger.trigger_type != TriggerType::AgentCompletion || !is_omitted {
            return None;
        }
        Some((data.get("execution_id")?.as_str()?.to_owned(), data.get("seq")?.as_u64()?))
    }

    fn shown(&self, trigger: &TriggerRow, mut more: Value) -> Json {
        if !self.lineage.is_empty() {
            more["lineage"] = Value::Array(self.lineage.clone());
        }
        about(trigger, more)
    }

    fn with(&self, trigger: Json, input: Json) -> Firing {
        Firing {
            key: self.key.clone(),
            scheduled_for: None,
            input,
            trigger,
            moved: None,
            wait: None,
            companions: Companions::default(),
        }
    }
}

/// An end that the host told of.
#[derive(Debug, PartialEq, Eq)]
struct Ended<'e> {
    /// The agent, if it is the end of a step; as `plugin.agent`.
    agent: Option<&'e str>,
    workflow_id: &'e str,
    workflow_name: &'e str,
    status: Status,
}

fn ended<'e>(event_type: &'e str, data: &'e Value) -> Option<Ended<'e>> {
    let (what, status) = event_type.strip_prefix("weir.")?.split_once('.')?;
    let status = [Status::Completed, Status::Failed, Status::Timeout, Status::Cancelled]
        .into_iter()
        .find(|known| known.as_str() == status)?;
    let agent = match what {
        "agent" => Some(data.get("agent")?.as_str()?),
        "execution" => None,
        _ => return None,
    };
    let workflow = data.get("workflow")?;
    let text = |name: &str| workflow.get(name).and_then(Value::as_str);
    Some(Ended { agent, workflow_id: text("id")?, workflow_name: text("name")?, status })
}

impl CompletionConfig {
    /// Whether this is an end that is waited for.
    fn wants(&self, ended: &Ended<'_>) -> bool {
        let is_workflow = |wanted: &String| {
            let wanted = wanted.trim();
            wanted == ended.workflow_id || wanted.to_lowercase() == ended.workflow_name.trim().to_lowercase()
        };
        let agent = match (&self.agent_id, ended.agent) {
            (Some(wanted), Some(agent)) => {
                let wanted = bare_agent(wanted);
                wanted == agent || agent.split_once('.').is_some_and(|(_, name)| name == wanted)
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        agent && self.workflow_id.as_ref().is_none_or(is_workflow) && self.statuses.contains(&ended.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(config: Value) -> CompletionConfig {
        match TriggerConfig::stored(TriggerType::AgentCompletion, &Json::from_value(config)) {
            Ok(TriggerConfig::AgentCompletion(config)) => config,
            other => panic!("{other:?}"),
        }
    }

    fn end<'e>(agent: Option<&'e str>, status: Status) -> Ended<'e> {
        Ended { agent, workflow_id: "id-1", workflow_name: "My Flow", status }
    }

    #[test]
    fn ends_are_matched_by_everything_that_is_set() {
        let step = end(Some("triage.classify"), Status::Completed);
        assert!(config(json!({ "agent_id": "classify" })).wants(&step));
        assert!(config(json!({ "agent_id": "triage.classify@1.0.0", "workflow_id": "my flow" })).wants(&step));
        assert!(!config(json!({ "agent_id": "classify", "workflow_id": "other" })).wants(&step));
        assert!(!config(json!({ "agent_id": "triage" })).wants(&step));
        assert!(!config(json!({ "workflow_id": "id-1" })).wants(&step), "that is the workflow's own end");
        let failed = end(None, Status::Failed);
        assert!(!config(json!({ "workflow_id": "id-1" })).wants(&failed), "the default is completed");
        assert!(config(json!({ "workflow_id": "id-1", "status": ["failed", "timeout"] })).wants(&failed));
        assert!(!config(json!({ "agent_id": "classify", "status": "failed" })).wants(&failed));
    }

    #[test]
    fn only_the_ends_of_executions_and_agents_are_ends() {
        let data = json!({ "workflow": { "id": "id-1", "name": "My Flow" }, "agent": "a.b" });
        assert_eq!(ended("weir.execution.timeout", &data), Some(end(None, Status::Timeout)));
        assert_eq!(ended("weir.agent.cancelled", &data), Some(end(Some("a.b"), Status::Cancelled)));
        for other in ["weir.step.failed", "weir.approval.decided", "weir.execution.running", "x.execution.failed"] {
            assert_eq!(ended(other, &data), None, "{other}");
        }
    }
}
