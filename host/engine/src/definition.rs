//! What authors write: read leniently into one strict model, with all problems at once.
//!
//! Reading looks at each field by itself; whether names, jumps and references lead anywhere is the compiler's part.

use std::{collections::BTreeSet, fmt::Write as _};

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

mod after;
pub(crate) mod agent_tools;
mod approvers;
pub(crate) mod diagnostic;
pub mod fields;
mod guardrails;
mod reader;
mod schema;
mod steps;

pub use agent_tools::AgentTool;
pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, DiagnosticCode, Diagnostics, Place, Severity};
pub use guardrails::parse_guardrails;
pub use schema::definition_schema;
pub use steps::{Destination, HumanOptionDefinition, OnErrorDefinition, StepDefinition, StepKind};

use crate::limits::Limits;
use fields::{Fields, shown, too_many, wrong_type};

/// The most characters of a workflow's name.
pub const NAME_CHARACTERS_MAX: usize = 128;
/// The most characters of a description.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 10_000;
/// How deep a definition's JSON may be nested. Each parallel step or loop around a step takes three levels, so the
/// deepest step that [`crate::graph::DEPTH_MAX`] allows is an object at level 99; its arguments have the rest. It
/// stays below the 127 levels that serde_json reads, also where a definition is a part of an answer.
pub const JSON_DEPTH_MAX: usize = 120;
/// The most triggers of a workflow.
pub const TRIGGERS_MAX: usize = 32;

/// A workflow as its author means it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Definition {
    /// Its name, 1 to [`NAME_CHARACTERS_MAX`] characters; unique among live workflows, which is for others to see to.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it may be executed.
    pub active: bool,
    /// What starts it.
    pub triggers: Vec<TriggerDefinition>,
    /// Its guardrails.
    pub guardrails: Limits,
    /// JSON Schema of its input.
    pub input_schema: Option<Value>,
    /// Its steps.
    pub steps: Vec<StepDefinition>,
    /// What its output is made from: a template.
    pub output: Option<Value>,
    /// Whether it was read without errors; else it never becomes a graph.
    pub(crate) sound: bool,
}

/// What starts executions. Its settings are read by whoever starts them: here they are kept as they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerDefinition {
    /// Its name in the workflow, where its author gives one.
    pub id: Option<String>,
    /// Its type.
    pub trigger_type: TriggerType,
    /// Whether it starts anything, where its author says so.
    pub enabled: Option<bool>,
    /// Its settings, as they were written.
    pub config: Map<String, Value>,
    /// Where it is in the definition.
    pub place: Place,
}

/// The five types of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerType {
    /// A person or a program asks.
    Manual,
    /// A schedule.
    Cron,
    /// An HTTP request from outside.
    Webhook,
    /// An event on the host's bus.
    Event,
    /// The end of an agent step or of another workflow.
    AgentCompletion,
}

impl TriggerType {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::Manual, Self::Cron, Self::Webhook, Self::Event, Self::AgentCompletion];

    /// The type as authors write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Cron => "cron",
            Self::Webhook => "webhook",
            Self::Event => "event",
            Self::AgentCompletion => "agent_completion",
        }
    }
}

impl Definition {
    /// Reads a definition. There is always a definition to look at; it is sound where no diagnostic is an error.
    #[must_use]
    pub fn parse(value: &Value) -> (Self, Vec<Diagnostic>) {
        let mut diagnostics = Diagnostics::default();
        let mut definition = Fields::open(value, Place::default(), &mut diagnostics)
            .map(|fields| read(fields, &mut diagnostics))
            .unwrap_or_default();
        definition.sound = !diagnostics.has_errors();
        (definition, diagnostics.finish())
    }
}

