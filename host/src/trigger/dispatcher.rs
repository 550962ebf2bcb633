//! Brings events to the triggers that wait for them. What is stored and not marked is what is left to do: a host that was
//! killed goes on with it, and the occurrence of each trigger sees to it that nothing starts twice.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::{sync::watch, time::sleep};
use weir_engine::{event::Event, id::Seq, json::Json};

use super::{
    FireError, Firing, Inner, Triggers,
    event::{FAN_OUT_MAX, LINEAGE_MAX, News, Waiter, Waiters},
};
use crate::{
    driver::StartError,
    store::{AuditEntry, BusEventRow, NewOccurrence, OccurrenceStatus, Outcome, StoreError, TriggerRow},
};

/// How many events are dealt with at a time.
const EVENTS_MAX: usize = 16;
/// How long the host gets to recover from what kept it from starting something.
const RETRY: Duration = Duration::from_secs(1);

/// Dispatches whenever something was stored; until the host stops.
pub(super) async fn run(triggers: Weak<Inner>, mut stopping: watch::Receiver<bool>) {
    loop {
        let Some(inner) = triggers.upgrade() else { return };
        if *stopping.borrow_and_update() {
            return;
        }
        let stored = inner.store.bus_news();
        let again = match (Triggers { inner }).dispatch().await {
            Ok(0) => None,
            Ok(troubled) => {
                tracing::warn!(
                    "{troubled} events could not start what waits for them; they are tried again in a second"
                );
                Some(RETRY)
            }
            Err(error) => {
                tracing::error!(%error, "could not dispatch events; tries again in a second");
                Some(RETRY)
            }
        };
        tokio::select! {
            () = stored.notified() => {}
            () = sleep(again.unwrap_or_default()), if again.is_some() => {}
            _ = stopping.changed() => {}
        }
    }
}

