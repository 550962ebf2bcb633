//! What appends change about questions to people, as rows of the bulk statement. Pure.

use weir_engine::{approvers::person, id::Timestamp};

use super::{
    approvals::ApprovalStatus,
    batch::{Prepared, Rows},
    bulk::Extra,
    notices::{NoticeKind, NoticeRow, NoticeStatus},
    projection::{Approval, Changes},
    queries::WRITE_QUESTIONS,
};
use crate::hex::sha256_hex;

/// Rows of questions, of answers, and of what people are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Questions {
    asked: Rows,
    closed: Rows,
    /// All that are not open any more, those that were asked here as well.
    over: Rows,
    reassigned: Rows,
    decisions: Rows,
    notices: Rows,
    /// The earliest notice that is to be sent.
    pub(super) notice_due: Option<Timestamp>,
}

impl Questions {
    pub(super) fn of(id: &str, changes: &Changes<'_>) -> Result<Self, serde_json::Error> {
        let mut questions = Self::default();
        for approval in &changes.approvals {
            questions.ask(id, approval)?;
            if approval.change.is_some() {
                questions.over.push(&(id, approval.call))?;
            }
        }
        for (call, change) in &changes.approval_changes {
            let decision = change.decision.map(serde_json::to_string).transpose()?;
            questions.closed.push(&(id, call, change.status.as_str(), change.closed_at, decision))?;
            questions.over.push(&(id, call))?;
        }
        for (call, approvers) in &changes.reassigned {
            questions.reassigned.push(&(id, call, serde_json::to_string(approvers)?))?;
        }
        for answered in &changes.decisions {
            let (decision, digest) = (answered.decision, answered.decision.request_digest.as_deref());
            let text = serde_json::to_string(decision)?;
            let (person, decides) = (person(&decision.decided_by), u8::from(answered.decides));
            let row = (id, answered.call, person, decides, digest.unwrap_or_default(), text, answered.at);
            questions.decisions.push(&row)?;
        }
        Ok(questions)
    }

    fn ask(&mut self, id: &str, a: &Approval<'_>) -> Result<(), serde_json::Error> {
        let status = a.change.as_ref().map_or(ApprovalStatus::Pending, |change| change.status).as_str();
        let closed_at = a.change.as_ref().map(|change| change.closed_at);
        let decision = a.change.as_ref().and_then(|change| change.decision).map(serde_json::to_string).transpose()?;
        let digest = sha256_hex(a.request.as_bytes());
        let approvers = serde_json::to_string(&a.approvers)?;
        let times = (a.requested_at, a.due, closed_at);
        let row = (id, a.call, a.step_id, a.path, status, a.request, digest, approvers, times, decision, a.visit);
        self.asked.push(&row)?;
        for (ordinal, channel) in (0_u32..).zip(&a.channels) {
            let is_ui = *channel == NoticeRow::UI;
            let status = if is_ui { NoticeStatus::Sent } else { NoticeStatus::Pending };
            let (next_at, sent_at) = if is_ui { (None, Some(a.requested_at)) } else { (Some(a.requested_at), None) };
            self.notice_due = self.notice_due.or(next_at);
            let kind = NoticeKind::Requested.as_str();
            self.notices.push(&(
                id,
                a.call,
                ordinal,
                channel,
                kind,
                status.as_str(),
                next_at,
                a.requested_at,
                sent_at,
            ))?;
        }
        Ok(())
    }

    /// What all of them change together; `None` where that is nothing.
    pub(super) fn of_all(group: &[&Prepared]) -> Option<Extra> {
        let mut all = Self::default();
        for Prepared { questions, .. } in group {
            all.asked.extend(&questions.asked);
            all.closed.extend(&questions.closed);
            all.over.extend(&questions.over);
            all.reassigned.extend(&questions.reassigned);
            all.decisions.extend(&questions.decisions);
            all.notices.extend(&questions.notices);
        }
        let lists = [&all.asked, &all.closed, &all.over, &all.reassigned, &all.decisions, &all.notices];
        Extra::of(WRITE_QUESTIONS, lists)
    }
}
