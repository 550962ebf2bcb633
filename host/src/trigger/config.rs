//! What a trigger's settings mean: read strictly from a definition, all problems at once. Pure.

mod filter;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use weir_engine::{
    definition::{
        Definition, Diagnostic, DiagnosticCode, Diagnostics, Place, TriggerDefinition, TriggerType,
        fields::{Fields, wrong_type},
    },
    execution::Status,
    id::Timestamp,
    json::Json,
};

pub use self::{
    filter::Filter,
    webhook::{BODY_BYTES_DEFAULT, BODY_BYTES_MAX, PATH_BYTES_MAX, Respond, Scheme, WebhookConfig, is_path},
};
use super::cron::{CatchUp, CronError, Overlap, Schedule};
use crate::{
    schema,
    store::{HostEvent, NewTrigger, is_type},
};

/// The most characters of a schedule, a zone, an event's type, an agent's or a workflow's name.
const TEXT_CHARACTERS_MAX: usize = 256;
/// The ends that a workflow or a step can come to.
const ENDS: [(&str, Status); 4] = [
    ("completed", Status::Completed),
    ("failed", Status::Failed),
    ("timeout", Status::Timeout),
    ("cancelled", Status::Cancelled),
];

/// The settings of a trigger, by its type.
#[derive(Debug, Clone)]
pub enum TriggerConfig {
    /// A person or a program asks.
    Manual,
    /// A schedule.
    Cron(Box<CronConfig>),
    /// An HTTP request from outside.
    Webhook(WebhookConfig),
    /// An event.
    Event(EventConfig),
    /// The end of an agent step or of another workflow.
    AgentCompletion(CompletionConfig),
}

/// When to start.
#[derive(Debug, Clone)]
pub struct CronConfig {
    /// The instants.
    pub schedule: Schedule,
    /// What happens to those that were missed.
    pub catch_up: CatchUp,
    /// What happens to those that come while an execution runs.
    pub overlap: Overlap,
    /// What every execution is given: an object.
    pub input: Json,
}

/// Which events start something.
#[derive(Debug, Clone)]
pub struct EventConfig {
    /// The type that an event has to have; one that ends with `.*` stands for all types that begin so.
    pub event_type: String,
    /// What else must hold of it.
    pub filter: Option<Filter>,
}

/// Which ends start something. Everything that is set must hold; agent, workflow or both are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionConfig {
    /// A step of this agent.
    pub agent_id: Option<String>,
    /// A workflow, or a step in one, with this id or name.
    pub workflow_id: Option<String>,
    /// One of these ends.
    pub statuses: Vec<Status>,
}

impl TriggerConfig {
    /// Reads stored settings, which were found good when they were saved.
    ///
    /// # Errors
    /// Says what is wrong with them: they are from another release.
    pub fn stored(trigger_type: TriggerType, config: &Json) -> Result<Self, String> {
        let mut diagnostics = Diagnostics::default();
        let none = Map::new();
        let members = config.value().as_object().unwrap_or(&none);
        let read = read_config(trigger_type, Fields::of(members, Place::default()), &mut diagnostics);
        let first = diagnostics.finish().into_iter().find(Diagnostic::is_error);
        match (read, first) {
            (Some(config), None) => Ok(config),
            (_, Some(error)) => Err(format!("{} (at {})", error.message, error.field)),
            (None, None) => Err("its settings cannot be read".to_owned()),
        }
    }
}

/// Reads the triggers of a definition as they are published with it at `now`, and tells everything that is wrong with them.
#[must_use]
pub fn read(definition: &Definition, now: Timestamp) -> (Vec<NewTrigger>, Vec<Diagnostic>) {
    let mut diagnostics = Diagnostics::default();
    let mut keys = Keys::default();
    let mut paths = BTreeSet::new();
    let mut triggers = Vec::new();
    for trigger in &definition.triggers {
        let key = keys.of(trigger);
        let place = trigger.place.at("config");
        let config = read_config(trigger.trigger_type, Fields::of(&trigger.config, place.clone()), &mut diagnostics);
        let Some(config) = config else { continue };
        check(&config, definition, &place, now, &mut diagnostics);
        let path = path_of(&config);
        if path.as_ref().is_some_and(|path| !paths.insert(path.clone())) {
            let message = "another webhook of this workflow has this path";
            diagnostics.error(&place.at("path"), DiagnosticCode::InvalidValue, message);
        }
        triggers.push(NewTrigger {
            key,
            trigger_type: trigger.trigger_type,
            config: Json::from_value(Value::Object(trigger.config.clone())),
            path,
            enabled: trigger.enabled.unwrap_or(true),
            next_at: next_at(&config, now),
        });
    }
    (triggers, diagnostics.finish())
}

