//! What follows from events: changes of the rows of steps and approvals. Pure.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::Value;
use weir_engine::{
    approvers::Approvers,
    event::{Decision, Event, Record, Skipped, Started, Work},
    failure::{Failure, FailureCode},
    id::{CallId, ScopeId, Seq, Timestamp},
    json::Json,
};

use super::{approvals::ApprovalStatus, notices::NoticeRow, steps::StepStatus};

/// Changes that the events of one append lead to.
#[derive(Debug, Default)]
pub(super) struct Changes<'r> {
    /// What the execution is pinned to, if this is its first append.
    pub(super) started: Option<(&'r Arc<Started>, Timestamp)>,
    /// When the execution ended, if it did.
    pub(super) ended_at: Option<Timestamp>,
    /// Steps that began here, as they stand at the end of the append, and steps that were never reached.
    pub(super) steps: Vec<Step>,
    /// What became of steps that began earlier.
    pub(super) step_changes: BTreeMap<CallId, StepChange>,
    /// Questions that were asked here, as they stand at the end of the append.
    pub(super) approvals: Vec<Approval<'r>>,
    /// What became of questions that were asked earlier; where the step was no question, there is no such row.
    pub(super) approval_changes: BTreeMap<CallId, ApprovalChange<'r>>,
    /// Who is asked now about questions that were asked earlier.
    pub(super) reassigned: BTreeMap<CallId, &'r Approvers>,
    /// What people answered.
    pub(super) decisions: Vec<Answered<'r>>,
    /// Where the steps that began here stand in `steps`.
    here: BTreeMap<CallId, usize>,
    /// Where their questions stand in `approvals`.
    asked_here: BTreeMap<CallId, usize>,
}

/// A row of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) call: Seq,
    pub(super) ordinal: u32,
    pub(super) step_id: Arc<str>,
    pub(super) path: Arc<str>,
    pub(super) scope: ScopeId,
    pub(super) kind: Option<&'static str>,
    pub(super) status: StepStatus,
    pub(super) attempt: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) end_seq: Option<Seq>,
}

/// What became of a step that began earlier; `None` leaves the column as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StepChange {
    pub(super) status: Option<StepStatus>,
    pub(super) attempt: Option<u32>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) end_seq: Option<Seq>,
}

/// A row of a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Approval<'r> {
    pub(super) call: CallId,
    /// The visit of the step that waits for the answer.
    pub(super) visit: CallId,
    pub(super) step_id: &'r str,
    pub(super) path: &'r str,
    pub(super) request: &'r str,
    pub(super) approvers: Cow<'r, Approvers>,
    pub(super) channels: Vec<&'r str>,
    pub(super) requested_at: Timestamp,
    pub(super) due: Option<Timestamp>,
    pub(super) change: Option<ApprovalChange<'r>>,
}

/// A row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answered<'r> {
    pub(super) call: CallId,
    pub(super) decision: &'r Decision,
    pub(super) decides: bool,
    pub(super) at: Timestamp,
}

/// How a question stopped being pending.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApprovalChange<'r> {
    pub(super) status: ApprovalStatus,
    pub(super) closed_at: Timestamp,
    pub(super) decision: Option<&'r Decision>,
}

/// What follows from the records of one append.
pub(super) fn project(records: &[Record]) -> Changes<'_> {
    let mut changes = Changes::default();
    for record in records {
        changes.apply(record);
    }
    changes
}

