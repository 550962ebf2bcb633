//! The host's own events about executions, where a trigger waits for them: rows that are written with the events that they
//! follow from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use weir_engine::{
    event::{Event, Record, Started, StepType, Work},
    execution::Execution,
    failure::{Failure, FailureCode},
    graph::{Graph, Kind, Target},
    id::{CallId, Seq},
    json::Json,
};

use crate::store::{Companion, HostEvent, Interest, NewBusEvent, Store, StoreError};

/// The most bytes of an output that an event repeats. A larger one is read from the log where it is needed.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// The most members of a lineage that are handed on: more than a chain can have.
const LINEAGE_MAX: usize = 32;

/// What is told about one execution, and to whom.
pub(super) struct Outbox {
    interest: Arc<Interest>,
    started: Started,
    graph: Arc<Graph>,
}

/// A step that something is told about.
#[derive(Debug, Clone)]
struct Visited {
    step: Arc<str>,
    path: Arc<str>,
    kind: StepType,
}

/// Something to tell: what, of which event of the log, and the members that only it has.
struct Told<'r> {
    event: HostEvent,
    record: &'r Record,
    members: Map<String, Value>,
}

/// What to tell, and the members that only it has.
type Telling = (HostEvent, Map<String, Value>);

impl Outbox {
    /// What an execution tells; `None` where nobody waits for anything.
    pub(super) fn of(store: &Store, execution: &Execution) -> Option<Self> {
        let interest = store.interest();
        if interest.is_nothing() {
            return None;
        }
        Some(Self { interest, started: execution.started().clone(), graph: Arc::clone(execution.graph()) })
    }

    /// What these events lead to. Reads the log where they are about steps that began earlier.
    pub(super) async fn companions(&self, store: &Store, records: &[Record]) -> Result<Vec<Companion>, StoreError> {
        let visited = self.visited(store, records).await?;
        let told = records.iter().flat_map(|record| self.told(record, &visited));
        Ok(told.map(|told| Companion::BusEvent(self.bus_event(told))).collect())
    }

    /// The steps that these events are about, as far as somebody may want to know.
    async fn visited(&self, store: &Store, records: &[Record]) -> Result<BTreeMap<Seq, Visited>, StoreError> {
        let calls: BTreeSet<Seq> = records.iter().filter_map(|record| self.call(&record.event)).map(|c| c.0).collect();
        if calls.is_empty() {
            return Ok(BTreeMap::new());
        }
        let here = records.iter().filter(|record| calls.contains(&record.seq));
        let mut visited: BTreeMap<Seq, Visited> =
            here.filter_map(|record| Some((record.seq, visited(&record.event)?))).collect();
        let missing: BTreeSet<Seq> = calls.into_iter().filter(|seq| !visited.contains_key(seq)).collect();
        if !missing.is_empty() {
            let stored = store.events_at(&self.started.execution_id, &missing).await?;
            visited.extend(stored.iter().filter_map(|(seq, event)| Some((*seq, self::visited(event)?))));
        }
        Ok(visited)
    }

    /// The visit that an event is about, if what it means for that step may be told.
    fn call(&self, event: &Event) -> Option<CallId> {
        use HostEvent::{ApprovalDecided, ApprovalTimedOut, StepFailed};
        let (wants, agents) = (|event| self.interest.wants(event), self.interest.wants_agents());
        if let Event::StepCompleted { call, output, .. } = event {
            return (agents || (wants(ApprovalTimedOut) && is_timed_out(output))).then_some(*call);
        }
        if let Event::StepFailed { call, .. } = event {
            return (agents || wants(StepFailed) || wants(ApprovalTimedOut)).then_some(*call);
        }
        if let Event::StepCancelled { call } = event {
            return agents.then_some(*call);
        }
        if let Event::StepSkipped { call, .. } | Event::Lapsed { call } = event {
            return wants(ApprovalTimedOut).then_some(*call);
        }
        if let Event::Decided { call, .. } = event {
            return wants(ApprovalDecided).then_some(*call);
        }
        None
    }

