//! Starts what schedules say, when they say it. The table of triggers is the only memory of what is due: one look finds
//! it, and one look finds the next instant, however many triggers there are; in between nothing happens.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::{sync::watch, time::sleep};
use weir_engine::id::Timestamp;

use super::{
    FireError, Firing, Inner, Triggers, about,
    config::{CronConfig, TriggerConfig},
    cron::{Missed, Overlap, Plan, Reason, plan},
};
use crate::{
    driver::Companions,
    store::{Moved, NewOccurrence, OccurrenceStatus, StoreError, TriggerRow},
};

/// The most schedules that are looked at in one go.
const BATCH: u32 = 1_000;
/// How many of them start something at a time.
const STARTS_MAX: usize = 64;
/// The longest sleep: a clock that was set is noticed at the latest then.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long the host gets to recover from what kept it from starting something.
const RETRY: Duration = Duration::from_secs(1);

/// Reads the time.
pub(super) type Clock = fn() -> Timestamp;

/// What a look at the schedules found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// When the next schedule is due; it may have come already.
    pub next_at: Option<Timestamp>,
    /// How many could not start what they should, as the host stops or is overloaded: the next look tries them again.
    pub troubled: usize,
}

/// Looks at what is due, and sleeps until the next instant; until the host stops.
pub(super) async fn run(triggers: Weak<Inner>, clock: Clock, mut stopping: watch::Receiver<bool>) {
    loop {
        let Some(inner) = triggers.upgrade() else { return };
        if *stopping.borrow_and_update() {
            return;
        }
        let nudged = Arc::clone(&inner.nudge);
        let pause = pause(Triggers { inner }.look(clock()).await, clock());
        tokio::select! {
            () = sleep(pause) => {}
            () = nudged.notified() => {}
            _ = stopping.changed() => {}
        }
    }
}

fn pause(looked: Result<Looked, StoreError>, now: Timestamp) -> Duration {
    match looked {
        Ok(Looked { troubled: 0, next_at }) => next_at.map_or(SLEEP_MAX, |next_at| until(next_at, now)).min(SLEEP_MAX),
        Ok(Looked { troubled, .. }) => {
            tracing::warn!("{troubled} schedules could not start what is due; they try again in a second");
            RETRY
        }
        Err(error) => {
            tracing::error!(%error, "could not look at the schedules; tries again in a second");
            RETRY
        }
    }
}

/// From `now` until `due`; zero if it has come.
fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}

