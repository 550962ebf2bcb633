//! What the events of branches and iterations do to the state.

use serde_json::Value;

use super::{
    super::state::{Cursor, Iteration, Scope, State, Visit, VisitWork},
    Applied, error_output, first, no_call, no_scope,
};
use crate::{
    failure::Failure,
    graph::{Graph, Kind},
    id::{CallId, ScopeId},
};

impl State {
    pub(super) fn scope_opened(&mut self, graph: &Graph, call: CallId, index: u32, id: ScopeId) -> Applied {
        let visit = self.visits.get_mut(&call).ok_or_else(|| no_call(call))?;
        let (block, iteration, prefix) = match (&mut visit.work, &graph.steps[visit.step].kind) {
            (VisitWork::Parallel(children), Kind::Parallel { branches, .. }) => {
                children.open(id, index)?;
                let block = *branches.get(index as usize).ok_or("opens a branch that is not there")?;
                (block, None, format!("{}.", visit.path))
            }
            (VisitWork::Loop { items, children }, Kind::Loop { body, item_variable, .. }) => {
                children.open(id, index)?;
                let iteration = Iteration {
                    variable: item_variable.clone(),
                    item: items.get(index).ok_or("opens an iteration that has no item")?,
                    index: Value::from(index),
                    count: Value::from(items.count()),
                };
                (*body, Some(iteration), format!("{}[{index}].", visit.path))
            }
            _ => return Err("opens a scope in a step without scopes".to_owned()),
        };
        let scope = Scope {
            parent: Some(call),
            index,
            block,
            cursor: first(graph, block),
            outputs: [].into(),
            visited: [].into(),
            last: None,
            prefix: prefix.into(),
            iteration,
        };
        self.scopes.insert(id, scope);
        self.ready_scopes.insert(id);
        self.note_ready(graph, call);
        Ok(())
    }

    pub(super) fn scope_completed(&mut self, graph: &Graph, id: ScopeId) -> Applied {
        let (scope, call, visit) = self.leave(id)?;
        match &mut visit.work {
            VisitWork::Parallel(children) => {
                children.open.remove(&id);
                children.results.extend(scope.outputs);
            }
            VisitWork::Loop { children, .. } => {
                children.open.remove(&id);
                children.results.push(scope.index, scope.outputs_text(graph));
            }
            VisitWork::Call { .. } | VisitWork::Condition | VisitWork::Human(_) | VisitWork::Nothing => {}
        }
        self.note_ready(graph, call);
        Ok(())
    }

    pub(super) fn scope_failed(&mut self, graph: &Graph, id: ScopeId, failure: &Failure) -> Applied {
        let (scope, call, visit) = self.leave(id)?;
        match &mut visit.work {
            VisitWork::Parallel(children) => children.fail(id, scope.index, failure),
            VisitWork::Loop { children, .. } => {
                children.fail(id, scope.index, failure);
                children.results.push(scope.index, error_output(failure).to_string());
            }
            VisitWork::Call { .. } | VisitWork::Condition | VisitWork::Human(_) | VisitWork::Nothing => {}
        }
        self.note_ready(graph, call);
        Ok(())
    }

    pub(super) fn scope_cancelled(&mut self, graph: &Graph, id: ScopeId) -> Applied {
        let (_, call, visit) = self.leave(id)?;
        match &mut visit.work {
            VisitWork::Parallel(children) => _ = children.open.remove(&id),
            VisitWork::Loop { children, .. } => _ = children.open.remove(&id),
            VisitWork::Call { .. } | VisitWork::Condition | VisitWork::Human(_) | VisitWork::Nothing => {}
        }
        self.note_ready(graph, call);
        // What met the limit may have been in there.
        self.end_pause()
    }

    /// Takes a scope away from its parent.
    fn leave(&mut self, id: ScopeId) -> Result<(Scope, CallId, &mut Visit), String> {
        let scope = self.scopes.remove(&id).ok_or_else(|| no_scope(id))?;
        if matches!(scope.cursor, Cursor::In(call) if self.visits.contains_key(&call)) {
            return Err(format!("closes the scope {id} around an open step"));
        }
        self.ready_scopes.remove(&id);
        let call = scope.parent.ok_or("closes the root scope")?;
        let visit = self.visits.get_mut(&call).ok_or_else(|| no_call(call))?;
        Ok((scope, call, visit))
    }
}