/// The first instant of a schedule after `now`; nothing for other triggers.
#[must_use]
pub fn next_at(config: &TriggerConfig, now: Timestamp) -> Option<Timestamp> {
    match config {
        TriggerConfig::Cron(cron) => cron.schedule.after(now),
        TriggerConfig::Manual
        | TriggerConfig::Webhook(_)
        | TriggerConfig::Event(_)
        | TriggerConfig::AgentCompletion(_) => None,
    }
}

fn path_of(config: &TriggerConfig) -> Option<String> {
    match config {
        TriggerConfig::Webhook(webhook) => webhook.path.clone(),
        TriggerConfig::Manual
        | TriggerConfig::Cron(_)
        | TriggerConfig::Event(_)
        | TriggerConfig::AgentCompletion(_) => None,
    }
}

/// Gives triggers the names by which they are known again in the next version.
#[derive(Default)]
struct Keys(BTreeMap<TriggerType, u32>);

impl Keys {
    /// The author's id; else the type, and the number among those of this type without one. No id has a `#`.
    fn of(&mut self, trigger: &TriggerDefinition) -> String {
        if let Some(id) = &trigger.id {
            return id.clone();
        }
        let number = self.0.entry(trigger.trigger_type).or_default();
        *number += 1;
        format!("{}#{number}", trigger.trigger_type.as_str())
    }
}