impl Triggers {
    /// Starts what waits for the events that are not dispatched yet, in their order, some at a time; answers how many have
    /// to be tried again.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn dispatch(&self) -> Result<usize, StoreError> {
        let (mut after, mut troubled) = (0, 0);
        loop {
            let rows = self.inner.store.undispatched(after).await?;
            let Some(last) = rows.last().filter(|_| !*self.inner.stopping.borrow()) else { return Ok(troubled) };
            after = last.seq;
            let all = rows.len();
            let work = |row: BusEventRow| async move { (row.seq, self.bring(&row).await) };
            let done = futures_util::stream::iter(rows).map(work).buffer_unordered(EVENTS_MAX);
            let done: Vec<Seq> = done.filter_map(|done| std::future::ready(settled(done))).collect().await;
            troubled += all - done.len();
            if !done.is_empty() {
                self.inner.store.mark_dispatched(&done).await?;
            }
        }
    }

    /// Brings one event to everybody who waits for it.
    async fn bring(&self, row: &BusEventRow) -> Result<(), FireError> {
        let news = News::of(row);
        let waiters = self.waiters().await?;
        let mut fired = waiters.of(&news);
        let left_out = fired.split_off(fired.len().min(FAN_OUT_MAX));
        for (waiter, firing) in fired {
            match firing {
                Ok(firing) => self.bring_to(&waiter, &news, firing).await?,
                Err(reason) => self.fail(&waiter.trigger, &news, reason.to_owned()).await?,
            }
        }
        self.leave_out(&left_out, &news).await
    }

    async fn bring_to(&self, waiter: &Waiter, news: &News<'_>, mut firing: Firing) -> Result<(), FireError> {
        let trigger = &waiter.trigger;
        if news.lineage.len() > LINEAGE_MAX {
            let reason = format!("{} executions have started each other, and {LINEAGE_MAX} may", news.lineage.len());
            return Ok(self.refuse(trigger, news, &reason).await?);
        }
        if let Some((execution_id, seq)) = news.omitted_output(trigger) {
            match self.output(&execution_id, seq).await {
                Ok(output) => firing.input = output,
                Err(error @ (StoreError::Busy | StoreError::Closed)) => return Err(error.into()),
                Err(error) => return self.fail(trigger, news, format!("not_started: {error}")).await,
            }
        }
        match self.fire(trigger, firing).await {
            Err(error) if is_for_the_host(&error) => Err(error),
            Err(FireError::Start(StartError::TreeFull { root, max })) => {
                let reason = format!("{max} executions follow from {root}, and no more may");
                Ok(self.refuse(trigger, news, &reason).await?)
            }
            Err(error) if error.is_for_now() => self.fail(trigger, news, format!("not_started: {error}")).await,
            Err(error) => {
                tracing::info!(%error, "an event started nothing");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// An output as the log has it.
    async fn output(&self, execution_id: &str, seq: Seq) -> Result<Json, StoreError> {
        let records = self.inner.store.load_from(execution_id, seq.saturating_sub(1), 1).await?;
        let event = records.into_iter().next().map(|record| record.event);
        if let Some(Event::StepCompleted { output, .. } | Event::ExecutionCompleted { output, .. }) = event {
            return Ok(output);
        }
        let reason = format!("event {seq} holds no output");
        Err(StoreError::Corrupt { what: format!("the log of execution {execution_id}"), reason })
    }

    /// Ends a chain that is too long, or a tree that is too large: recorded and audited.
    async fn refuse(&self, trigger: &TriggerRow, news: &News<'_>, reason: &str) -> Result<(), StoreError> {
        let names: Vec<_> = news.lineage.iter().filter_map(|link| link["workflow"].as_str()).collect();
        let reason = format!("lineage: {reason}: {}", names.join(" → "));
        tracing::warn!(trigger.id = %trigger.id, "a chain of workflows was ended: {reason}");
        let details = json!({ "reason": "lineage", "event": news.key, "lineage": news.lineage });
        let actor = format!("trigger:{}", trigger.id);
        let entry = AuditEntry::done(actor, "execution.start", &*trigger.workflow_id).with(details);
        let audit = AuditEntry { outcome: Outcome::Refused, ..entry };
        self.inner.store.record_refusal(&failed(trigger, news, reason), audit).await
    }

    async fn leave_out(
        &self,
        left_out: &[(Arc<Waiter>, Result<Firing, &'static str>)],
        news: &News<'_>,
    ) -> Result<(), FireError> {
        let reason = || format!("fan_out: more than {FAN_OUT_MAX} triggers wait for this event");
        let rows: Vec<_> = left_out.iter().map(|(waiter, _)| failed(&waiter.trigger, news, reason())).collect();
        if rows.is_empty() {
            return Ok(());
        }
        Ok(self.inner.store.record_occurrences(&rows, &[]).await?)
    }

    async fn fail(&self, trigger: &TriggerRow, news: &News<'_>, reason: String) -> Result<(), FireError> {
        Ok(self.inner.store.record_occurrences(&[failed(trigger, news, reason)], &[]).await?)
    }

    /// Who waits for events at the moment.
    async fn waiters(&self) -> Result<Arc<Waiters>, StoreError> {
        let interest = self.inner.store.interest();
        let known = Arc::clone(&self.inner.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        if known.generation == interest.generation() {
            return Ok(known);
        }
        let waiters = Arc::new(Waiters::read(&self.inner.store, &interest).await?);
        *self.inner.waiters.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&waiters);
        Ok(waiters)
    }
}

/// The event's number, if nothing is left to do for it.
fn settled((seq, done): (Seq, Result<(), FireError>)) -> Option<Seq> {
    done.inspect_err(|error| tracing::debug!(%error, event.seq = seq, "an event waits")).ok().map(|()| seq)
}

/// Whether the trouble is the host's and passes, whatever the event is.
fn is_for_the_host(error: &FireError) -> bool {
    match error {
        FireError::Start(StartError::Overloaded(_) | StartError::Stopping) => true,
        FireError::Start(StartError::Store(error)) => {
            matches!(error, StoreError::Full | StoreError::Busy | StoreError::Closed)
        }
        FireError::Start(
            StartError::Compile(_)
            | StartError::Taken
            | StartError::Lost
            | StartError::TreeFull { .. }
            | StartError::Tree(_),
        )
        | FireError::Taken { .. }
        | FireError::Inactive { .. }
        | FireError::InvalidInput { .. } => false,
    }
}

fn failed(trigger: &TriggerRow, news: &News<'_>, mut reason: String) -> NewOccurrence {
    reason.truncate(reason.floor_char_boundary(super::fire::REASON_BYTES_MAX));
    NewOccurrence { reason: Some(reason), ..NewOccurrence::new(&trigger.id, &*news.key, OccurrenceStatus::Failed) }
}
