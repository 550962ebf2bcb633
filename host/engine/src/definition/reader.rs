//! Reads steps, nested ones too.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{
    DESCRIPTION_CHARACTERS_MAX,
    after::{destination, on_error, retry, timeout},
    approvers,
    diagnostic::{DiagnosticCode, Diagnostics, Place},
    fields::{Fields, shown, too_many, wrong_type},
    guardrails, schema,
    steps::{HumanOptionDefinition, StepDefinition, StepKind},
};
use crate::graph::{DEPTH_MAX, FAN_OUT_MAX, ITERATIONS_DEFAULT, ITERATIONS_MAX, OnTimeout, STEPS_MAX};

/// The most options of a human step.
const OPTIONS_MAX: usize = 32;
/// The most characters of an id.
pub(super) const ID_CHARACTERS_MAX: usize = 64;
/// The most characters of a step's name, and of the name of a tool or an agent.
const NAME_CHARACTERS_MAX: usize = 256;
/// Names in the scope that no step and no item may have.
const RESERVED: [&str; 5] = ["input", "workflow", "trigger", "loop_index", "loop_count"];

/// Reads the steps of a definition.
pub(super) fn root(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<StepDefinition> {
    if fields.value("steps").is_none() {
        fields.missing("steps", diagnostics);
    }
    let Some((list, place)) = fields.list("steps", diagnostics) else { return Vec::new() };
    if list.is_empty() {
        diagnostics.error(&place, DiagnosticCode::Empty, "a workflow needs at least one step");
    }
    let mut reader = Reader { diagnostics, ids: BTreeSet::new(), items: Vec::new(), count: 0 };
    let steps = reader.block(list, &place, 0);
    reader.finish();
    steps
}

/// Whether a name is written as ids are.
pub(super) fn is_id(name: &str) -> bool {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    starts && goes_on && name.len() <= ID_CHARACTERS_MAX
}

struct Reader<'d> {
    diagnostics: &'d mut Diagnostics,
    ids: BTreeSet<Arc<str>>,
    /// The item variables, to be compared with the ids when all are known.
    items: Vec<(Arc<str>, Place)>,
    count: usize,
}