fn read_config(
    trigger_type: TriggerType,
    mut fields: Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<TriggerConfig> {
    let config = match trigger_type {
        TriggerType::Manual => Some(TriggerConfig::Manual),
        TriggerType::Cron => cron(&mut fields, diagnostics).map(|cron| TriggerConfig::Cron(Box::new(cron))),
        TriggerType::Webhook => Some(TriggerConfig::Webhook(webhook::read(&mut fields, diagnostics))),
        TriggerType::Event => event(&mut fields, diagnostics).map(TriggerConfig::Event),
        TriggerType::AgentCompletion => Some(TriggerConfig::AgentCompletion(completion(&mut fields, diagnostics))),
    };
    fields.close(diagnostics);
    config
}

fn cron(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<CronConfig> {
    let catch_ups = [("skip", CatchUp::Skip), ("run_once", CatchUp::RunOnce), ("run_all", CatchUp::RunAll)];
    let overlaps = [
        ("skip", Overlap::Skip),
        ("queue_one", Overlap::QueueOne),
        ("allow", Overlap::Allow),
        ("cancel_running", Overlap::CancelRunning),
    ];
    let catch_up = fields.word("catch_up", &catch_ups, diagnostics).unwrap_or_default();
    let overlap = fields.word("overlap", &overlaps, diagnostics).unwrap_or_default();
    let input = input(fields, diagnostics);
    let zone = fields.text("timezone", TEXT_CHARACTERS_MAX, diagnostics).unwrap_or("UTC");
    if fields.value("schedule").is_none() {
        fields.missing("schedule", diagnostics);
    }
    let text = fields.text("schedule", TEXT_CHARACTERS_MAX, diagnostics)?;
    match Schedule::parse(text, zone) {
        Ok(schedule) => Some(CronConfig { schedule, catch_up, overlap, input }),
        Err(error) => {
            refuse(fields, &error, diagnostics);
            None
        }
    }
}

fn refuse(fields: &Fields<'_>, error: &CronError, diagnostics: &mut Diagnostics) {
    let name = match error {
        CronError::Zone { .. } => "timezone",
        CronError::Text { .. } | CronError::Field { .. } | CronError::NoDate | CronError::Matcher { .. } => "schedule",
    };
    diagnostics.error(&fields.place.at(name), DiagnosticCode::InvalidValue, error.to_string());
}

fn input(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Json {
    let value = fields.value("input").cloned().unwrap_or_else(|| json!({}));
    if !value.is_object() {
        wrong_type(diagnostics, &fields.place.at("input"), "an object", &value);
    }
    Json::from_value(value)
}

fn event(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<EventConfig> {
    let filter = filter::event(fields, diagnostics);
    if fields.value("event_type").is_none() {
        fields.missing("event_type", diagnostics);
    }
    let event_type = named(fields, "event_type", diagnostics)?;
    if event_type.strip_suffix(".*").unwrap_or(&event_type).contains('*') || event_type == ".*" {
        let message = "a `*` can only stand at the end, after a point: `com.example.*`";
        diagnostics.error(&fields.place.at("event_type"), DiagnosticCode::InvalidValue, message);
    }
    let is_own = |event: &HostEvent| is_type(&event_type, event.as_str());
    if event_type.starts_with("weir.") && !HostEvent::ALL.iter().any(is_own) {
        let own = HostEvent::ALL.map(HostEvent::as_str).join(", ");
        let message = format!("the host has no event {event_type:?}; it has {own}");
        diagnostics.warning(&fields.place.at("event_type"), DiagnosticCode::InvalidValue, message);
    }
    Some(EventConfig { event_type, filter })
}

/// A text that holds something.
fn named(fields: &mut Fields<'_>, name: &'static str, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = fields.text(name, TEXT_CHARACTERS_MAX, diagnostics)?;
    if text.trim().is_empty() {
        diagnostics.error(&fields.place.at(name), DiagnosticCode::Empty, format!("`{name}` must hold something"));
        return None;
    }
    Some(text.to_owned())
}

fn completion(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> CompletionConfig {
    if fields.value("agent_id").is_none() && fields.value("workflow_id").is_none() {
        let message = "one of `agent_id` and `workflow_id` is needed: whose end starts the workflow";
        diagnostics.error(&fields.place, DiagnosticCode::MissingField, message);
    }
    CompletionConfig {
        agent_id: named(fields, "agent_id", diagnostics),
        workflow_id: named(fields, "workflow_id", diagnostics),
        statuses: statuses(fields, diagnostics),
    }
}

/// One end, or a list of them; completed where there is none.
fn statuses(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<Status> {
    let named = named_statuses(fields, diagnostics);
    if named.is_empty() { vec![Status::Completed] } else { named }
}

fn named_statuses(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<Status> {
    if fields.value("status").is_none_or(|value| !value.is_array()) {
        return fields.word("status", &ENDS, diagnostics).into_iter().collect();
    }
    let place = fields.place.at("status");
    let words = fields.texts("status", diagnostics);
    let known = |word: &String| ENDS.iter().find(|(name, _)| name == word).map(|(_, status)| *status);
    if words.iter().any(|word| known(word).is_none()) {
        let message = format!("`status` must name ends: {}", ENDS.map(|(name, _)| name).join(", "));
        diagnostics.error(&place, DiagnosticCode::InvalidValue, message);
    }
    words.iter().filter_map(known).collect()
}

/// Checks what depends on the time and on the rest of the definition.
fn check(
    config: &TriggerConfig,
    definition: &Definition,
    place: &Place,
    now: Timestamp,
    diagnostics: &mut Diagnostics,
) {
    let TriggerConfig::Cron(cron) = config else { return };
    if let Err(error) = cron.schedule.check(now) {
        diagnostics.error(&place.at("schedule"), DiagnosticCode::InvalidValue, error.to_string());
    }
    if cron.catch_up == CatchUp::RunAll && cron.overlap != Overlap::Allow {
        let message = "what was missed runs at once, and `overlap` keeps most of it from running: \"allow\" runs all";
        diagnostics.warning(&place.at("catch_up"), DiagnosticCode::InvalidValue, message);
    }
    let problems = definition.input_schema.iter().flat_map(|schema| schema::problems(schema, cron.input.value()));
    for problem in problems {
        let message = format!("no execution will start: the input schema refuses this input: {}", problem.message);
        diagnostics.warning(&place.at("input").below(&problem.field), DiagnosticCode::InvalidArguments, message);
    }
}

#[cfg(test)]
mod tests;