    /// What one event of the log leads to.
    fn told<'r>(&self, record: &'r Record, visited: &BTreeMap<Seq, Visited>) -> Vec<Told<'r>> {
        let of = |call: &CallId| visited.get(&call.0);
        let told: Vec<Telling> = match &record.event {
            Event::ExecutionCompleted { output, .. } => self.end(HostEvent::ExecutionCompleted, with_output(output)),
            Event::ExecutionFailed { failure } => self.end(HostEvent::ExecutionFailed, with_failure(failure)),
            Event::ExecutionTimedOut { failure } => self.end(HostEvent::ExecutionTimeout, with_failure(failure)),
            Event::ExecutionCancelled { cancelled_by, reason } => {
                self.end(HostEvent::ExecutionCancelled, json!({ "cancelled_by": cancelled_by, "reason": reason }))
            }
            Event::StepStarted { work: Work::Human { request, due }, .. } | Event::Deferred { request, due, .. } => {
                self.asked(record, request, *due)
            }
            Event::Decided { call, decision } => of(call).map_or_else(Vec::new, |visited| {
                self.approval(HostEvent::ApprovalDecided, *call, visited, json!({ "decision": decision }))
            }),
            Event::StepCompleted { call, output, .. } => {
                of(call).map_or_else(Vec::new, |visited| self.completed(*call, visited, output))
            }
            Event::StepSkipped { call, .. } | Event::Lapsed { call } => of(call)
                .map_or_else(Vec::new, |visited| self.approval(HostEvent::ApprovalTimedOut, *call, visited, json!({}))),
            Event::StepFailed { call, failure, .. } => {
                of(call).map_or_else(Vec::new, |visited| self.failed(*call, visited, failure))
            }
            Event::StepCancelled { call } => of(call)
                .and_then(|visited| self.agent(HostEvent::AgentCancelled, visited, json!({})))
                .into_iter()
                .collect(),
            Event::ExecutionStarted(_)
            | Event::StepStarted { .. }
            | Event::RetryScheduled { .. }
            | Event::AttemptStarted { .. }
            | Event::CallInterrupted { .. }
            | Event::Reserved { .. }
            | Event::Settled { .. }
            | Event::Withdrawn { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Voted { .. }
            | Event::Reassigned { .. }
            | Event::ScopeOpened { .. }
            | Event::ScopeCompleted { .. }
            | Event::ScopeFailed { .. }
            | Event::ScopeCancelled { .. } => Vec::new(),
        };
        told.into_iter().map(|(event, members)| Told { event, record, members }).collect()
    }

    /// The end of the execution.
    fn end(&self, event: HostEvent, members: Value) -> Vec<Telling> {
        let Started { workflow_id, workflow_name, .. } = &self.started;
        let wanted = self.interest.wants(event) || self.interest.wants_end_of(workflow_id, workflow_name);
        if wanted { vec![(event, object(members))] } else { Vec::new() }
    }

    fn asked(&self, record: &Record, request: &Json, due: Option<weir_engine::id::Timestamp>) -> Vec<Telling> {
        let event = HostEvent::ApprovalRequested;
        if !self.interest.wants(event) {
            return Vec::new();
        }
        let Some(visited) = visited(&record.event) else { return Vec::new() };
        let due = due.and_then(|due| jiff::Timestamp::from_microsecond(due.0).ok()).map(|due| due.to_string());
        let notification = request.value().get("notification").cloned().unwrap_or_default();
        self.approval(event, CallId(record.seq), &visited, json!({ "notification": notification, "due": due }))
    }

    fn approval(&self, event: HostEvent, call: CallId, visited: &Visited, members: Value) -> Vec<Telling> {
        if !self.interest.wants(event) || visited.kind != StepType::Human {
            return Vec::new();
        }
        let mut all = at_step(visited);
        all.insert("approval_id".to_owned(), call.0.into());
        all.extend(object(members));
        vec![(event, all)]
    }

    fn completed(&self, call: CallId, visited: &Visited, output: &Json) -> Vec<Telling> {
        match visited.kind {
            StepType::Agent => {
                self.agent(HostEvent::AgentCompleted, visited, with_output(output)).into_iter().collect()
            }
            StepType::Human if is_timed_out(output) => {
                self.approval(HostEvent::ApprovalTimedOut, call, visited, json!({}))
            }
            StepType::Human | StepType::Tool | StepType::Condition | StepType::Parallel | StepType::Loop => Vec::new(),
        }
    }

    fn failed(&self, call: CallId, visited: &Visited, failure: &Failure) -> Vec<Telling> {
        let mut told = Vec::new();
        if self.interest.wants(HostEvent::StepFailed) {
            let mut members = at_step(visited);
            members.insert("step_type".to_owned(), visited.kind.as_str().into());
            members.extend(object(with_failure(failure)));
            told.push((HostEvent::StepFailed, members));
        }
        if failure.code == FailureCode::ApprovalTimeout {
            told.extend(self.approval(HostEvent::ApprovalTimedOut, call, visited, json!({})));
        }
        let timeout = failure.code == FailureCode::Timeout;
        let event = if timeout { HostEvent::AgentTimeout } else { HostEvent::AgentFailed };
        told.extend(self.agent(event, visited, with_failure(failure)));
        told
    }

    /// The end of an agent step.
    fn agent(&self, event: HostEvent, visited: &Visited, members: Value) -> Option<Telling> {
        if visited.kind != StepType::Agent {
            return None;
        }
        let target = self.target(&visited.step)?;
        if !self.interest.wants(event) && !self.interest.wants_agent(&target.plugin, &target.name) {
            return None;
        }
        let mut all = at_step(visited);
        all.insert("agent".to_owned(), format!("{}.{}", target.plugin, target.name).into());
        all.extend(object(members));
        Some((event, all))
    }

    /// The agent that a step calls.
    fn target(&self, step: &str) -> Option<&Target> {
        let step = &self.graph.steps[*self.graph.by_id.get(step)?];
        let Kind::Agent(invocation) = &step.kind else { return None };
        self.started.targets.get(&invocation.name).map(|target| &**target)
    }

    fn bus_event(&self, told: Told<'_>) -> NewBusEvent {
        let Told { event, record, members } = told;
        let Started { execution_id, workflow_id, workflow_name, workflow_version, .. } = &self.started;
        let mut data = object(json!({
            "execution_id": execution_id,
            "workflow": { "id": workflow_id, "name": workflow_name, "version": workflow_version },
            "seq": record.seq,
            "status": event.as_str().rsplit('.').next(),
        }));
        data.extend(members);
        let id = format!("{execution_id}/{}", record.seq);
        let new = NewBusEvent::of_host(event, &id, execution_id, record.at, Value::Object(data));
        NewBusEvent { lineage: Some(self.lineage()), ..new }
    }

    /// The chain that led to this execution, and the execution itself.
    fn lineage(&self) -> Json {
        let Started { execution_id, workflow_name, trigger, .. } = &self.started;
        let before = trigger.value().get("lineage").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut chain = before[before.len().saturating_sub(LINEAGE_MAX)..].to_vec();
        chain.push(json!({ "workflow": workflow_name, "execution_id": execution_id }));
        Json::from_value(Value::Array(chain))
    }
}

/// What began a step, or asked people about a tool that a step's agent wants to call: as a human step asks.
fn visited(event: &Event) -> Option<Visited> {
    if let Event::Deferred { step, path, .. } = event {
        return Some(Visited { step: Arc::clone(step), path: Arc::clone(path), kind: StepType::Human });
    }
    let Event::StepStarted { step, kind, path, .. } = event else { return None };
    Some(Visited { step: Arc::clone(step), path: Arc::clone(path), kind: *kind })
}

fn at_step(visited: &Visited) -> Map<String, Value> {
    object(json!({ "step_id": visited.step, "path": visited.path }))
}

fn with_output(output: &Json) -> Value {
    if output.text().len() > OUTPUT_BYTES_MAX {
        json!({ "output_omitted": true })
    } else {
        json!({ "output": output.value() })
    }
}

fn with_failure(failure: &Failure) -> Value {
    json!({ "error": failure })
}

fn is_timed_out(output: &Json) -> bool {
    output.text().len() < 64 && output.value().get("timed_out") == Some(&Value::Bool(true))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