impl Reader<'_> {
    fn finish(self) {
        for (name, place) in self.items {
            if self.ids.contains(&name) {
                let message = format!("item variable `{name}` is the id of a step: take another name");
                self.diagnostics.error(&place, DiagnosticCode::ReservedName, message);
            }
        }
    }

    /// The steps of a block that `depth` parallel steps and loops stand around.
    fn block(&mut self, list: &[Value], place: &Place, depth: usize) -> Vec<StepDefinition> {
        if depth > DEPTH_MAX {
            let message = format!("steps are nested deeper than {DEPTH_MAX} parallel steps and loops");
            self.diagnostics.error(place, DiagnosticCode::TooDeep, message);
            return Vec::new();
        }
        list.iter().enumerate().map_while(|(index, value)| self.item(value, place.at(index), depth)).flatten().collect()
    }

    /// One step of a block; `None` once there are too many, `Some(None)` if it cannot be read.
    fn item(&mut self, value: &Value, place: Place, depth: usize) -> Option<Option<StepDefinition>> {
        if self.count >= STEPS_MAX {
            if self.count == STEPS_MAX {
                self.count += 1;
                let message = format!("more than {STEPS_MAX} steps, nested ones included");
                self.diagnostics.error(&place, DiagnosticCode::TooMany, message);
            }
            return None;
        }
        self.count += 1;
        let fields = Fields::open(value, place, self.diagnostics);
        Some(fields.map(|fields| self.step(fields, depth)))
    }

    fn step(&mut self, mut fields: Fields<'_>, depth: usize) -> StepDefinition {
        let id = self.id(&mut fields);
        if !id.is_empty() {
            fields.place.step_id = Some(id.to_string());
        }
        let step = StepDefinition {
            id,
            name: fields.text("name", NAME_CHARACTERS_MAX, self.diagnostics).map(str::to_owned),
            description: fields.text("description", DESCRIPTION_CHARACTERS_MAX, self.diagnostics).map(str::to_owned),
            kind: self.kind(&mut fields, depth),
            next: destination(&mut fields, "next_step", self.diagnostics),
            retry: retry(&mut fields, self.diagnostics),
            on_error: on_error(&mut fields, self.diagnostics),
            guardrails: guardrails::at(&mut fields, self.diagnostics),
            place: fields.place.clone(),
        };
        if step.kind.is_some() {
            fields.foreign(&KIND_FIELDS, "means nothing for a step of this type", self.diagnostics);
            fields.close(self.diagnostics);
        }
        step
    }

    fn id(&mut self, fields: &mut Fields<'_>) -> Arc<str> {
        let place = fields.place.at("id");
        let id = match fields.value("id") {
            Some(Value::String(id)) => id.as_str(),
            Some(other) => {
                wrong_type(self.diagnostics, &place, "a text", other);
                return "".into();
            }
            None => {
                fields.missing("id", self.diagnostics);
                return "".into();
            }
        };
        if !self.is_usable(id, &place) {
            return "".into();
        }
        let id: Arc<str> = id.into();
        if !self.ids.insert(Arc::clone(&id)) {
            let message = format!("another step has the id `{id}`: ids are unique in the whole workflow");
            self.diagnostics.error(&place, DiagnosticCode::DuplicateId, message);
        }
        id
    }

    /// Whether a step or an item can be called this; reports why not.
    fn is_usable(&mut self, name: &str, place: &Place) -> bool {
        if !is_id(name) {
            let name = shown(&Value::from(name));
            let message = format!(
                "{name} cannot be used: it must start with a letter or `_`, go on with letters, digits, `_` and `-`, \
                 and have at most {ID_CHARACTERS_MAX} characters"
            );
            self.diagnostics.error(place, DiagnosticCode::InvalidId, message);
            return false;
        }
        if RESERVED.contains(&name) {
            let message = format!("`{name}` is reserved: references use it for something else");
            self.diagnostics.error(place, DiagnosticCode::ReservedName, message);
            return false;
        }
        true
    }

    fn kind(&mut self, fields: &mut Fields<'_>, depth: usize) -> Option<StepKind> {
        let Some(value) = fields.value("type") else {
            fields.missing("type", self.diagnostics);
            return None;
        };
        match value.as_str() {
            Some("tool") => Some(self.tool(fields)),
            Some("agent") => Some(self.agent(fields)),
            Some("condition") => self.condition(fields),
            Some("human") => self.human(fields),
            Some("parallel") => self.parallel(fields, depth),
            Some("loop") => self.looped(fields, depth),
            _ => {
                let message =
                    format!("no step type {}: there are tool, agent, condition, human, parallel, loop", shown(value));
                self.diagnostics.error(&fields.place.at("type"), DiagnosticCode::UnknownStepType, message);
                None
            }
        }
    }

    fn tool(&mut self, fields: &mut Fields<'_>) -> StepKind {
        let tool = self.callee(fields, "tool", "tool");
        let (arguments, arguments_field) = self.template(fields, "tool_args", "args");
        let arguments = arguments.unwrap_or_else(|| Value::Object(Map::new()));
        if !arguments.is_object() && !arguments.is_string() {
            let message = "an object or a reference";
            wrong_type(self.diagnostics, &fields.place.at(arguments_field), message, &arguments);
        }
        StepKind::Tool { tool, arguments, arguments_field }
    }

    fn agent(&mut self, fields: &mut Fields<'_>) -> StepKind {
        let agent = self.callee(fields, "agent", "agent_id");
        let (prompt, prompt_field) = self.template(fields, "agent_prompt", "input");
        let config = match fields.value("agent_config") {
            None => Map::new(),
            Some(Value::Object(config)) => config.clone(),
            Some(other) => {
                wrong_type(self.diagnostics, &fields.place.at("agent_config"), "an object", other);
                Map::new()
            }
        };
        StepKind::Agent { agent, prompt: prompt.unwrap_or_else(|| Value::from("")), prompt_field, config }
    }

    /// The name of a tool or an agent.
    fn callee(&mut self, fields: &mut Fields<'_>, name: &'static str, alias: &'static str) -> String {
        let found = if name == alias {
            fields.value(name).map(|value| (value, fields.place.at(name)))
        } else {
            fields.either(name, alias, self.diagnostics)
        };
        let Some((value, place)) = found else {
            fields.missing(name, self.diagnostics);
            return String::new();
        };
        let text = super::fields::text(value, &place, NAME_CHARACTERS_MAX, self.diagnostics);
        if text.is_some_and(|text| text.trim().is_empty()) {
            self.diagnostics.error(&place, DiagnosticCode::InvalidValue, format!("`{name}` is empty"));
        }
        text.unwrap_or_default().trim().to_owned()
    }

    /// A member that may be there under two names, and the name under which it is.
    fn template(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        alias: &'static str,
    ) -> (Option<Value>, &'static str) {
        let has_name = fields.value(name).is_some();
        let value = fields.either(name, alias, self.diagnostics).map(|(value, _)| value.clone());
        let field = if !has_name && value.is_some() { alias } else { name };
        (value, field)
    }

    fn condition(&mut self, fields: &mut Fields<'_>) -> Option<StepKind> {
        let Some(condition) = fields.value("condition") else {
            fields.missing("condition", self.diagnostics);
            return None;
        };
        let mut inner = Fields::open(condition, fields.place.at("condition"), self.diagnostics)?;
        let then = destination(&mut inner, "then_step", self.diagnostics);
        let otherwise = destination(&mut inner, "else_step", self.diagnostics);
        Some(StepKind::Condition { condition: condition.clone(), then, otherwise })
    }

    fn human(&mut self, fields: &mut Fields<'_>) -> Option<StepKind> {
        let nothing = Value::Object(Map::new());
        let config = fields.value("human_config").unwrap_or(&nothing);
        let mut inner = Fields::open(config, fields.place.at("human_config"), self.diagnostics)?;
        let words = [("continue", OnTimeout::Continue), ("fail", OnTimeout::Fail), ("skip", OnTimeout::Skip)];
        let kind = StepKind::Human {
            notification: inner.value("notification").cloned().unwrap_or_else(|| Value::from("")),
            channels: inner.texts("notification_channels", self.diagnostics),
            timeout_ms: timeout(&mut inner, self.diagnostics),
            on_timeout: inner.word("on_timeout", &words, self.diagnostics).unwrap_or(OnTimeout::Fail),
            options: self.options(&mut inner),
            form_schema: schema::read(&mut inner, "form_schema", self.diagnostics),
            approvers: approvers::read(&mut inner, self.diagnostics),
        };
        inner.close(self.diagnostics);
        Some(kind)
    }

    fn options(&mut self, fields: &mut Fields<'_>) -> Vec<HumanOptionDefinition> {
        let Some((list, place)) = fields.list("options", self.diagnostics) else { return Vec::new() };
        if list.len() > OPTIONS_MAX {
            too_many(self.diagnostics, &place, "options", OPTIONS_MAX);
        }
        let mut ids = BTreeSet::new();
        let mut options = Vec::new();
        for (index, value) in list.iter().take(OPTIONS_MAX).enumerate() {
            let Some(mut inner) = Fields::open(value, place.at(index), self.diagnostics) else { continue };
            let Some(option) = self.option(&mut inner) else { continue };
            inner.close(self.diagnostics);
            if !ids.insert(option.id.clone()) {
                let message = format!("another option has the id {:?}", option.id);
                self.diagnostics.error(&place.at(index).at("id"), DiagnosticCode::DuplicateId, message);
            }
            options.push(option);
        }
        options
    }

    fn option(&mut self, fields: &mut Fields<'_>) -> Option<HumanOptionDefinition> {
        if fields.value("id").is_none() {
            fields.missing("id", self.diagnostics);
        }
        let id = fields.text("id", ID_CHARACTERS_MAX, self.diagnostics).map(str::to_owned);
        let label = fields.text("label", NAME_CHARACTERS_MAX, self.diagnostics).map(str::to_owned);
        let next = destination(fields, "next_step", self.diagnostics);
        let id = id?;
        let label = label.unwrap_or_else(|| id.clone());
        Some(HumanOptionDefinition { id, label, next, place: fields.place.clone() })
    }

    fn parallel(&mut self, fields: &mut Fields<'_>, depth: usize) -> Option<StepKind> {
        let config = Value::Object(Map::new());
        let config = fields.value("parallel_config").unwrap_or(&config);
        let inner = Fields::open(config, fields.place.at("parallel_config"), self.diagnostics);
        let (mut max_concurrency, mut fail_fast) = (None, None);
        if let Some(mut inner) = inner {
            max_concurrency = inner.small("max_concurrency", 1, FAN_OUT_MAX as u32, self.diagnostics);
            fail_fast = inner.word("on_error", &[("fail_fast", true), ("wait_all", false)], self.diagnostics);
            inner.close(self.diagnostics);
        }
        if fields.value("parallel_steps").is_none() {
            fields.missing("parallel_steps", self.diagnostics);
        }
        let (list, place) = fields.list("parallel_steps", self.diagnostics)?;
        let branches = self.branches(list, &place, depth);
        Some(StepKind::Parallel { branches, max_concurrency, fail_fast: fail_fast.unwrap_or(true) })
    }

    fn branches(&mut self, list: &[Value], place: &Place, depth: usize) -> Vec<Vec<StepDefinition>> {
        if list.is_empty() {
            self.diagnostics.error(place, DiagnosticCode::Empty, "a parallel step needs at least one branch");
        }
        if list.len() > FAN_OUT_MAX {
            too_many(self.diagnostics, place, "branches", FAN_OUT_MAX);
        }
        let mut branches = Vec::new();
        for (index, value) in list.iter().take(FAN_OUT_MAX).enumerate() {
            // A branch of one step may stand without its list; the list's own pointer must not show then.
            let place = place.at(index);
            branches.push(match value.as_array() {
                Some(steps) => self.block(steps, &place, depth + 1),
                None if depth >= DEPTH_MAX => self.block(&[], &place, depth + 1),
                None => self.item(value, place, depth + 1).flatten().into_iter().collect(),
            });
        }
        branches
    }

    fn looped(&mut self, fields: &mut Fields<'_>, depth: usize) -> Option<StepKind> {
        let Some(config) = fields.value("loop_config") else {
            fields.missing("loop_config", self.diagnostics);
            return None;
        };
        let mut inner = Fields::open(config, fields.place.at("loop_config"), self.diagnostics)?;
        for name in ["items_path", "steps"] {
            if inner.value(name).is_none() {
                inner.missing(name, self.diagnostics);
            }
        }
        let items = inner.text("items_path", 4_096, self.diagnostics).unwrap_or_default().to_owned();
        let kind = StepKind::Loop {
            items,
            item_variable: self.item_variable(&mut inner),
            max_iterations: inner
                .small("max_iterations", 0, ITERATIONS_MAX, self.diagnostics)
                .unwrap_or(ITERATIONS_DEFAULT),
            max_concurrency: inner.small("max_concurrency", 1, FAN_OUT_MAX as u32, self.diagnostics).unwrap_or(1),
            steps: self.body(&mut inner, depth),
            fail: inner.word("on_error", &[("fail", true), ("continue", false)], self.diagnostics).unwrap_or(true),
        };
        inner.close(self.diagnostics);
        Some(kind)
    }

    /// The steps of a loop. Without any, nothing but `max_iterations` would bound what loops within loops open.
    fn body(&mut self, fields: &mut Fields<'_>, depth: usize) -> Vec<StepDefinition> {
        let Some((list, place)) = fields.list("steps", self.diagnostics) else { return Vec::new() };
        if list.is_empty() {
            self.diagnostics.error(&place, DiagnosticCode::Empty, "a loop needs at least one step");
        }
        self.block(list, &place, depth + 1)
    }

    fn item_variable(&mut self, fields: &mut Fields<'_>) -> Arc<str> {
        let place = fields.place.at("item_variable");
        let name = fields.text("item_variable", NAME_CHARACTERS_MAX, self.diagnostics).unwrap_or("item");
        let name: Arc<str> = name.into();
        if self.is_usable(&name, &place) {
            self.items.push((Arc::clone(&name), place));
        }
        name
    }
}

/// The members that belong to single types of steps.
const KIND_FIELDS: [&str; 13] = [
    "tool",
    "tool_args",
    "args",
    "agent",
    "agent_id",
    "agent_prompt",
    "input",
    "agent_config",
    "condition",
    "human_config",
    "parallel_steps",
    "parallel_config",
    "loop_config",
];
