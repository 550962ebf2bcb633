//! News for executions: to the task that is there, or to one that is loaded from the log for it.

use std::{collections::hash_map::Entry, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use weir_engine::{event::Event, execution::Execution};

use super::{
    Driver, Inner, SignalError, lock,
    task::{NEWS_QUEUE, News, Task},
};

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
        let room = inner.room.clone().acquire_owned().await.map_err(|_| SignalError::Stopping)?;
        if *inner.stopping.borrow() {
            return Err(SignalError::Stopping);
        }
        let (sender, receiver) = mpsc::channel(NEWS_QUEUE);
        // Taken before the log is read: of two that read it at once, the second would go on from a state of before.
        let place = match Place::take(inner, id, &sender) {
            Ok(place) => place,
            Err(other) => return Ok(other.send(news).await.is_ok()),
        };
        let Some((id, execution)) = inner.replay(id).await? else {
            return Err(SignalError::NotFound(id.to_owned()));
        };
        if execution.has_ended() {
            return Err(SignalError::Ended(execution.status()));
        }
        let mut task = Task::new(inner.clone(), id, execution, room);
        task.resume(sender.clone(), receiver);
        let sent = sender.try_send(news).is_ok();
        place.keep();
        tokio::spawn(task.run());
        Ok(sent)
    }
}

/// The place of an execution's task among all, held while its log is read. News may already be sent there; if there is
/// no task in the end, its senders notice and try again.
struct Place<'a> {
    inner: &'a Inner,
    id: Option<Arc<str>>,
}

impl<'a> Place<'a> {
    /// Takes the place of execution `id`; where it is taken, gives the way to who has it.
    fn take(inner: &'a Inner, id: &str, sender: &mpsc::Sender<News>) -> Result<Self, mpsc::Sender<News>> {
        match lock(&inner.tasks).entry(id.into()) {
            Entry::Occupied(other) => Err(other.get().clone()),
            Entry::Vacant(place) => {
                let id = place.key().clone();
                place.insert(sender.clone());
                Ok(Self { inner, id: Some(id) })
            }
        }
    }

    /// The task has it now, and gives it up itself.
    fn keep(mut self) {
        self.id = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            lock(&self.inner.tasks).remove(&id);
        }
    }
}

impl Inner {
    fn task(&self, id: &str) -> Option<mpsc::Sender<News>> {
        lock(&self.tasks).get(id).cloned()
    }

    /// The state that an execution's log leads to; `None` if there is no log.
    async fn replay(&self, id: &str) -> Result<Option<(Arc<str>, Execution)>, SignalError> {
        let cannot = |reason: String| SignalError::Load { execution_id: id.to_owned(), reason };
        let records = self.store.load(id).await?;
        let Some(Event::ExecutionStarted(started)) = records.first().map(|r| &r.event) else {
            return Ok(None);
        };
        let started = started.clone();
        let graph = self.workflows.graph_for(&self.store, &started).await.map_err(|e| cannot(e.to_string()))?;
        let execution = Execution::replay(graph, records).map_err(|e| cannot(e.to_string()))?;
        Ok(Some((started.execution_id.clone(), execution)))
    }
}
