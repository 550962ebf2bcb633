//! What an execution is made of. Everything here follows from the log; [`super::evolve`] is the only one to change it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    Status,
    children::{Children, LoopResults, member},
    items::Items,
};
use crate::{
    approvers::Approvers,
    event::{Decision, Started},
    failure::Failure,
    graph::{BlockIx, Graph, StepIx},
    id::{CallId, EffectId, ScopeId, Seq, Timestamp},
    json::Json,
    limits::{Amounts, Exceeded, Ledger, Limits},
    reference::View,
};

/// The whole state.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    /// EffectId of the last event.
    pub(super) seq: Seq,
    /// What the execution is pinned to.
    pub(super) started: Arc<Started>,
    /// `$.workflow`.
    pub(super) workflow: Value,
    /// The limits in force: the started ones, or what a person raised them to.
    pub(super) limits: Limits,
    /// What was spent and promised.
    pub(super) ledger: Ledger,
    /// Running copies of blocks.
    pub(super) scopes: BTreeMap<ScopeId, Scope>,
    /// Steps that were reached and are not over.
    pub(super) visits: BTreeMap<CallId, Visit>,
    /// Scopes that can be moved on without news.
    pub(super) ready_scopes: BTreeSet<ScopeId>,
    /// Parallel and loop steps that can open or close something without news.
    pub(super) ready_visits: BTreeSet<CallId>,
    /// The limit at which everything waits.
    pub(super) pause: Option<Pause>,
    /// Questions whether a tool may be called.
    pub(super) deferred: BTreeMap<CallId, Deferred>,
    /// The step that was reached last.
    pub(super) current_step: Option<Arc<str>>,
    /// How it ended.
    pub(super) end: Option<End>,
}

/// One running copy of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scope {
    /// The parallel or loop step that it belongs to; `None` for the root.
    pub(super) parent: Option<CallId>,
    /// Which branch or iteration.
    pub(super) index: u32,
    /// What runs.
    pub(super) block: BlockIx,
    /// Where it is.
    pub(super) cursor: Cursor,
    /// The latest output of each step; after a join those of the branches too.
    pub(super) outputs: BTreeMap<StepIx, Json>,
    /// How often each step was reached.
    pub(super) visited: BTreeMap<StepIx, u32>,
    /// What the step of this block that completed last made.
    pub(super) last: Option<Json>,
    /// What the paths of its steps begin with: empty, or ending in a dot.
    pub(super) prefix: Arc<str>,
    /// What a loop adds to the scope.
    pub(super) iteration: Option<Iteration>,
}

/// What the body of a loop sees beside the outer scopes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Iteration {
    pub(super) variable: Arc<str>,
    pub(super) item: Json,
    pub(super) index: Value,
    pub(super) count: Value,
}

/// Where a scope is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cursor {
    /// Before this step.
    At(StepIx),
    /// In this visit.
    In(CallId),
    /// After its last step.
    Ended,
    /// A step failed, and nothing in this block caught it.
    Failed(Failure),
}

/// A step that was reached and is not over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Visit {
    pub(super) scope: ScopeId,
    pub(super) step: StepIx,
    pub(super) path: Arc<str>,
    /// The number of the attempt that counts.
    pub(super) attempt: u32,
    /// Attempts that failed.
    pub(super) failures: u32,
    /// Attempts that a stop of the host cut short.
    pub(super) interruptions: u32,
    /// When the step's own time is up.
    pub(super) deadline: Option<Timestamp>,
    /// The step's own limits.
    pub(super) limits: Limits,
    /// Spent and promised by it and all steps inside it.
    pub(super) ledger: Ledger,
    /// Spent and promised by the step itself.
    pub(super) own: Amounts,
    /// What the effects of this attempt were promised and have used.
    pub(super) effects: BTreeMap<EffectId, Effect>,
    /// What people said about the tools that this attempt wanted to call.
    pub(super) verdicts: BTreeMap<EffectId, Verdict>,
    /// How many questions about such tools are open.
    pub(super) asking: u32,
    /// When the next attempt is due, while it waits for one.
    pub(super) retry_due: Option<Timestamp>,
    pub(super) work: VisitWork,
}

/// What a visit is doing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum VisitWork {
    Call {
        input: Json,
        /// Given up until a paused limit is raised.
        parked: bool,
    },
    Condition,
    Human(Asked),
    Parallel(Children<BTreeMap<StepIx, Json>>),
    Loop {
        items: Items,
        children: Children<LoopResults>,
    },
    Nothing,
}

/// An effect of a running call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Effect {
    /// What was promised to it, while it is under way.
    pub(super) promised: Option<Amounts>,
    /// What it has used; also what was promised to it before the host lost sight of it.
    pub(super) used: Amounts,
    /// Whether its end is known.
    pub(super) over: bool,
}

/// What a person said about a tool that a call wanted to call.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Somebody decided.
    Decided(Decision),
    /// Nobody did in time.
    Lapsed,
}

/// A question that is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) request: Json,
    pub(super) due: Option<Timestamp>,
    /// Who is asked instead of those that the request names.
    pub(super) reassigned: Option<Approvers>,
    /// The answers so far, none of which decided.
    pub(super) votes: Vec<Decision>,
}

