//! Questions to people: what is asked, the answers, and what follows where nobody answers.

use serde_json::{Map, Value, json};

use super::Decide;
use crate::{
    event::{Decision, Event, Report},
    failure::{Failure, FailureCode},
    graph::{Human, Kind, OnTimeout},
    id::{CallId, ScopeId},
    json::Json,
};

impl Decide<'_> {
    /// What people are shown. Everything that a decision hangs on is in it, so that its digest covers it.
    pub(super) fn request(&self, scope: ScopeId, human: &Human) -> Result<Value, Failure> {
        let options = human.options.iter().map(|o| json!({ "id": o.id, "label": o.label })).collect();
        let mut request = Map::new();
        request.insert("notification".into(), self.resolve(scope, &human.notification)?);
        request.insert("options".into(), Value::Array(options));
        request.insert("channels".into(), human.channels.clone().into());
        request.insert("approvers".into(), json!(human.approvers));
        if let Some(schema) = &human.form_schema {
            request.insert("form_schema".into(), schema.clone());
        }
        Ok(Value::Object(request))
    }

    /// An answer: it decides where enough people chose the same, and counts else. One person counts once.
    pub(super) fn on_decided(&mut self, call: CallId, decision: Decision) {
        let graph = self.execution.graph.clone();
        let Some(question) = self.execution.question(call) else { return };
        if !question.offers(decision.option_id.as_deref()) || question.vote_of(&decision.decided_by).is_some() {
            return;
        }
        let decision = Decision { request_digest: Some(question.digest()), ..decision };
        let agreeing = question.votes.iter().filter(|vote| vote.option_id == decision.option_id).count();
        let quorum = question.approvers.quorum;
        if agreeing + 1 < quorum as usize {
            return self.emit(Event::Voted { call, decision });
        }
        let mut output = output(&decision);
        if quorum > 1 {
            output["decisions"] = question.votes.iter().chain([&decision]).map(self::output).collect();
        }
        let chosen = decision.option_id.clone();
        self.emit(Event::Decided { call, decision });
        // Else it was about a tool, and what waits for it goes on by itself.
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        let step = &graph.steps[visit.step];
        let Kind::Human(human) = &step.kind else { return };
        let chosen = human.options.iter().find(|option| Some(&option.id) == chosen.as_ref());
        let next = self.execution.next(chosen.and_then(|option| option.next).unwrap_or(step.next));
        let report = self.report(call, Report::default());
        self.emit(Event::StepCompleted { call, output: Json::from_value(output), next, report });
    }

    /// Others are asked: unless they are too few, or the same as before.
    pub(super) fn on_reassign(&mut self, call: CallId, roles: Vec<String>, users: Vec<String>, reassigned_by: String) {
        let Some(question) = self.execution.question(call) else { return };
        let approvers = question.approvers.reassigned(roles, users);
        if approvers.are_enough() && approvers != *question.approvers {
            self.emit(Event::Reassigned { call, approvers, reassigned_by });
        }
    }

    /// Nobody answered in time: what the author said follows, and never a decision that nobody made.
    pub(super) fn on_timeout(&mut self, call: CallId) {
        let graph = self.execution.graph.clone();
        let Some(visit) = self.execution.state.visits.get(&call) else { return };
        let step = &graph.steps[visit.step];
        let Kind::Human(human) = &step.kind else { return };
        match human.on_timeout {
            OnTimeout::Continue => {
                self.complete(call, Json::from_value(json!({ "timed_out": true })), Report::default());
            }
            OnTimeout::Skip => {
                let next = self.execution.next(step.next);
                self.emit(Event::StepSkipped { call, next });
            }
            OnTimeout::Fail => {
                let failure = Failure::new(FailureCode::ApprovalTimeout, "nobody decided in time");
                self.fail_visit(call, failure, Report::default(), false);
            }
        }
    }
}

/// An answer as the steps that follow see it.
fn output(decision: &Decision) -> Value {
    json!({
        "option_id": decision.option_id,
        "comment": decision.comment,
        "data": decision.data,
        "decided_by": decision.decided_by,
        "decided_at": decision.decided_at,
    })
}
