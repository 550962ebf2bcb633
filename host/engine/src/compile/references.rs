//! Whether references can have a value where they stand.

use std::collections::BTreeSet;

use crate::{
    definition::{
        DiagnosticCode, StepKind,
        diagnostic::{Diagnostics, Place},
    },
    graph::{BlockIx, Graph, Kind, OnTimeout, StepIx},
    reference::{self, Template},
};

use super::{flow::Flow, jumps::Jumps, layout::Layout, similar::Suggestions};

/// What each step can see.
pub(super) struct Scopes<'l, 'd> {
    layout: &'l Layout<'d>,
    flows: Vec<Flow>,
    diagnostics: &'l mut Diagnostics,
    /// The names that loops give to their items.
    item_variables: BTreeSet<&'d str>,
    suggestions: Suggestions,
}

/// Where a reference stands: before a step, or at the end of the workflow's own block.
#[derive(Clone, Copy)]
enum Spot {
    Before(StepIx),
    End,
}

/// Whether a name has a value.
enum Availability {
    Always,
    /// Unless the step was passed over; why.
    Maybe(String),
    /// Never; why.
    Never(String),
    Unknown,
}

impl<'l, 'd> Scopes<'l, 'd> {
    pub(super) fn new(layout: &'l Layout<'d>, jumps: &[Jumps], diagnostics: &'l mut Diagnostics) -> Self {
        let flows = layout.blocks.iter().map(|block| {
            let ways: Vec<_> = block
                .steps
                .iter()
                .map(|step| jumps[*step].ways(layout.steps[*step].definition.kind.as_ref()))
                .collect();
            Flow::new(&ways, |step| layout.steps[step].index)
        });
        let item_variables = layout.steps.iter().filter_map(|step| match &step.definition.kind {
            Some(StepKind::Loop { item_variable, .. }) => Some(&**item_variable),
            _ => None,
        });
        let item_variables = item_variables.collect();
        Self { layout, flows: flows.collect(), diagnostics, item_variables, suggestions: Suggestions::new() }
    }

    /// Warns of steps that nothing leads to.
    pub(super) fn report_unreachable(&mut self) {
        for step in &self.layout.steps {
            if !self.flows[step.block].is_reached(step.index) {
                let message = "nothing leads to this step: it never runs";
                self.diagnostics.warning(&step.definition.place, DiagnosticCode::UnreachableStep, message);
            }
        }
    }

    /// Checks every reference of a step.
    pub(super) fn check_step(&mut self, step: StepIx, kind: &Kind) {
        let definition = self.layout.steps[step].definition;
        let place = &definition.place;
        let spot = Spot::Before(step);
        match (kind, &definition.kind) {
            (Kind::Tool(tool), Some(StepKind::Tool { arguments_field, .. })) => {
                self.check_template(spot, &tool.input, &place.at(arguments_field), "");
            }
            (Kind::Agent(agent), Some(StepKind::Agent { prompt_field, .. })) => {
                self.check_template(spot, &agent.input, &place.at(prompt_field), "/prompt");
            }
            (Kind::Condition { condition, .. }, _) => {
                self.check_places(spot, condition.places(), &place.at("condition"), "")
            }
            (Kind::Human(human), _) => {
                self.check_template(spot, &human.notification, &place.at("human_config").at("notification"), "");
            }
            (Kind::Loop { items, .. }, _) => {
                let items = reference::Place { pointer: String::new(), reference: items, has_default: true };
                self.check_places(spot, vec![items], &place.at("loop_config").at("items_path"), "");
            }
            (Kind::Tool(_) | Kind::Agent(_) | Kind::Parallel { .. }, _) => {}
        }
    }

    /// Checks every reference of the workflow's output.
    pub(super) fn check_output(&mut self, template: &Template, place: &Place) {
        self.check_template(Spot::End, template, place, "");
    }

    /// `wrapper` is the start of pointers that the author did not write.
    fn check_template(&mut self, spot: Spot, template: &Template, place: &Place, wrapper: &str) {
        self.check_places(spot, template.places(), place, wrapper);
    }

    fn check_places(&mut self, spot: Spot, places: Vec<reference::Place<'_>>, at: &Place, wrapper: &str) {
        for place in places {
            let pointer = place.pointer.strip_prefix(wrapper).unwrap_or(&place.pointer);
            for root in place.reference.roots() {
                self.check_root(spot, root, &place, &at.below(pointer));
            }
        }
    }

    fn check_root(&mut self, spot: Spot, root: &str, place: &reference::Place<'_>, at: &Place) {
        let source = place.reference.source();
        match self.availability(spot, root) {
            Availability::Always => {}
            Availability::Maybe(why) => {
                if !place.has_default {
                    let hint = "give a default with {\"$path\": …, \"default\": …}";
                    let message = format!("`{source}` may have no value: {why}; {hint}");
                    self.diagnostics.warning(at, DiagnosticCode::ReferenceMaybeUnavailable, message);
                }
            }
            Availability::Never(why) => {
                let message = format!("`{source}` can have no value here: {why}");
                self.diagnostics.error(at, DiagnosticCode::ReferenceNeverAvailable, message);
            }
            Availability::Unknown => {
                let hint = self.suggestion(root);
                let message = format!("`{source}` refers to {root:?}, which is no step and no other name{hint}");
                self.diagnostics.error(at, DiagnosticCode::UnknownReference, message);
            }
        }
    }