impl Triggers {
    /// Learns from the store what schedules run and wait for; before anything is started or taken up.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let Inner { store, running, .. } = &*self.inner;
        for unfinished in store.unfinished_of_schedules().await? {
            if let Some(trigger_id) = &unfinished.trigger_id {
                running.began(trigger_id, &unfinished.execution_id);
            }
        }
        store.triggers_with_queue().await?.iter().for_each(|trigger_id| running.wait(trigger_id));
        Ok(())
    }

    /// Starts what is due at `now`, and tells when to look again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn look(&self, now: Timestamp) -> Result<Looked, StoreError> {
        let free = self.inner.running.take_free();
        let mut troubled = in_turn(free, |trigger_id| self.unqueue(trigger_id)).await;
        loop {
            let due = self.inner.store.triggers_due(now, BATCH).await?;
            let more = due.len() == BATCH as usize;
            let failed = in_turn(due, |trigger| self.attend(trigger, now)).await;
            troubled += failed;
            if !more || failed > 0 {
                return Ok(Looked { next_at: self.inner.store.next_due().await?, troubled });
            }
        }
    }

    /// Deals with everything that a schedule has to do at `now`.
    async fn attend(&self, trigger: TriggerRow, now: Timestamp) -> Result<(), FireError> {
        let config = TriggerConfig::stored(trigger.trigger_type, &trigger.config);
        let Ok(TriggerConfig::Cron(cron)) = config else { return self.give_up(&trigger, now).await };
        let cursor = trigger.cursor_at.unwrap_or(now);
        let Plan { due, skipped, .. } = plan(&cron.schedule, cursor, now, cron.catch_up);
        let mut course = Course { trigger: &trigger, cron: &cron, cursor: trigger.cursor_at };
        if due.is_empty() && skipped.is_empty() {
            let rest = Moved { next_at: cron.schedule.after(cursor.max(now)), ..course.moved(cursor) };
            return Ok(self.inner.store.record_occurrences(&[], &[rest]).await?);
        }
        if let Some(last) = skipped.last() {
            let rows: Vec<_> = skipped.iter().map(|missed| missed_row(&trigger, missed)).collect();
            self.inner.store.record_occurrences(&rows, &[course.moved(last.until)]).await?;
            course.cursor = Some(last.until);
        }
        for instant in due {
            self.run_instant(&course, instant).await?;
            course.cursor = Some(instant);
        }
        Ok(())
    }

    /// Starts what one instant is for, unless an execution of before is in its way.
    async fn run_instant(&self, course: &Course<'_>, instant: Timestamp) -> Result<(), FireError> {
        let running = self.running(&course.trigger.id);
        match course.cron.overlap {
            Overlap::Allow => {}
            _ if running.is_empty() => {}
            Overlap::Skip => return self.skip(course, instant).await,
            Overlap::QueueOne => return self.queue(course, instant).await,
            Overlap::CancelRunning => self.cancel(course.trigger, &running).await?,
        }
        settled(self.fire(course.trigger, course.firing(instant)).await)
    }

    async fn skip(&self, course: &Course<'_>, instant: Timestamp) -> Result<(), FireError> {
        let row = course.row(instant, OccurrenceStatus::Skipped);
        Ok(self.inner.store.record_occurrences(&[overlapped(row)], &[course.moved(instant)]).await?)
    }

    /// Queues an instant; of several only the newest waits.
    async fn queue(&self, course: &Course<'_>, instant: Timestamp) -> Result<(), FireError> {
        let Inner { store, running, .. } = &*self.inner;
        let mut rows = Vec::new();
        if let Some(older) = store.queued_occurrence(&course.trigger.id).await? {
            let skipped = NewOccurrence::new(&course.trigger.id, &*older.key, OccurrenceStatus::Skipped);
            rows.push(overlapped(skipped));
        }
        rows.push(course.row(instant, OccurrenceStatus::Queued));
        store.record_occurrences(&rows, &[course.moved(instant)]).await?;
        running.wait(&course.trigger.id);
        self.inner.nudge.notify_one();
        Ok(())
    }

    async fn cancel(&self, trigger: &TriggerRow, running: &[Arc<str>]) -> Result<(), FireError> {
        for execution_id in running {
            let reason = Some("the schedule starts the next one".to_owned());
            let by = format!("trigger:{}", trigger.id);
            if let Err(error) = self.inner.driver.cancel(execution_id, &by, reason, Vec::new()).await {
                // It has ended by itself, or the host stops: the start that follows tells.
                tracing::debug!(execution.id = %execution_id, %error, "could not cancel for the next one");
            }
        }
        Ok(())
    }

    /// Starts what a trigger has queued, now that nothing of it runs.
    async fn unqueue(&self, trigger_id: Arc<str>) -> Result<(), FireError> {
        let result = self.start_queued(&trigger_id).await;
        if result.is_err() {
            self.inner.running.wait(&trigger_id);
        }
        result
    }

    async fn start_queued(&self, trigger_id: &str) -> Result<(), FireError> {
        let store = &self.inner.store;
        let (Some(trigger), Some(queued)) =
            (store.trigger(trigger_id).await?, store.queued_occurrence(trigger_id).await?)
        else {
            return Ok(());
        };
        let config = TriggerConfig::stored(trigger.trigger_type, &trigger.config);
        let Ok(TriggerConfig::Cron(cron)) = config else { return Ok(()) };
        let course = Course { trigger: &trigger, cron: &cron, cursor: None };
        let instant = queued.scheduled_for.unwrap_or(queued.at);
        settled(
            self.fire(&trigger, Firing { key: queued.key.to_string(), moved: None, ..course.firing(instant) }).await,
        )
    }

    /// Settings of another release that this one cannot read: the schedule rests until it is saved again.
    async fn give_up(&self, trigger: &TriggerRow, now: Timestamp) -> Result<(), FireError> {
        let key = rfc3339(trigger.next_at.unwrap_or(now));
        let reason = Some("invalid_config: save the workflow again".to_owned());
        let row = NewOccurrence { reason, ..NewOccurrence::new(&trigger.id, key, OccurrenceStatus::Failed) };
        let before = trigger.cursor_at;
        let rest = Moved { trigger_id: Arc::clone(&trigger.id), before, cursor_at: now, next_at: None };
        Ok(self.inner.store.record_occurrences(&[row], &[rest]).await?)
    }
}

