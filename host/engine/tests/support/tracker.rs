//! What a log says, read by somebody who does not know the engine's state: which calls are open, and how each visit of
//! a step ended. It panics where a log says something impossible.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir_engine::{
    event::{Event, Record, Work},
    id::{CallId, ScopeId, Timestamp},
    json::Json,
};

use super::plan::{Moment, normal};

/// How a visit of a step ended, in words: path, fate, and its output or the code of its failure.
pub(crate) type Fate = (String, &'static str, Value);

/// A visit that is not over.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) scope: ScopeId,
    pub(crate) path: String,
    pub(crate) attempt: u32,
    pub(crate) failures: u32,
    /// The failed attempts of the steps around.
    pub(crate) epoch: String,
    pub(crate) work: Work,
    /// Who answered, without deciding.
    pub(crate) votes: Vec<String>,
    waits_for_retry: bool,
}

impl Visit {
    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment { path: &self.path, epoch: &self.epoch, failures: self.failures }
    }

    pub(crate) fn input(&self) -> Json {
        match &self.work {
            Work::Call { input } => input.clone(),
            _ => Json::null(),
        }
    }

    /// How many people must agree.
    pub(crate) fn quorum(&self) -> u64 {
        let Work::Human { request, .. } = &self.work else { return 1 };
        request.value()["approvers"]["quorum"].as_u64().unwrap_or(1)
    }

    /// The ids of the options of a question, and when it lapses.
    pub(crate) fn question(&self) -> Option<(Vec<String>, Option<Timestamp>)> {
        let Work::Human { request, due } = &self.work else { return None };
        let options = request.value()["options"].as_array().unwrap();
        Some((options.iter().map(|option| option["id"].as_str().unwrap().to_owned()).collect(), *due))
    }
}

/// A question whether a tool may be called.
#[derive(Debug, Clone)]
pub(crate) struct Deferred {
    pub(crate) of: CallId,
    pub(crate) options: Vec<String>,
    pub(crate) voters: Vec<String>,
}

/// The log so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker {
    pub(crate) open: BTreeMap<CallId, Visit>,
    scopes: BTreeMap<ScopeId, (Option<CallId>, String)>,
    /// The most scopes that were open at once.
    pub(crate) scopes_max: usize,
    parked: BTreeSet<CallId>,
    /// Questions about tools: who waits, what may be chosen, and who answered.
    pub(crate) deferred: BTreeMap<CallId, Deferred>,
    holder: Option<CallId>,
    pub(crate) paused: bool,
    pub(crate) fates: Vec<Fate>,
    pub(crate) end: Option<Event>,
}

impl Tracker {
    pub(crate) fn of(log: &[Record]) -> Self {
        let mut tracker = Self::default();
        log.iter().for_each(|record| tracker.take(record));
        tracker
    }

    /// The calls that must be in flight, with their attempts.
    pub(crate) fn running(&self) -> Vec<(CallId, u32)> {
        let calls = self.open.iter().filter(|(call, visit)| {
            let asks = self.deferred.values().any(|deferred| deferred.of == **call);
            matches!(visit.work, Work::Call { .. }) && !visit.waits_for_retry && !self.parked.contains(call) && !asks
        });
        calls.map(|(call, visit)| (*call, visit.attempt)).collect()
    }

    /// The questions that are open.
    pub(crate) fn questions(&self) -> Vec<CallId> {
        self.open.iter().filter(|(_, visit)| matches!(visit.work, Work::Human { .. })).map(|(call, _)| *call).collect()
    }

    /// Whether an event is about a question whether a tool may be called; then it is taken in here.
    fn takes_question(&mut self, record: &Record) -> bool {
        match &record.event {
            Event::Deferred { call, effect, request, .. } => {
                self.visit(*call);
                assert!(effect.depth() > 0, "the call itself needs no leave");
                let options = request.value()["options"].as_array().unwrap().iter();
                let options = options.map(|option| option["id"].as_str().unwrap().to_owned()).collect();
                self.deferred.insert(CallId(record.seq), Deferred { of: *call, options, voters: Vec::new() });
            }
            Event::Lapsed { call } | Event::Withdrawn { call } => {
                assert!(self.deferred.remove(call).is_some(), "nobody was asked");
            }
            Event::Voted { call, decision } => {
                let Some(deferred) = self.deferred.get_mut(call) else { return false };
                assert!(!deferred.voters.contains(&decision.decided_by), "one person counted twice");
                deferred.voters.push(decision.decided_by.clone());
            }
            Event::Decided { call, .. } => return self.deferred.remove(call).is_some(),
            Event::Reassigned { call, .. } => return self.deferred.contains_key(call),
            _ => return false,
        }
        true
    }

