//! The bodies of the fuzz targets: no input may make them panic, recurse without bound or run long. The engine's tests
//! run them too, over the corpus and mutations of it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use weir_engine::{
    compile::{ArgumentProblem, Catalog, Found, compile},
    condition::Condition,
    definition::Definition,
    event::{Decision, Event, Record, Report, Started},
    execution::{Command, Execution, Input},
    graph::{Graph, Target},
    id::Timestamp,
    json::Json,
    reference::{Reference, Template, View},
};

/// How many steps of an execution a target makes.
const STEPS_MAX: usize = 64;

struct Everything;

impl Catalog for Everything {
    fn find(&self, name: &str, agent: bool) -> Found {
        Found::One(Target {
            plugin: "any".to_owned(),
            version: "1.0.0".to_owned(),
            digest: "d".repeat(64),
            name: name.to_owned(),
            agent,
            wants: weir_engine::graph::Wants::default(),
            tools: BTreeMap::new(),
        })
    }

    fn check_arguments(&self, _target: &Target, _arguments: &Value) -> Vec<ArgumentProblem> {
        Vec::new()
    }
}

/// Any bytes as a definition: they are read, compiled, and run for a while.
pub fn definition(data: &[u8]) {
    let Some(document) = document(data) else { return };
    let (definition, _) = Definition::parse(document.value());
    let (Some(graph), _) = compile(&definition, &Everything) else { return };
    let (mut execution, records) = Execution::start(graph.clone(), started(&graph), Timestamp(0));
    let mut log = records;
    log.extend(run(&mut execution));
    let replayed = Execution::replay(graph, log);
    assert!(replayed.as_ref() == Ok(&execution), "the replayed state is not the live state");
}

/// Any bytes as a reference, a template and a condition, a line break, and the scope that they are resolved in.
pub fn reference(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (query, scope) = text.split_once('\n').unwrap_or((&text, "{}"));
    let scope = document(scope.as_bytes()).unwrap_or_else(Json::null);
    let scope = Scope(scope.value());
    if let Ok(reference) = Reference::parse(query) {
        drop(reference.resolve(&scope));
    }
    let written = serde_json::from_str(query).unwrap_or_else(|_| Value::from(query));
    if let Ok(template) = Template::compile(&written) {
        drop(template.resolve(&scope));
    }
    if let (Some(condition), _) = Condition::parse(&written) {
        condition.evaluate(&scope, &mut Vec::new());
    }
}

/// Any bytes as a log of one `[at, event]` a line: what replays can be looked at, and goes on.
pub fn log(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = text.lines().take(1_000).filter_map(|line| serde_json::from_str::<(Timestamp, Event)>(line).ok());
    let records = lines.zip(1..).map(|((at, event), seq)| Record { seq, at, event });
    let Some(graph) = graph() else { return };
    if let Ok(mut execution) = Execution::replay(graph, records) {
        drop((execution.summary(), execution.step_outputs().count(), execution.budget()));
        run(&mut execution);
    }
}

/// A log that [`log`] takes to its end.
#[must_use]
pub fn sample_log() -> String {
    let Some(graph) = graph() else { return String::new() };
    let (mut execution, mut log) = Execution::start(graph.clone(), started(&graph), Timestamp(0));
    log.extend(run(&mut execution));
    let lines = log.iter().filter_map(|record| serde_json::to_string(&(record.at, &record.event)).ok());
    lines.collect::<Vec<_>>().join("\n")
}

/// A workflow in which every kind of event can happen.
fn graph() -> Option<Arc<Graph>> {
    let definition = json!({
        "name": "all kinds",
        "guardrails": { "max_steps": 40, "tool_calls_limit": 9, "on_exceeded": "pause" },
        "steps": [
            { "id": "t", "type": "tool", "tool": "a.t", "retry": { "max_attempts": 2 } },
            { "id": "c", "type": "condition", "condition": { "field": "$.t.n", "operator": "gt", "value": 1, "else_step": "t" } },
            { "id": "h", "type": "human", "human_config": { "notification": "?", "timeout_minutes": 1 } },
            { "id": "p", "type": "parallel", "on_error": "continue", "parallel_steps": [
                { "id": "a", "type": "agent", "agent": "a.a", "guardrails": { "timeout_seconds": 5 } },
                [{ "id": "l", "type": "loop", "loop_config": { "items_path": "$.input.items", "max_concurrency": 2, "steps": [
                    { "id": "x", "type": "tool", "tool": "a.x", "tool_args": { "i": "$.item" } } ] } }] ] },
        ],
    });
    compile(&Definition::parse(&definition).0, &Everything).0
}

/// Answers what is asked, in the simplest way.
fn run(execution: &mut Execution) -> Vec<Record> {
    let mut log = Vec::new();
    for _ in 0..STEPS_MAX {
        let Some(command) = execution.commands().into_iter().next() else { break };
        let (input, now) = match command {
            Command::RunPlugin { call, attempt } => {
                drop(execution.plugin_call(call));
                let output = json!({ "n": 5, "items": [1, "two", null] }).into();
                (Input::CallSucceeded { call, attempt, output, report: Report::default() }, Timestamp(0))
            }
            Command::AskHuman { call, request, .. } => {
                let option_id = request.value()["options"][0]["id"].as_str().map(str::to_owned);
                let decision = Decision {
                    option_id,
                    comment: None,
                    data: None,
                    decided_by: format!("person {}", log.len()),
                    decided_at: String::new(),
                    request_digest: None,
                };
                (Input::Decided { call, decision }, Timestamp(0))
            }
            Command::SetTimer { due } => (Input::TimeReached, due),
            Command::Continue => (Input::Continue, Timestamp(0)),
        };
        log.extend(execution.step(input, now));
    }
    log
}

fn started(graph: &Graph) -> Started {
    let targets = graph.targets.iter().map(|(name, target)| (name.clone(), Arc::new(target.clone())));
    Started {
        execution_id: "execution".into(),
        workflow_id: "workflow".into(),
        workflow_name: graph.name.clone(),
        workflow_version: 1,
        trigger: json!({ "type": "manual" }).into(),
        input: json!({ "items": [1, [2], { "three": 3 }], "n": 5, "text": "word" }).into(),
        limits: graph.limits.clone(),
        deadline: None,
        targets: Arc::new(targets.collect()),
    }
}

fn document(data: &[u8]) -> Option<Json> {
    Json::parse(String::from_utf8_lossy(data)).ok()
}

struct Scope<'v>(&'v Value);

impl View for Scope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.as_object().into_iter().flat_map(|members| members.keys().map(String::as_str)).collect()
    }
}