    fn suggestion(&mut self, name: &str) -> String {
        let names = ["input", "workflow", "trigger"].into_iter().chain(self.layout.ids());
        self.suggestions.find(name, names).map(|similar| format!(": did you mean `{similar}`?")).unwrap_or_default()
    }

    fn availability(&self, spot: Spot, name: &str) -> Availability {
        if matches!(name, "input" | "workflow" | "trigger") {
            return Availability::Always;
        }
        match self.layout.by_id.get(name) {
            Some(step) => self.step_availability(spot, *step),
            None => self.item_availability(spot, name),
        }
    }

    /// Of an item variable, `loop_index` or `loop_count`.
    fn item_availability(&self, spot: Spot, name: &str) -> Availability {
        let mut around = match spot {
            Spot::Before(step) => Some(step),
            Spot::End => None,
        };
        while let Some(step) = around {
            around = self.layout.parents[self.layout.steps[step].block];
            if around.is_some_and(|step| self.names_item(step, name)) {
                return Availability::Always;
            }
        }
        if self.item_variables.contains(name) {
            return Availability::Never("only the steps inside the loop can see it".to_owned());
        }
        if matches!(name, "loop_index" | "loop_count") {
            return Availability::Never("only steps inside a loop can see it".to_owned());
        }
        Availability::Unknown
    }

    /// Whether `step` is a loop that gives its body this name.
    fn names_item(&self, step: StepIx, name: &str) -> bool {
        match &self.layout.steps[step].definition.kind {
            Some(StepKind::Loop { item_variable, .. }) => {
                name == &**item_variable || name == "loop_index" || name == "loop_count"
            }
            _ => false,
        }
    }

    /// Climbs from the step out of parallel steps, which show what is in them, to a block that is around the spot.
    fn step_availability(&self, spot: Spot, step: StepIx) -> Availability {
        let mut seen = step;
        let mut passed_over = self.may_be_skipped(step);
        loop {
            let placed = &self.layout.steps[seen];
            let flow = &self.flows[placed.block];
            if let Some(then) = self.place_in(spot, placed.block) {
                return self.relation(step, seen, then, passed_over);
            }
            passed_over |= !flow.always_precedes(placed.index, flow.end());
            let Some(around) = self.layout.parents[placed.block] else {
                return Availability::Never("the step cannot be seen from here".to_owned());
            };
            if let Some(StepKind::Loop { .. }) = &self.layout.steps[around].definition.kind {
                let id = &self.layout.steps[around].definition.id;
                return Availability::Never(format!(
                    "the step runs inside the loop `{id}`: from outside, its outputs are in `$.{id}.results`"
                ));
            }
            seen = around;
        }
    }

    fn may_be_skipped(&self, step: StepIx) -> bool {
        match &self.layout.steps[step].definition.kind {
            Some(StepKind::Human { on_timeout, timeout_ms, .. }) => {
                *on_timeout == OnTimeout::Skip && timeout_ms.is_some()
            }
            _ => false,
        }
    }

    /// Where `spot`, or the step around it, stands in `block`; `None` if it is not inside.
    fn place_in(&self, spot: Spot, block: BlockIx) -> Option<usize> {
        let mut step = match spot {
            Spot::End => return (block == Graph::ROOT).then(|| self.flows[block].end()),
            Spot::Before(step) => step,
        };
        loop {
            let placed = &self.layout.steps[step];
            if placed.block == block {
                return Some(placed.index);
            }
            step = self.layout.parents[placed.block]?;
        }
    }

    /// How the output of `step`, shown by `seen`, stands to the place `then` of the same block.
    fn relation(&self, step: StepIx, seen: StepIx, then: usize, passed_over: bool) -> Availability {
        let placed = &self.layout.steps[seen];
        let flow = &self.flows[placed.block];
        if !flow.is_reached(then) {
            return Availability::Always;
        }
        if !flow.can_precede(placed.index, then) {
            return Availability::Never(match (placed.index == then, step == seen) {
                (true, true) => "it is made by this very step, or by one that is around it".to_owned(),
                (true, false) => {
                    let id = &placed.definition.id;
                    format!("the step is in another branch of `{id}`, which runs beside this one")
                }
                (false, _) if !flow.is_reached(placed.index) => "nothing leads to that step".to_owned(),
                (false, _) => "the step cannot have run before this place".to_owned(),
            });
        }
        if passed_over || !flow.always_precedes(placed.index, then) {
            return Availability::Maybe("there is a way to here on which the step did not run".to_owned());
        }
        Availability::Always
    }
}