impl<'r> Changes<'r> {
    fn apply(&mut self, record: &'r Record) {
        let at = record.at;
        match &record.event {
            Event::ExecutionStarted(started) => self.started = Some((started, at)),
            Event::StepStarted { .. } => self.begin(record),
            Event::AttemptStarted { call, attempt } | Event::CallInterrupted { call, attempt } => {
                self.change(*call, StepChange { attempt: Some(*attempt), ..StepChange::default() });
            }
            Event::Voted { call, decision } => {
                self.decisions.push(Answered { call: *call, decision, decides: false, at });
            }
            Event::Decided { call, decision } => {
                self.decisions.push(Answered { call: *call, decision, decides: true, at });
                self.close(*call, ApprovalStatus::Decided, at, Some(decision));
            }
            Event::Deferred { call, step, path, request, due, .. } => {
                self.change(*call, StepChange { status: Some(StepStatus::AwaitingHuman), ..StepChange::default() });
                self.ask(record, *call, step, path, request, *due);
            }
            Event::Lapsed { call } => self.close(*call, ApprovalStatus::Lapsed, at, None),
            Event::Withdrawn { call } => self.close(*call, ApprovalStatus::Withdrawn, at, None),
            Event::Reassigned { call, approvers, .. } => self.reassign(*call, approvers),
            Event::ScopeCompleted { scope, skipped } => self.skip(record, *scope, skipped),
            Event::StepCompleted { call, .. } => self.end(*call, record, StepStatus::Completed, ApprovalStatus::Lapsed),
            Event::StepSkipped { call, .. } => self.end(*call, record, StepStatus::Skipped, ApprovalStatus::Lapsed),
            Event::StepFailed { call, failure, .. } => {
                let (step, approval) = statuses_of(failure);
                self.end(*call, record, step, approval);
            }
            Event::StepCancelled { call } => self.end(*call, record, StepStatus::Cancelled, ApprovalStatus::Withdrawn),
            Event::ExecutionCompleted { skipped, .. } => {
                self.skip(record, ScopeId::ROOT, skipped);
                self.ended_at = Some(at);
            }
            Event::ExecutionFailed { .. } | Event::ExecutionTimedOut { .. } | Event::ExecutionCancelled { .. } => {
                self.ended_at = Some(at);
            }
            Event::RetryScheduled { .. }
            | Event::Reserved { .. }
            | Event::Settled { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::ScopeOpened { .. }
            | Event::ScopeFailed { .. }
            | Event::ScopeCancelled { .. } => {}
        }
    }

    fn begin(&mut self, record: &'r Record) {
        let Event::StepStarted { scope, step, kind, path, work, .. } = &record.event else { return };
        let call = CallId(record.seq);
        let mut status = StepStatus::Running;
        if let Work::Human { request, due } = work {
            status = StepStatus::AwaitingHuman;
            self.ask(record, call, step, path, request, *due);
        }
        self.here.insert(call, self.steps.len());
        self.steps.push(Step {
            call: record.seq,
            ordinal: 0,
            step_id: Arc::clone(step),
            path: Arc::clone(path),
            scope: *scope,
            kind: Some(kind.as_str()),
            status,
            attempt: 0,
            started_at: Some(record.at),
            completed_at: None,
            end_seq: None,
        });
    }

    /// A question, named by the event that asks it.
    fn ask(
        &mut self,
        record: &Record,
        visit: CallId,
        step_id: &'r str,
        path: &'r str,
        request: &'r Json,
        due: Option<Timestamp>,
    ) {
        let call = CallId(record.seq);
        self.asked_here.insert(call, self.approvals.len());
        self.approvals.push(Approval {
            call,
            visit,
            step_id,
            path,
            request: request.text(),
            approvers: Cow::Owned(Approvers::of_request(request.value())),
            channels: channels(request.value()),
            requested_at: record.at,
            due,
            change: None,
        });
    }

    fn end(&mut self, call: CallId, record: &Record, status: StepStatus, approval: ApprovalStatus) {
        let (completed_at, end_seq) = (Some(record.at), Some(record.seq));
        self.change(call, StepChange { status: Some(status), attempt: None, completed_at, end_seq });
        if !self.here.contains_key(&call) || self.asked_here.contains_key(&call) {
            self.close(call, approval, record.at, None);
        }
    }

    fn change(&mut self, call: CallId, change: StepChange) {
        if let Some(step) = self.here.get(&call).and_then(|index| self.steps.get_mut(*index)) {
            step.status = change.status.unwrap_or(step.status);
            step.attempt = change.attempt.unwrap_or(step.attempt);
            step.completed_at = change.completed_at.or(step.completed_at);
            step.end_seq = change.end_seq.or(step.end_seq);
            return;
        }
        let known = self.step_changes.entry(call).or_default();
        known.status = change.status.or(known.status);
        known.attempt = change.attempt.or(known.attempt);
        known.completed_at = change.completed_at.or(known.completed_at);
        known.end_seq = change.end_seq.or(known.end_seq);
    }

    /// The first thing that closes a question counts: the step ends after its answer, too.
    fn close(&mut self, call: CallId, status: ApprovalStatus, at: Timestamp, decision: Option<&'r Decision>) {
        let change = ApprovalChange { status, closed_at: at, decision };
        if let Some(approval) = self.asked_here.get(&call).and_then(|index| self.approvals.get_mut(*index)) {
            approval.change.get_or_insert(change);
        } else {
            self.approval_changes.entry(call).or_insert(change);
        }
    }

    fn reassign(&mut self, call: CallId, approvers: &'r Approvers) {
        if let Some(approval) = self.asked_here.get(&call).and_then(|index| self.approvals.get_mut(*index)) {
            approval.approvers = Cow::Borrowed(approvers);
        } else {
            self.reassigned.insert(call, approvers);
        }
    }

    fn skip(&mut self, record: &Record, scope: ScopeId, skipped: &[Skipped]) {
        let rows = (1..).zip(skipped).map(|(ordinal, skipped)| Step {
            call: record.seq,
            ordinal,
            step_id: Arc::clone(&skipped.step),
            path: Arc::clone(&skipped.path),
            scope,
            kind: None,
            status: StepStatus::Skipped,
            attempt: 0,
            started_at: None,
            completed_at: Some(record.at),
            end_seq: None,
        });
        self.steps.extend(rows);
    }
}

/// Where notices of a question go: each channel once, and the inbox where none is named.
fn channels(request: &Value) -> Vec<&str> {
    let mut channels = Vec::new();
    for channel in request["channels"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    if channels.is_empty() { vec![NoticeRow::UI] } else { channels }
}

fn statuses_of(failure: &Failure) -> (StepStatus, ApprovalStatus) {
    let lapsed = failure.code == FailureCode::ApprovalTimeout;
    (StepStatus::of_failure(failure), if lapsed { ApprovalStatus::Lapsed } else { ApprovalStatus::Withdrawn })
}