    pub(crate) fn take(&mut self, record: &Record) {
        assert!(self.end.is_none(), "{:?} after the end", record.event);
        if self.takes_question(record) {
            return;
        }
        match &record.event {
            Event::ExecutionStarted(_) => _ = self.scopes.insert(ScopeId::ROOT, (None, String::new())),
            Event::StepStarted { .. } => self.started(record),
            Event::RetryScheduled { call, attempt, .. } => {
                let visit = self.visit(*call);
                assert_eq!(*attempt, visit.attempt + 1, "attempts are numbered without gaps");
                (visit.attempt, visit.failures, visit.waits_for_retry) = (*attempt, visit.failures + 1, true);
            }
            Event::AttemptStarted { call, attempt } => {
                let visit = self.visit(*call);
                assert!(visit.waits_for_retry && visit.attempt == *attempt, "an attempt that was not scheduled");
                visit.waits_for_retry = false;
            }
            Event::CallInterrupted { call, attempt } => {
                let visit = self.visit(*call);
                assert_eq!(*attempt, visit.attempt + 1, "attempts are numbered without gaps");
                visit.attempt = *attempt;
            }
            Event::Reserved { call, .. } | Event::Settled { call, .. } => _ = self.visit(*call),
            Event::Deferred { .. } | Event::Lapsed { .. } | Event::Withdrawn { .. } => unreachable!("taken in above"),
            Event::Voted { call, decision } | Event::Decided { call, decision } => {
                let visit = self.visit(*call);
                assert!(visit.question().is_some(), "an answer to what asks nobody");
                assert!(!visit.votes.contains(&decision.decided_by), "one person counted twice");
                visit.votes.push(decision.decided_by.clone());
            }
            Event::Reassigned { call, .. } => {
                assert!(self.visit(*call).question().is_some(), "reassigned what asks nobody");
            }
            Event::Paused { call, holder, .. } => {
                if !self.paused {
                    self.holder = *holder;
                }
                self.paused = true;
                self.parked.extend(*call);
            }
            Event::Resumed { .. } => self.unpause(),
            Event::ScopeOpened { call, .. } => self.opened(*call, ScopeId(record.seq)),
            Event::ScopeCompleted { scope, skipped } => {
                self.fates.extend(skipped.iter().map(|skipped| (skipped.path.to_string(), "skipped", Value::Null)));
                self.left(*scope);
            }
            Event::ScopeFailed { scope, .. } => self.left(*scope),
            Event::ScopeCancelled { scope } => {
                self.left(*scope);
                self.unpause();
            }
            Event::StepCompleted { call, output, .. } => self.close(*call, "completed", normal(output.value())),
            Event::StepSkipped { call, .. } => self.close(*call, "skipped", Value::Null),
            Event::StepFailed { call, failure, .. } => self.close(*call, "failed", failure.code.as_str().into()),
            Event::StepCancelled { call } => self.close(*call, "cancelled", Value::Null),
            Event::ExecutionCompleted { skipped, .. } => {
                self.fates.extend(skipped.iter().map(|skipped| (skipped.path.to_string(), "skipped", Value::Null)));
                self.ended(&record.event);
            }
            Event::ExecutionFailed { .. } | Event::ExecutionTimedOut { .. } | Event::ExecutionCancelled { .. } => {
                self.ended(&record.event);
            }
        }
    }

    fn started(&mut self, record: &Record) {
        let Event::StepStarted { scope, path, work, .. } = &record.event else { return };
        let (_, epoch) = self.scopes.get(scope).expect("a step starts in an open scope");
        assert!(self.open.values().all(|other| other.scope != *scope), "two steps at once in one scope");
        let visit = Visit {
            scope: *scope,
            path: path.to_string(),
            attempt: 0,
            failures: 0,
            epoch: epoch.clone(),
            work: work.clone(),
            votes: Vec::new(),
            waits_for_retry: false,
        };
        self.open.insert(CallId(record.seq), visit);
    }

    fn opened(&mut self, call: CallId, scope: ScopeId) {
        let visit = self.visit(call);
        let epoch = format!("{}{}/", visit.epoch, visit.failures);
        self.scopes.insert(scope, (Some(call), epoch));
        self.scopes_max = self.scopes_max.max(self.scopes.len());
    }

    fn left(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope).expect("only open scopes close");
        assert!(self.open.values().all(|visit| visit.scope != scope), "a scope closed around an open step");
    }

    fn close(&mut self, call: CallId, fate: &'static str, value: Value) {
        let visit = self.open.remove(&call).expect("each call ends at most once");
        let inside = self.scopes.values().any(|(parent, _)| *parent == Some(call));
        assert!(!inside, "a step ended around open scopes");
        self.fates.push((visit.path, fate, value));
        if self.paused && (self.holder == Some(call) || self.parked.contains(&call)) {
            self.unpause();
        }
    }

    fn unpause(&mut self) {
        (self.paused, self.holder) = (false, None);
        self.parked.clear();
    }

    fn ended(&mut self, event: &Event) {
        assert!(self.open.is_empty(), "ended with open steps");
        assert_eq!(self.scopes.len(), 1, "ended with open scopes");
        self.unpause();
        self.end = Some(event.clone());
    }

    fn visit(&mut self, call: CallId) -> &mut Visit {
        self.open.get_mut(&call).expect("events are about open calls")
    }
}
