//! Where scopes go after each step.

use crate::{
    definition::{
        Destination, DiagnosticCode, OnErrorDefinition, StepKind,
        diagnostic::{Diagnostics, Place},
    },
    graph::{Jump, OnError, StepIx},
};

use super::{layout::Layout, similar::Suggestions};

/// All the ways that lead on from one step.
#[derive(Debug, Clone)]
pub(super) struct Jumps {
    /// The step's own next.
    pub(super) next: Jump,
    pub(super) on_error: OnError,
    /// Of a condition.
    pub(super) then: Jump,
    /// Of a condition.
    pub(super) otherwise: Jump,
    /// Of a human step, one for each option.
    pub(super) options: Vec<Option<Jump>>,
}

/// Resolves all jumps. One that leads nowhere is reported, and treated as if it were not given.
pub(super) fn resolve(layout: &Layout<'_>, diagnostics: &mut Diagnostics) -> Vec<Jumps> {
    let mut suggestions = Suggestions::new();
    let resolver = |from| Resolver { layout, from, diagnostics, suggestions: &mut suggestions }.jumps();
    (0..layout.steps.len()).map(resolver).collect()
}

struct Resolver<'l, 'd> {
    layout: &'l Layout<'d>,
    from: StepIx,
    diagnostics: &'l mut Diagnostics,
    suggestions: &'l mut Suggestions,
}

impl Resolver<'_, '_> {
    fn jumps(&mut self) -> Jumps {
        let definition = self.layout.steps[self.from].definition;
        let place = &definition.place;
        let following = self.layout.steps[self.from].following.map_or(Jump::End, Jump::To);
        let next = self.jump(&definition.next, &place.at("next_step")).unwrap_or(following);
        let on_error = match &definition.on_error {
            OnErrorDefinition::Fail => OnError::Fail,
            OnErrorDefinition::Continue => OnError::Continue,
            OnErrorDefinition::Goto(destination) => {
                OnError::Goto(self.jump(destination, &place.at("on_error").at("goto")).unwrap_or(next))
            }
        };
        let mut jumps = Jumps { next, on_error, then: next, otherwise: next, options: Vec::new() };
        match &definition.kind {
            Some(StepKind::Condition { then, otherwise, .. }) => {
                let place = place.at("condition");
                jumps.then = self.jump(then, &place.at("then_step")).unwrap_or(next);
                jumps.otherwise = self.jump(otherwise, &place.at("else_step")).unwrap_or(next);
            }
            Some(StepKind::Human { options, .. }) => {
                let options = options.iter();
                jumps.options = options.map(|option| self.jump(&option.next, &option.place.at("next_step"))).collect();
            }
            Some(
                StepKind::Tool { .. } | StepKind::Agent { .. } | StepKind::Parallel { .. } | StepKind::Loop { .. },
            )
            | None => {}
        }
        jumps
    }

    fn jump(&mut self, destination: &Destination, place: &Place) -> Option<Jump> {
        match destination {
            Destination::Following => None,
            Destination::End => Some(Jump::End),
            Destination::Step(id) => self.step(id, place).map(Jump::To),
        }
    }

    fn step(&mut self, id: &str, place: &Place) -> Option<StepIx> {
        let Some(step) = self.layout.by_id.get(id).copied() else {
            let hint = match self.suggestions.find(id, self.layout.ids()) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => "`\"$end\"` leaves the block".to_owned(),
            };
            self.diagnostics.error(place, DiagnosticCode::UnknownStep, format!("no step has the id {id:?}: {hint}"));
            return None;
        };
        if self.layout.steps[step].block != self.layout.steps[self.from].block {
            let message = format!(
                "step `{id}` stands in another list of steps: a step can only lead to steps beside it, or to `\"$end\"`"
            );
            self.diagnostics.error(place, DiagnosticCode::StepInOtherBlock, message);
            return None;
        }
        Some(step)
    }
}

impl Jumps {
    /// Every way on that can happen.
    pub(super) fn ways(&self, kind: Option<&StepKind>) -> Vec<Jump> {
        let mut ways = match kind {
            Some(StepKind::Condition { .. }) => vec![self.then, self.otherwise],
            Some(StepKind::Human { on_timeout, timeout_ms, .. }) => self.human(*on_timeout, timeout_ms.is_some()),
            Some(
                StepKind::Tool { .. } | StepKind::Agent { .. } | StepKind::Parallel { .. } | StepKind::Loop { .. },
            )
            | None => vec![self.next],
        };
        match self.on_error {
            OnError::Fail => {}
            OnError::Continue => ways.push(self.next),
            OnError::Goto(jump) => ways.push(jump),
        }
        ways
    }

    fn human(&self, on_timeout: crate::graph::OnTimeout, lapses: bool) -> Vec<Jump> {
        let goes_on_by_itself = lapses && on_timeout != crate::graph::OnTimeout::Fail;
        let mut ways: Vec<Jump> = self.options.iter().map(|option| option.unwrap_or(self.next)).collect();
        if goes_on_by_itself || ways.is_empty() {
            ways.push(self.next);
        }
        ways
    }
}
