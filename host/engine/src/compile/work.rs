//! What each step does: templates, conditions and items are parsed, names are resolved.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    condition::{Condition, read_reference, read_template},
    definition::{
        AgentTool, DiagnosticCode, HumanOptionDefinition, StepKind, agent_tools,
        diagnostic::{Diagnostics, Place},
    },
    graph::{FAN_OUT_MAX, Human, HumanOption, Invocation, Kind, StepIx, Target},
    limits::Limits,
    reference::Template,
};

use super::{Found, jumps::Jumps, layout::Layout, names::Names};

/// What is needed to compile one step.
pub(super) struct Work<'w, 'd, 'c> {
    pub(super) layout: &'w Layout<'d>,
    pub(super) names: &'w mut Names<'c>,
    pub(super) diagnostics: &'w mut Diagnostics,
}

impl Work<'_, '_, '_> {
    /// What the step does; `None` after an error.
    pub(super) fn kind(mut self, step: StepIx, jumps: &Jumps) -> Option<Kind> {
        let placed = &self.layout.steps[step];
        let place = &placed.definition.place;
        match placed.definition.kind.as_ref()? {
            StepKind::Tool { tool, arguments, arguments_field } => {
                self.tool(tool, arguments, &place.at(arguments_field), place).map(Kind::Tool)
            }
            StepKind::Agent { agent, prompt, prompt_field, config } => {
                self.agent(agent, prompt, config, &place.at(prompt_field), place).map(Kind::Agent)
            }
            StepKind::Condition { condition, .. } => {
                let condition = Condition::read(condition, place.at("condition"), self.diagnostics)?;
                Some(Kind::Condition { condition, then: jumps.then, otherwise: jumps.otherwise })
            }
            human @ StepKind::Human { .. } => self.human(human, jumps, place),
            StepKind::Parallel { branches, max_concurrency, fail_fast } => {
                let all = u32::try_from(branches.len().clamp(1, FAN_OUT_MAX)).unwrap_or(1);
                let max_concurrency = max_concurrency.unwrap_or(all);
                Some(Kind::Parallel { branches: placed.inner.clone(), max_concurrency, fail_fast: *fail_fast })
            }
            StepKind::Loop { items, item_variable, max_iterations, max_concurrency, fail, .. } => {
                let place = place.at("loop_config").at("items_path");
                Some(Kind::Loop {
                    items: read_reference(items, &place, self.diagnostics)?,
                    item_variable: Arc::clone(item_variable),
                    max_iterations: *max_iterations,
                    max_concurrency: *max_concurrency,
                    body: *placed.inner.first()?,
                    fail: *fail,
                })
            }
        }
    }

    fn tool(&mut self, name: &str, arguments: &Value, at: &Place, place: &Place) -> Option<Invocation> {
        let target = self.target(name, false, &place.at("tool"));
        let input = read_template(arguments, at, self.diagnostics);
        let (target, input) = (target?, input?);
        self.check_arguments(&target, &input, at, "");
        Some(Invocation {
            name: name.to_owned(),
            input,
            config: Value::Object(Map::new()),
            tools: [].into(),
            limits: Limits::default(),
        })
    }

    fn agent(
        &mut self,
        name: &str,
        prompt: &Value,
        config: &Map<String, Value>,
        at: &Place,
        place: &Place,
    ) -> Option<Invocation> {
        let target = self.target(name, true, &place.at("agent"));
        let place_of_config = place.at("agent_config");
        let tools = self.listed_tools(config, &place_of_config);
        let limits = agent_tools::limits(config, &place_of_config, self.diagnostics);
        let is_input = prompt.as_object().is_some_and(|prompt| !prompt.contains_key("$path"));
        let wrapper = if is_input { "" } else { "/prompt" };
        read_template(prompt, at, self.diagnostics)?;
        let input = if is_input { prompt.clone() } else { serde_json::json!({ "prompt": prompt }) };
        let (target, input) = (target?, Template::compile(&input).ok()?);
        self.check_arguments(&target, &input, at, wrapper);
        Some(Invocation { name: name.to_owned(), input, config: Value::Object(config.clone()), tools, limits })
    }

    /// Resolves the tools that the step gives its agent, so that the execution is pinned to them, too.
    fn listed_tools(&mut self, config: &Map<String, Value>, place: &Place) -> Arc<[AgentTool]> {
        let tools = agent_tools::read(config, place, self.diagnostics);
        for (index, tool) in tools.iter().enumerate() {
            // A name that no tool has may be an agent's.
            let agent = matches!(self.names.catalog.find(&tool.grant.tool, false), Found::Missing)
                && !matches!(self.names.catalog.find(&tool.grant.tool, true), Found::Missing);
            self.target(&tool.grant.tool, agent, &place.at("tools").at(index));
        }
        tools.into()
    }

    fn target(&mut self, name: &str, agent: bool, place: &Place) -> Option<Target> {
        if name.is_empty() {
            return None;
        }
        self.names.find(name, agent, place, self.diagnostics)
    }

    /// Holds arguments without references against what the plugin asks for. `wrapper` is what was put around them.
    fn check_arguments(&mut self, target: &Target, input: &Template, at: &Place, wrapper: &str) {
        let Some(arguments) = input.literal() else { return };
        for problem in self.names.catalog.check_arguments(target, arguments) {
            let pointer = problem.pointer.strip_prefix(wrapper).unwrap_or(&problem.pointer);
            self.diagnostics.error(&at.below(pointer), DiagnosticCode::InvalidArguments, problem.message);
        }
    }

    fn human(&mut self, kind: &StepKind, jumps: &Jumps, place: &Place) -> Option<Kind> {
        let StepKind::Human { notification, channels, timeout_ms, on_timeout, options, form_schema, approvers } = kind
        else {
            return None;
        };
        let place = place.at("human_config").at("notification");
        let notification = read_template(notification, &place, self.diagnostics)?;
        Some(Kind::Human(Box::new(Human {
            notification,
            channels: channels.clone(),
            timeout_ms: *timeout_ms,
            on_timeout: *on_timeout,
            options: options.iter().zip(&jumps.options).map(|(option, next)| human_option(option, *next)).collect(),
            form_schema: form_schema.clone(),
            approvers: approvers.clone(),
        })))
    }
}

fn human_option(option: &HumanOptionDefinition, next: Option<crate::graph::Jump>) -> HumanOption {
    HumanOption { id: option.id.clone(), label: option.label.clone(), next }
}
