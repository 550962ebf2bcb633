//! How a step begins: what it is given, and what it ends with where that is known at once.

use std::{borrow::Cow, sync::Arc};

use serde_json::{Value, json};

use super::{
    super::{Execution, state::ScopeView},
    Decide, guard,
};
use crate::{
    event::{Event, Next, Report, StepType, Work},
    failure::{Failure, FailureCode},
    graph::{Kind, Step, StepIx},
    id::{CallId, ScopeId},
    json::{Json, kind_of},
    reference::{Missing, MissingReason, Reference, Template},
};

impl Decide<'_> {
    pub(super) fn start_step(&mut self, scope: ScopeId, step_ix: StepIx) {
        let graph = self.execution.graph.clone();
        let step = &graph.steps[step_ix];
        let (visit, path) = self.execution.next_visit(scope, step_ix);
        if !self.admit_step(scope, step, &path) {
            return;
        }
        let begun = match step.limits_refuse_call() {
            Some(exceeded) => Err(guard::failure(&exceeded, &step.id, &path)),
            None => self.begin_work(scope, step).map_err(|failure| failure.begun_at(&step.id, &path)),
        };
        let (work, then) = match begun {
            Ok((work, then)) => (work, Ok(then)),
            Err(failure) => (Work::Nothing, Err(failure)),
        };
        self.emit(Event::StepStarted {
            scope,
            step: step.id.clone(),
            kind: step.kind.step_type(),
            visit,
            path,
            deadline: step.limits.timeout_ms.map(|ms| self.now.plus_ms(ms)),
            work,
        });
        let call = CallId(self.execution.state.seq);
        match then {
            Ok(None) => {}
            Ok(Some((output, next))) => {
                let report = self.report(call, Report::default());
                self.emit(Event::StepCompleted { call, output, next, report });
            }
            Err(failure) => self.fail_visit(call, failure, Report::default(), false),
        }
    }

    /// What a step begins with, and what it ends with where that is known at once.
    fn begin_work(&self, scope: ScopeId, step: &Step) -> Result<Begun, Failure> {
        match &step.kind {
            Kind::Tool(invocation) | Kind::Agent(invocation) => {
                let input = self.resolve(scope, &invocation.input)?;
                Ok((Work::Call { input: input.into() }, None))
            }
            Kind::Condition { condition, then, otherwise } => {
                let mut warnings = Vec::new();
                let result = condition.evaluate(&self.view(scope), &mut warnings);
                let jump = if result { *then } else { *otherwise };
                let next = self.execution.next(jump);
                let target = match &next {
                    Next::Step(id) => Value::from(&**id),
                    Next::End => Value::Null,
                };
                let output = json!({ "result": result, "next_step": target });
                Ok((Work::Condition { warnings }, Some((output.into(), next))))
            }
            Kind::Human(human) => {
                let request = self.request(scope, human)?.into();
                let due = human.timeout_ms.map(|ms| self.now.plus_ms(ms));
                Ok((Work::Human { request, due }, None))
            }
            Kind::Parallel { .. } => Ok((Work::Parallel, None)),
            Kind::Loop { items, max_iterations, .. } => {
                Ok((loop_over(items, &self.view(scope), *max_iterations)?, None))
            }
        }
    }

    fn view(&self, scope: ScopeId) -> ScopeView<'_> {
        ScopeView { graph: &self.execution.graph, state: &self.execution.state, scope }
    }

    pub(super) fn resolve(&self, scope: ScopeId, template: &Template) -> Result<Value, Failure> {
        template.resolve(&self.view(scope)).map_err(|missing| not_found(&missing))
    }
}

/// What a step begins with, and its output and next step where it ends at once.
type Begun = (Work, Option<(Json, Next)>);

fn loop_over(reference: &Reference, view: &ScopeView<'_>, most: u32) -> Result<Work, Failure> {
    let found = match reference.select(view) {
        Ok(found) => found,
        Err(Missing { reason: MissingReason::Nothing, .. }) => Cow::Owned(Value::Null),
        Err(too_large) => return Err(not_found(&too_large)),
    };
    let items = match &*found {
        Value::Null => &[],
        Value::Array(items) => items.as_slice(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            let message = format!("{} selects {}, and a loop needs an array", reference.source(), kind_of(other));
            return Err(Failure::new(FailureCode::NotAnArray, message));
        }
    };
    let (run, left) = items.split_at(items.len().min(most as usize));
    // Written at once, so that many items never exist a second time as a tree.
    let text = serde_json::to_string(run).unwrap_or_else(|_| "[]".to_owned());
    Ok(Work::Loop { count: count(run.len()), items: Json::from_own_text(text), omitted: left.len() as u64 })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn not_found(missing: &Missing) -> Failure {
    let (code, help) = match missing.reason {
        MissingReason::Nothing => {
            (FailureCode::ReferenceNotFound, "correct the path, or give a default with {\"$path\": …, \"default\": …}")
        }
        MissingReason::TooLarge => (FailureCode::OutputTooLarge, "select less"),
    };
    Failure::new(code, format!("{missing}: {help}")).with_details(json!({ "reference": missing.reference }))
}

impl Kind {
    pub(super) fn step_type(&self) -> StepType {
        match self {
            Self::Tool(_) => StepType::Tool,
            Self::Agent(_) => StepType::Agent,
            Self::Condition { .. } => StepType::Condition,
            Self::Human(_) => StepType::Human,
            Self::Parallel { .. } => StepType::Parallel,
            Self::Loop { .. } => StepType::Loop,
        }
    }
}

impl Execution {
    /// The number and the path of the visit that would come next.
    fn next_visit(&self, scope: ScopeId, step: StepIx) -> (u32, Arc<str>) {
        let scope = &self.state.scopes[&scope];
        let visit = scope.visited.get(&step).map_or(1, |n| n.saturating_add(1));
        let id = self.graph.id(step);
        let path = match (visit, scope.prefix.is_empty()) {
            (1, true) => id.clone(),
            (1, false) => format!("{}{id}", scope.prefix).into(),
            _ => format!("{}{id}#{visit}", scope.prefix).into(),
        };
        (visit, path)
    }
}