/// A schedule on its way from instant to instant.
struct Course<'t> {
    trigger: &'t TriggerRow,
    cron: &'t CronConfig,
    /// The last instant that was dealt with.
    cursor: Option<Timestamp>,
}

impl Course<'_> {
    /// The step from the cursor to `instant`.
    fn moved(&self, instant: Timestamp) -> Moved {
        Moved {
            trigger_id: Arc::clone(&self.trigger.id),
            before: self.cursor,
            cursor_at: instant,
            next_at: self.cron.schedule.after(instant),
        }
    }

    fn row(&self, instant: Timestamp, status: OccurrenceStatus) -> NewOccurrence {
        let row = NewOccurrence::new(&self.trigger.id, rfc3339(instant), status);
        NewOccurrence { scheduled_for: Some(instant), ..row }
    }

    fn firing(&self, instant: Timestamp) -> Firing {
        let key = rfc3339(instant);
        let shown = json!({ "scheduled_for": key, "occurrence": key });
        Firing {
            trigger: about(self.trigger, shown),
            key,
            scheduled_for: Some(instant),
            input: self.cron.input.clone(),
            moved: Some(self.moved(instant)),
            wait: None,
            companions: Companions::default(),
        }
    }
}

/// Deals with all, some at a time; answers how many have to be tried again.
async fn in_turn<T, F: Future<Output = Result<(), FireError>>>(all: Vec<T>, work: impl Fn(T) -> F) -> usize {
    let done = futures_util::stream::iter(all).map(work).buffer_unordered(STARTS_MAX);
    done.filter(|result| std::future::ready(result.is_err())).count().await
}

/// What was recorded is settled, whatever became of it; the rest is to be tried again.
fn settled(result: Result<super::Fired, FireError>) -> Result<(), FireError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_for_now() => Err(error),
        Err(error) => {
            tracing::info!(%error, "a schedule started nothing");
            Ok(())
        }
    }
}

fn overlapped(row: NewOccurrence) -> NewOccurrence {
    NewOccurrence { reason: Some("overlap".to_owned()), ..row }
}

fn missed_row(trigger: &TriggerRow, missed: &Missed) -> NewOccurrence {
    let reason = match missed.reason {
        Reason::Missed => "missed",
        Reason::CatchUpLimit => "catch_up_limit",
        Reason::Overlap => "overlap",
    };
    NewOccurrence {
        scheduled_for: Some(missed.from),
        until_at: (missed.until != missed.from).then_some(missed.until),
        count: missed.count,
        reason: Some(reason.to_owned()),
        ..NewOccurrence::new(&trigger.id, rfc3339(missed.from), OccurrenceStatus::Skipped)
    }
}

/// An instant as people write it: RFC 3339 in UTC.
fn rfc3339(instant: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(instant.0).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_the_next_instant_and_never_for_long() {
        let looked = |next_at, troubled| Ok(Looked { next_at, troubled });
        let now = Timestamp(1_000_000_000);
        assert_eq!(pause(looked(Some(Timestamp(1_005_000_000)), 0), now), Duration::from_secs(5));
        assert_eq!(pause(looked(Some(Timestamp(i64::MAX)), 0), now), SLEEP_MAX);
        assert_eq!(pause(looked(None, 0), now), SLEEP_MAX);
        assert_eq!(pause(looked(Some(Timestamp(0)), 0), now), Duration::ZERO);
        assert_eq!(pause(looked(Some(Timestamp(0)), 3), now), RETRY);
        assert_eq!(pause(Err(StoreError::Busy), now), RETRY);
    }

    #[test]
    fn instants_are_written_in_utc() {
        assert_eq!(rfc3339(Timestamp(1_767_225_600_000_000)), "2026-01-01T00:00:00Z");
    }
}
