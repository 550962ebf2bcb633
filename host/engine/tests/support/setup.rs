//! Definition to execution: a catalog that has every plugin, and a start.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use weir_engine::{
    compile::{ArgumentProblem, Catalog, Found, compile},
    definition::{Definition, Diagnostic, Severity},
    event::Started,
    graph::{Graph, Target},
    id::Timestamp,
    json::Json,
};

/// When the tests begin.
pub(crate) const EPOCH: Timestamp = Timestamp(1_800_000_000_000_000);

/// Has whatever it is asked for.
pub(crate) struct Everything;

impl Catalog for Everything {
    fn find(&self, name: &str, agent: bool) -> Found {
        let (plugin, tool) = name.split_once('.').unwrap_or(("any", name));
        Found::One(Target {
            plugin: plugin.to_owned(),
            version: "1.0.0".to_owned(),
            digest: "d".repeat(64),
            name: tool.to_owned(),
            agent,
            wants: weir_engine::graph::Wants::default(),
            tools: BTreeMap::new(),
        })
    }

    fn check_arguments(&self, _target: &Target, _arguments: &Value) -> Vec<ArgumentProblem> {
        Vec::new()
    }
}

/// The graph of a definition, or what is wrong with it.
pub(crate) fn try_graph(definition: &Value) -> Result<Arc<Graph>, Vec<Diagnostic>> {
    let (parsed, mut diagnostics) = Definition::parse(definition);
    let (graph, more) = compile(&parsed, &Everything);
    diagnostics.extend(more);
    diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    graph.filter(|_| diagnostics.is_empty()).ok_or(diagnostics)
}

/// The graph of a definition that is sound.
pub(crate) fn graph(definition: &Value) -> Arc<Graph> {
    try_graph(definition).unwrap_or_else(|problems| panic!("{problems:#?}\n{definition:#}"))
}

/// What an execution of `graph` that begins at `now` is pinned to.
pub(crate) fn started(graph: &Graph, input: Value, now: Timestamp) -> Started {
    Started {
        execution_id: "execution-1".into(),
        workflow_id: "workflow-1".into(),
        workflow_name: graph.name.clone(),
        workflow_version: 3,
        trigger: Json::from(json!({ "type": "manual" })),
        input: input.into(),
        limits: graph.limits.clone(),
        deadline: graph.limits.timeout_ms.map(|ms| now.plus_ms(ms)),
        targets: Arc::new(graph.targets.iter().map(|(name, to)| (name.clone(), Arc::new(to.clone()))).collect()),
    }
}
