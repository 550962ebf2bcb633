//! News for executions: to the task that is there, or to one that is loaded from the log for it.

use std::{collections::hash_map::Entry, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use weir_engine::{event::Event, execution::Execution};

use super::{
    Driver, Inner, SignalError, lock,
    observe::Observed,
    pools::TreeError,
    task::{NEWS_QUEUE, News, Task},
};
use crate::store;

/// How often news is delivered again to an execution that left memory just then.
const DELIVERIES_MAX: usize = 16;

impl Driver {
    /// Hands news to an execution's task, which is loaded if it is not in memory, and waits for its reply.
    pub(super) async fn deliver<T>(
        &self,
        id: &str,
        news: impl Fn(oneshot::Sender<T>) -> News,
    ) -> Result<T, SignalError> {
        for _ in 0..DELIVERIES_MAX {
            let (reply, on_reply) = oneshot::channel();
            let sent = match self.inner.task(id) {
                Some(task) => task.send(news(reply)).await.is_ok(),
                None => self.load(id, news(reply)).await?,
            };
            if sent && let Ok(answer) = on_reply.await {
                return Ok(answer);
            }
            // The task left memory, or dropped its state after a failed append: load it again.
            tokio::task::yield_now().await;
        }
        Err(SignalError::Load { execution_id: id.to_owned(), reason: "it left memory again and again".to_owned() })
    }

    /// Loads an execution for the sake of `news`, which is there before its task can find that it has nothing to do and
    /// leaves. Tells whether the news got there.
    async fn load(&self, id: &str, news: News) -> Result<bool, SignalError> {
        let inner = &self.inner;
        if inner.crashes.rests_until(id, store::now()).is_some() {
            return Err(SignalError::Resting { execution_id: id.to_owned() });
        }
        let room = inner.room.clone().acquire_owned().await.map_err(|_| SignalError::Stopping)?;
        if *inner.stopping.borrow() {
            return Err(SignalError::Stopping);
        }
        let (sender, receiver) = mpsc::channel(NEWS_QUEUE);
        // Taken before the log is read: of two that read it at once, the second would go on from a state of before.
        let place = match Place::take(inner, id.into(), &sender) {
            Ok(place) => place,
            Err(other) => return Ok(other.send(news).await.is_ok()),
        };
        let Some((id, execution, observed)) = inner.replay(id).await? else {
            return Err(SignalError::NotFound(id.to_owned()));
        };
        if execution.has_ended() {
            return Err(SignalError::Ended(execution.status()));
        }
        let mut draws = inner.draws(execution.started(), false).await.map_err(|error| match error {
            TreeError::Store(error) => SignalError::Store(error),
            error @ (TreeError::Full { .. } | TreeError::Limits { .. }) => {
                SignalError::Load { execution_id: id.to_string(), reason: error.to_string() }
            }
        })?;
        draws.resume(&execution);
        let mut task = Task::new(inner.clone(), id, (execution, draws), room);
        let sent = sender.try_send(news).is_ok();
        task.resume(observed, place, (sender, receiver));
        tokio::spawn(task.run());
        Ok(sent)
    }
}

/// The place of an execution's task among all, held while its log is read, and by the task as long as it lives. News may
/// already be sent there; if there is no task in the end, its senders notice and try again.
pub(super) struct Place {
    inner: Arc<Inner>,
    id: Arc<str>,
}

impl Place {
    /// Takes the place of execution `id`; where it is taken, gives the way to who has it.
    pub(super) fn take(
        inner: &Arc<Inner>,
        id: Arc<str>,
        sender: &mpsc::Sender<News>,
    ) -> Result<Self, mpsc::Sender<News>> {
        match lock(&inner.tasks).entry(id.clone()) {
            Entry::Occupied(other) => Err(other.get().clone()),
            Entry::Vacant(place) => {
                place.insert(sender.clone());
                Ok(Self { inner: inner.clone(), id })
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.inner.tasks).remove(&self.id);
        if std::thread::panicking() {
            self.inner.on_crash(&self.id);
        }
    }
}

impl Inner {
    /// Memory is of no use any more: the execution goes on from its log, but not at once.
    fn on_crash(&self, id: &Arc<str>) {
        let due = self.crashes.note(id, store::now());
        tracing::error!(execution.id = %id, "the task of execution {id} panicked; it is loaded again later");
        self.timers.set(due, id.clone());
    }

    pub(super) fn task(&self, id: &str) -> Option<mpsc::Sender<News>> {
        lock(&self.tasks).get(id).cloned()
    }

    /// The state that an execution's log leads to, and what is open in it; `None` if there is no log.
    pub(super) async fn replay(&self, id: &str) -> Result<Option<(Arc<str>, Execution, Observed)>, SignalError> {
        let cannot = |reason: String| SignalError::Load { execution_id: id.to_owned(), reason };
        let records = self.store.load(id).await?;
        let Some(Event::ExecutionStarted(started)) = records.first().map(|r| &r.event) else {
            return Ok(None);
        };
        let started = started.clone();
        let graph = self.workflows.graph_for(&self.store, &started).await.map_err(|e| cannot(e.to_string()))?;
        let observed = Observed::of_log(self.config.spans.of(&started), &records);
        let execution = Execution::replay(graph, records).map_err(|e| cannot(e.to_string()))?;
        Ok(Some((started.execution_id.clone(), execution, observed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::DriverConfig,
        runtime::{Runtime, RuntimeConfig},
        store::{Store, StoreOptions},
    };

    async fn driver(folder: &std::path::Path) -> Driver {
        let store = Store::open(StoreOptions::new(folder)).await.unwrap();
        let runtime = RuntimeConfig::new(folder.join("plugins"), folder.join("compiled")).unwrap();
        Driver::new(store, Arc::new(Runtime::new(runtime).unwrap()), DriverConfig::default())
    }

    #[tokio::test]
    async fn a_task_that_panics_gives_up_its_place_and_is_loaded_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(folder.path()).await;
        let (inner, id) = (driver.inner.clone(), Arc::<str>::from("x"));
        let (sender, _receiver) = mpsc::channel(1);
        let place = Place::take(&inner, id.clone(), &sender).ok().unwrap();
        assert!(Place::take(&inner, id.clone(), &sender).is_err(), "the place is taken");
        let task = tokio::spawn(async move {
            let _place = place;
            panic!("this is a test");
        });
        assert!(task.await.unwrap_err().is_panic());
        assert!(inner.task(&id).is_none(), "the place is free");
        let due = inner.crashes.rests_until(&id, store::now()).expect("it rests");
        assert!(inner.timers.is_set(due, &id), "it is woken then");
        let refused = driver.cancel(&id, "tester", None, Vec::new()).await;
        assert!(matches!(refused, Err(SignalError::Resting { .. })), "{refused:?}");
        drop(Place::take(&inner, id.clone(), &sender));
        assert_eq!(inner.crashes.rests_until(&id, due), None, "nothing else is a crash");
    }
}