impl Asked {
    pub(super) fn new(request: &Json, due: Option<Timestamp>) -> Self {
        Self { request: request.clone(), due, reassigned: None, votes: Vec::new() }
    }
}

/// A question whether a running call may call a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deferred {
    /// The visit that waits.
    pub(super) of: CallId,
    /// Which effect of it.
    pub(super) effect: EffectId,
    pub(super) asked: Asked,
}

/// Where everything stopped at a limit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pause {
    pub(super) exceeded: Exceeded,
    /// The visit whose limit it is; `None`: the execution's.
    pub(super) holder: Option<CallId>,
    /// The calls that were given up until it is over.
    pub(super) parked: BTreeSet<CallId>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    pub(super) status: Status,
    pub(super) output: Option<Json>,
    pub(super) failure: Option<Failure>,
}

impl State {
    pub(super) fn new(started: Arc<Started>, at: Timestamp) -> Self {
        let workflow = json!({
            "id": &*started.workflow_id,
            "name": &*started.workflow_name,
            "version": started.workflow_version,
            "execution_id": &*started.execution_id,
            "timestamp": rfc3339(at),
        });
        Self {
            seq: 0,
            workflow,
            limits: started.limits.clone(),
            ledger: Ledger::default(),
            scopes: BTreeMap::new(),
            visits: BTreeMap::new(),
            ready_scopes: BTreeSet::new(),
            ready_visits: BTreeSet::new(),
            pause: None,
            deferred: BTreeMap::new(),
            current_step: None,
            end: None,
            started,
        }
    }

    /// The visits around a scope, innermost first.
    pub(super) fn around(&self, scope: ScopeId) -> impl Iterator<Item = CallId> + '_ {
        let parent = move |scope: ScopeId| self.scopes.get(&scope).and_then(|s| s.parent);
        std::iter::successors(parent(scope), move |call| self.visits.get(call).and_then(|v| parent(v.scope)))
    }

    /// Adds to what the execution and every visit around `scope` has spent.
    pub(super) fn change_ledgers(&mut self, scope: ScopeId, change: impl Fn(&mut Ledger)) {
        change(&mut self.ledger);
        let around: Vec<CallId> = self.around(scope).collect();
        for call in around {
            if let Some(visit) = self.visits.get_mut(&call) {
                change(&mut visit.ledger);
            }
        }
    }
}

impl Scope {
    /// The outputs of this block's own steps as the text of an object, in the order of the block.
    pub(super) fn outputs_text(&self, graph: &Graph) -> String {
        let mut text = String::from("{");
        for step in &graph.blocks[self.block].steps {
            if let Some(output) = self.outputs.get(step) {
                member(&mut text, graph.id(*step), output);
            }
        }
        text.push('}');
        text
    }
}

/// What the steps of one scope see.
pub(super) struct ScopeView<'a> {
    pub(super) graph: &'a Graph,
    pub(super) state: &'a State,
    pub(super) scope: ScopeId,
}

impl ScopeView<'_> {
    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        let state = self.state;
        std::iter::successors(state.scopes.get(&self.scope), move |scope| {
            let parent = state.visits.get(&scope.parent?)?;
            state.scopes.get(&parent.scope)
        })
    }

    fn find(&self, name: &str) -> Option<Seen<'_>> {
        match name {
            "input" => return Some(Seen::Document(&self.state.started.input)),
            "workflow" => return Some(Seen::Value(&self.state.workflow)),
            "trigger" => return Some(Seen::Document(&self.state.started.trigger)),
            _ => {}
        }
        let step = self.graph.by_id.get(name);
        self.scopes().find_map(|scope| {
            let found = scope.iteration.as_ref().and_then(|iteration| iteration.get(name));
            found.or_else(|| scope.outputs.get(step?).map(Seen::Document))
        })
    }
}

/// What stands under a root name.
enum Seen<'a> {
    Document(&'a Json),
    Value(&'a Value),
}

impl View for ScopeView<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        Some(match self.find(name)? {
            Seen::Document(document) => document.value(),
            Seen::Value(value) => value,
        })
    }

    fn member(&self, root: &str, name: &str) -> Option<&Value> {
        match self.find(root)? {
            Seen::Document(document) => document.member(name),
            Seen::Value(value) => value.get(name),
        }
    }

    fn names(&self) -> Vec<&str> {
        let mut names = vec!["input", "workflow", "trigger"];
        for scope in self.scopes() {
            if let Some(iteration) = &scope.iteration {
                names.extend([&*iteration.variable, "loop_index", "loop_count"]);
            }
            names.extend(scope.outputs.keys().map(|step| &**self.graph.id(*step)));
        }
        names
    }
}

impl Iteration {
    fn get(&self, name: &str) -> Option<Seen<'_>> {
        match name {
            "loop_index" => Some(Seen::Value(&self.index)),
            "loop_count" => Some(Seen::Value(&self.count)),
            _ if name == &*self.variable => Some(Seen::Document(&self.item)),
            _ => None,
        }
    }
}

/// RFC 3339 in UTC with microseconds. Days to civil date after H. Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.
fn rfc3339(at: Timestamp) -> String {
    let (seconds, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_795_364_096_123_456, "2026-11-22T16:14:56.123456Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ];
        for (micros, text) in cases {
            assert_eq!(rfc3339(Timestamp(micros)), text);
        }
    }
}