/// SHA-256 of a text, in hex.
pub(crate) fn hex_digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn read(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Definition {
    let definition = Definition {
        name: name(&mut fields, diagnostics),
        description: fields.text("description", DESCRIPTION_CHARACTERS_MAX, diagnostics).map(str::to_owned),
        active: active(&mut fields, diagnostics),
        triggers: triggers(&mut fields, diagnostics),
        guardrails: guardrails::at(&mut fields, diagnostics),
        input_schema: schema::read(&mut fields, "input_schema", diagnostics),
        steps: reader::root(&mut fields, diagnostics),
        output: fields.value("output").cloned(),
        sound: false,
    };
    fields.close(diagnostics);
    definition
}

fn name(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> String {
    if fields.value("name").is_none() {
        fields.missing("name", diagnostics);
    }
    let Some(name) = fields.text("name", NAME_CHARACTERS_MAX, diagnostics) else { return String::new() };
    if name.trim().is_empty() || name.contains(['\n', '\r', '\t']) || name.trim() != name {
        let message = "`name` must hold something, in one line, without white space around it";
        diagnostics.error(&fields.place.at("name"), DiagnosticCode::InvalidValue, message);
    }
    name.to_owned()
}

fn active(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> bool {
    match fields.either("active", "is_active", diagnostics) {
        Some((Value::Bool(active), _)) => *active,
        Some((other, place)) => {
            wrong_type(diagnostics, &place, "true or false", other);
            false
        }
        None => true,
    }
}

fn triggers(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<TriggerDefinition> {
    let Some((value, place)) = fields.either("triggers", "trigger", diagnostics) else { return Vec::new() };
    let Value::Array(list) = value else { return trigger(value, place, diagnostics).into_iter().collect() };
    if list.len() > TRIGGERS_MAX {
        too_many(diagnostics, &place, "triggers", TRIGGERS_MAX);
    }
    let list = list.iter().take(TRIGGERS_MAX).enumerate();
    let triggers: Vec<_> = list.filter_map(|(index, value)| trigger(value, place.at(index), diagnostics)).collect();
    let mut ids = BTreeSet::new();
    for trigger in triggers.iter().filter(|trigger| trigger.id.is_some()) {
        if !ids.insert(&trigger.id) {
            let message = "another trigger of this workflow has this id";
            diagnostics.error(&trigger.place.at("id"), DiagnosticCode::DuplicateId, message);
        }
    }
    triggers
}

fn trigger(value: &Value, place: Place, diagnostics: &mut Diagnostics) -> Option<TriggerDefinition> {
    let mut fields = Fields::open(value, place, diagnostics)?;
    let trigger_type = trigger_type(&mut fields, diagnostics);
    let id = trigger_id(&mut fields, diagnostics);
    let enabled = fields.flag("enabled", diagnostics);
    let config = match fields.value("config") {
        None => Map::new(),
        Some(Value::Object(config)) => config.clone(),
        Some(other) => {
            wrong_type(diagnostics, &fields.place.at("config"), "an object", other);
            Map::new()
        }
    };
    let place = fields.place.clone();
    fields.close(diagnostics);
    Some(TriggerDefinition { id, trigger_type: trigger_type?, enabled, config, place })
}

fn trigger_id(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let id = fields.text("id", reader::ID_CHARACTERS_MAX, diagnostics)?;
    if !reader::is_id(id) {
        let message = "`id` must start with a letter or `_`, and go on with letters, digits, `_` and `-`";
        diagnostics.error(&fields.place.at("id"), DiagnosticCode::InvalidId, message);
        return None;
    }
    Some(id.to_owned())
}

fn trigger_type(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<TriggerType> {
    let Some(value) = fields.value("type") else {
        fields.missing("type", diagnostics);
        return None;
    };
    let found = TriggerType::ALL.into_iter().find(|known| value.as_str() == Some(known.as_str()));
    if found.is_none() {
        let known = TriggerType::ALL.map(TriggerType::as_str).join(", ");
        let message = format!("no trigger type {}: there are {known}", shown(value));
        diagnostics.error(&fields.place.at("type"), DiagnosticCode::UnknownTriggerType, message);
    }
    found
}
