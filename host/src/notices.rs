//! Sends the notices that are waiting in the store, tries again what failed, and gives up at last. A notice that cannot
//! be sent holds nothing up but itself; one that was sent just before the host died is sent again, under the same id.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use weir_engine::{approvers::Approvers, id::Timestamp};

use crate::{
    approval_link::{self, Owner, Wanted},
    egress::Egress,
    notify::{self, ChannelConfig, Notice, NoticeApproval, delay_after},
    store::{ApprovalRow, ApprovalStatus, AuditEntry, NoticeKind, NoticeRow, NoticeStatus, Store, StoreError, now},
};

/// Notices that are looked for at a time.
const BATCH: u32 = 64;
/// Notices that are sent at a time.
const SENDING_MAX: usize = 8;
/// The longest sleep while a notice waits for its time: a clock that was set is noticed at the latest then.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long to rest after the store failed: nothing tells when it works again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What sends notices.
pub struct Notices {
    /// Where they wait.
    pub store: Store,
    /// The way out.
    pub egress: Egress,
    /// How people are reached, by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// What links begin with.
    pub public_url: Arc<str>,
}

impl Notices {
    /// Sends until `stop` resolves. Sleeps until something is due.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        loop {
            if let Err(error) = self.round().await {
                tracing::error!(%error, "could not look after notices");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    /// Sends what is due; where nothing is, waits until something may be.
    async fn round(&self) -> Result<(), StoreError> {
        let due = self.store.notices_due(now(), BATCH).await?;
        if !due.is_empty() {
            let sent = stream::iter(due).map(|row| self.deal_with(row)).buffer_unordered(SENDING_MAX);
            return sent.fold(Ok(()), |all, one| async move { all.and(one) }).await;
        }
        match self.store.next_notice().await? {
            None => self.store.notice_written().await,
            Some(next) => tokio::select! {
                () = self.store.notice_written() => {}
                () = tokio::time::sleep(until(next)) => {}
            },
        }
        Ok(())
    }

    async fn deal_with(&self, row: NoticeRow) -> Result<(), StoreError> {
        let approval = self.store.approval(&row.id.execution_id, row.id.call).await?;
        let after = match approval.filter(|approval| approval.status == ApprovalStatus::Pending) {
            None => NoticeRow { status: NoticeStatus::Withdrawn, next_at: None, ..row },
            Some(approval) => self.send(row, &approval).await?,
        };
        if after.status == NoticeStatus::Dead {
            tracing::warn!(notice.id = %after.id, channel = %after.channel, "gave up a notice: {}",
                after.last_error.as_deref().unwrap_or_default());
        }
        self.store.metrics().notice(if after.next_at.is_some() { "retried" } else { after.status.as_str() });
        self.store.update_notice(after).await
    }

    /// Tries once, and answers how the notice stands then.
    async fn send(&self, row: NoticeRow, approval: &ApprovalRow) -> Result<NoticeRow, StoreError> {
        let attempts = row.attempts + 1;
        let Some(channel) = self.channels.get(&*row.channel) else {
            let reason = format!("no channel is called {:?}: set up channels.{} and retry", row.channel, row.channel);
            return Ok(given_up(NoticeRow { attempts, ..row }, &reason));
        };
        let notice = notice(&row, approval, self.link(&row, approval).await?);
        match notify::send(&self.egress, channel, &notice, now()).await {
            Ok(()) => Ok(NoticeRow {
                status: NoticeStatus::Sent,
                attempts,
                next_at: None,
                last_error: None,
                sent_at: Some(now()),
                ..row
            }),
            Err(error) => {
                let delay = delay_after(attempts, error.retry_after, rand::random()).filter(|_| error.is_retryable);
                let row = NoticeRow { attempts, ..row };
                Ok(match delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)) {
                    None => given_up(row, &error.reason),
                    Some(ms) => {
                        NoticeRow { next_at: Some(now().plus_ms(ms)), last_error: Some(error.reason.into()), ..row }
                    }
                })
            }
        }
    }

    /// A link for whoever reads the channel. Where a question is for certain people, or for several, who reads a channel
    /// is not enough to decide it, and there is none.
    async fn link(&self, row: &NoticeRow, approval: &ApprovalRow) -> Result<Option<String>, StoreError> {
        if !is_for_anyone(&approval.approvers) {
            return Ok(None);
        }
        let owner = Owner::Channel(Arc::clone(&row.channel));
        let made_by = format!("channel:{}", row.channel);
        let object = format!("{}.{}", approval.execution_id, approval.call);
        let entry = AuditEntry::done(made_by.as_str(), "approval.link", object);
        let wanted = Wanted { owner, option_id: None, made_by, expires_at: None };
        let made = approval_link::make(&self.store, approval, wanted, entry).await?;
        Ok(made.map(|made| format!("{}{}", self.public_url, approval_link::path(&made.token))))
    }
}

fn is_for_anyone(approvers: &Approvers) -> bool {
    approvers.is_anyone() && approvers.quorum == 1 && approvers.requester_may_decide
}

fn given_up(row: NoticeRow, reason: &str) -> NoticeRow {
    NoticeRow { status: NoticeStatus::Dead, next_at: None, last_error: Some(reason.into()), ..row }
}

fn until(at: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(at.0.saturating_sub(now().0)).unwrap_or(0)).min(SLEEP_MAX)
}

/// What people are told.
fn notice(row: &NoticeRow, approval: &ApprovalRow, link: Option<String>) -> Notice {
    let request = approval.request.value();
    let notification = &request["notification"];
    let as_json = || serde_json::to_string_pretty(notification).unwrap_or_default();
    let question = notification.as_str().map_or_else(as_json, str::to_owned);
    let options = request["options"].as_array().into_iter().flatten();
    let id = format!("{}.{}", approval.execution_id, approval.call);
    let text = match &link {
        Some(_) => question,
        None => format!("{question}\n\nTo decide, sign in; the approval's id is {id}."),
    };
    Notice {
        id: row.id.to_string(),
        kind: match row.kind {
            NoticeKind::Requested => notify::NoticeKind::Requested,
            NoticeKind::Reminder => notify::NoticeKind::Reminded,
        },
        at: row.created_at,
        title: format!("{}, {}", approval.workflow_name, approval.path),
        text,
        link,
        approval: NoticeApproval {
            id,
            workflow: approval.workflow_name.to_string(),
            execution_id: approval.execution_id.to_string(),
            step_id: approval.step_id.to_string(),
            options: options.filter_map(|option| option["label"].as_str().map(str::to_owned)).collect(),
            due: approval.due,
        },
    }
}
