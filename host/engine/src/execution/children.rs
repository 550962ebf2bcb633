//! The scopes inside a parallel or loop step: what they made, and what the step does next.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::state::{Visit, VisitWork};
use crate::{
    failure::{Failure, FailureCode},
    graph::{BlockIx, Graph, Kind, StepIx},
    id::ScopeId,
    json::Json,
};

/// The most text that a loop's results or a parallel step's outputs may come to.
const RESULT_BYTES_MAX: usize = 16 << 20;

/// How deep that text may be nested: deeper text could be written, and not be read again.
const RESULT_DEPTH_MAX: usize = 120;

/// The scopes of a parallel or loop step.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Children<R> {
    /// Running.
    pub(super) open: BTreeSet<ScopeId>,
    /// The index of the next to open.
    pub(super) next: u32,
    /// What the ended ones made.
    pub(super) results: R,
    /// The first failure, by branch or iteration.
    pub(super) failure: Option<(u32, Failure)>,
}

/// The results of a loop as text, so that a hundred thousand of them stay small.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LoopResults {
    /// The results of the first `done` iterations, joined by commas.
    text: String,
    done: u32,
    /// Those that ended before an earlier one.
    early: BTreeMap<u32, String>,
    early_bytes: usize,
}

impl LoopResults {
    pub(super) fn push(&mut self, index: u32, text: String) {
        self.early_bytes += text.len();
        self.early.insert(index, text);
        while let Some(text) = self.early.remove(&self.done) {
            self.early_bytes -= text.len();
            if self.done > 0 {
                self.text.push(',');
            }
            self.text.push_str(&text);
            self.done += 1;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.early_bytes
    }

    /// `{"results": […], "count": n}`.
    pub(super) fn output(&self) -> Json {
        Json::from_own_text(format!(r#"{{"results":[{}],"count":{}}}"#, self.text, self.done))
    }
}

impl<R> Children<R> {
    pub(super) fn open(&mut self, id: ScopeId, index: u32) -> Result<(), String> {
        if index != self.next {
            return Err(format!("opens the scope {index} before {}", self.next));
        }
        self.open.insert(id);
        self.next += 1;
        Ok(())
    }

    pub(super) fn fail(&mut self, id: ScopeId, index: u32, failure: &Failure) {
        self.open.remove(&id);
        if self.failure.as_ref().is_none_or(|(first, _)| index < *first) {
            self.failure = Some((index, failure.clone()));
        }
    }

    /// Opens what the window has room for, or waits; `None` when all have ended.
    fn window(&self, total: u32, width: u32) -> Option<Plan> {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        if self.next >= total && open == 0 {
            return None;
        }
        let to = total.min(self.next.saturating_add(width.saturating_sub(open)));
        Some(if to > self.next { Plan::Open { from: self.next, to } } else { Plan::Wait })
    }
}

/// What a parallel or loop step does next.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Opens these branches or iterations.
    Open { from: u32, to: u32 },
    /// Waits for news.
    Wait,
    /// Fails with what a child failed with.
    Fail(Failure),
    /// Is done.
    Complete(Json),
}

impl Visit {
    /// What this visit does next, if it is of a parallel or loop step; else it waits.
    pub(super) fn plan(&self, graph: &Graph) -> Plan {
        if self.retry_due.is_some() {
            return Plan::Wait;
        }
        match (&self.work, &graph.steps[self.step].kind) {
            (VisitWork::Parallel(children), Kind::Parallel { branches, max_concurrency, fail_fast }) => {
                let total = u32::try_from(branches.len()).unwrap_or(u32::MAX);
                let window = children.window(total, *max_concurrency);
                match (&children.failure, window) {
                    (Some((_, failure)), None) => Plan::Fail(failure.clone()),
                    (Some((_, failure)), Some(_)) if *fail_fast => Plan::Fail(failure.clone()),
                    (_, Some(window)) => window,
                    (None, None) => parallel_output(graph, branches, &children.results),
                }
            }
            (VisitWork::Loop { items, children }, Kind::Loop { max_concurrency, fail, .. }) => {
                match (&children.failure, children.window(items.count(), *max_concurrency)) {
                    (Some((_, failure)), _) if *fail => Plan::Fail(failure.clone()),
                    _ if children.results.bytes() > RESULT_BYTES_MAX => Plan::Fail(too_large()),
                    (_, Some(window)) => window,
                    (_, None) => complete(children.results.output()),
                }
            }
            _ => Plan::Wait,
        }
    }

    /// Whether [`Visit::plan`] is more than to wait, told without building an output.
    pub(super) fn is_ready(&self, graph: &Graph) -> bool {
        let (window, fails) = match (&self.work, &graph.steps[self.step].kind) {
            (VisitWork::Parallel(children), Kind::Parallel { branches, max_concurrency, fail_fast }) => {
                let total = u32::try_from(branches.len()).unwrap_or(u32::MAX);
                (children.window(total, *max_concurrency), *fail_fast && children.failure.is_some())
            }
            (VisitWork::Loop { items, children }, Kind::Loop { max_concurrency, fail, .. }) => {
                let fails = (*fail && children.failure.is_some()) || children.results.bytes() > RESULT_BYTES_MAX;
                (children.window(items.count(), *max_concurrency), fails)
            }
            _ => return false,
        };
        self.retry_due.is_none() && (fails || window != Some(Plan::Wait))
    }
}

/// The outputs of the branches' own steps. What a parallel step inside a branch made visible is in that step's output
/// already; to write it beside it too would double the text with every level.
fn parallel_output(graph: &Graph, branches: &[BlockIx], results: &BTreeMap<StepIx, Json>) -> Plan {
    let own = results.iter().filter(|(step, _)| branches.contains(&graph.steps[**step].block));
    let bytes: usize = own.clone().map(|(_, output)| output.text().len()).sum();
    if bytes > RESULT_BYTES_MAX {
        return Plan::Fail(too_large());
    }
    let mut text = String::from("{");
    for (step, output) in own {
        member(&mut text, graph.id(*step), output);
    }
    text.push('}');
    complete(Json::from_own_text(text))
}

fn complete(output: Json) -> Plan {
    if nesting(output.text()) <= RESULT_DEPTH_MAX {
        return Plan::Complete(output);
    }
    let message =
        format!("the results are nested deeper than {RESULT_DEPTH_MAX}; nest fewer steps or return flatter data");
    Plan::Fail(Failure::new(FailureCode::OutputTooLarge, message))
}

/// How deep a document is nested.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn too_large() -> Failure {
    let most = RESULT_BYTES_MAX >> 20;
    let message = format!("the results come to more than {most} MiB; return less from the steps inside");
    Failure::new(FailureCode::OutputTooLarge, message)
}

/// Writes one member of an object; ids need no escapes.
pub(super) fn member(text: &mut String, id: &str, output: &Json) {
    if text.len() > 1 {
        text.push(',');
    }
    #[expect(clippy::expect_used, reason = "writing to a String cannot fail")]
    write!(text, "\"{id}\":{}", output.text()).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_counts_brackets_outside_of_text() {
        assert_eq!(nesting(r#"{"a[[":[1,{"b\\\"[":[]}],"c":"\\"}"#), 4);
        assert_eq!(nesting("1"), 0);
    }

    #[test]
    fn loop_results_keep_the_order_of_the_items() {
        let mut results = LoopResults::default();
        for index in [1, 0, 3, 2] {
            results.push(index, index.to_string());
        }
        assert_eq!(results.output().text(), r#"{"results":[0,1,2,3],"count":4}"#);
    }
}
