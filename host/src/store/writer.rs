//! The one task that writes: takes what is waiting, writes it in one transaction, answers when that is on disk.
//!
//! The time of a commit goes to the disk, and most of the rest to handing statements to the connection's thread; so the
//! appends that came in during one commit share the next, and a batch is one text with bulk statements.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, batch::Prepared, bulk, directory::Lock, error::Cause, queries};
use crate::metrics::Metrics;

/// The most appends in one transaction.
const APPENDS_MAX: usize = 512;
/// A transaction takes no further append when it holds so many bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Something to write.
pub(super) enum Message {
    /// Events.
    Append { prepared: Box<Prepared>, answer: Answer },
    /// Anything else, in a transaction of its own; committed where it answers `true`.
    Job { run: Run, answer: Answer },
    /// The end: answered when the file is closed.
    Close { answer: oneshot::Sender<()> },
}

/// Hears whether a transaction is on disk.
pub(super) type Answer = oneshot::Sender<Result<(), StoreError>>;
/// What a job does with the writer's connection.
pub(super) type Run = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send>;

/// Where the writer tells what it does.
pub(super) struct Counts {
    pub(super) metrics: Metrics,
    /// How many messages it has taken and not begun.
    pub(super) taken: Arc<AtomicUsize>,
}

/// The task's state.
pub(super) struct Writer {
    connection: SqliteConnection,
    receiver: mpsc::Receiver<Message>,
    waiting: VecDeque<Message>,
    lock: Lock,
    counts: Counts,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        receiver: mpsc::Receiver<Message>,
        lock: Lock,
        counts: Counts,
    ) -> Self {
        Self { connection, receiver, waiting: VecDeque::new(), lock, counts }
    }

    /// Writes until the store is closed, or until the last one who could send something is gone.
    pub(super) async fn run(mut self) {
        let mut closed = None;
        while let Some(message) = self.next().await {
            match message {
                Message::Append { prepared, answer } => self.append((prepared, answer)).await,
                Message::Job { run, answer } => {
                    let result = self.job(run).await;
                    drop(answer.send(result));
                }
                Message::Close { answer } => {
                    closed = Some(answer);
                    break;
                }
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = %error, "could not close the database: it is sound, but its log stays");
        }
        drop(self.lock);
        if let Some(answer) = closed {
            // Nobody may be waiting for it any more.
            let _ = answer.send(());
        }
    }

    /// The next message, after everything else that waits in the channel was taken out of it as well.
    async fn next(&mut self) -> Option<Message> {
        if self.waiting.is_empty() {
            self.counts.taken.store(0, Ordering::Relaxed);
            self.waiting.push_back(self.receiver.recv().await?);
        }
        while self.waiting.len() < APPENDS_MAX {
            let Ok(message) = self.receiver.try_recv() else { break };
            self.waiting.push_back(message);
        }
        self.counts.taken.store(self.waiting.len() - 1, Ordering::Relaxed);
        self.waiting.pop_front()
    }

    /// Writes an append together with those that wait behind it.
    async fn append(&mut self, first: (Box<Prepared>, Answer)) {
        let group = self.group(first);
        let all: Vec<&Prepared> = group.iter().map(|(prepared, _)| &**prepared).collect();
        let result = self.write(&all).await;
        if matches!(result, Err(Failed { cause: Cause::Busy, .. })) {
            self.refuse_waiting();
        }
        match result {
            // One of them is at fault; the others must not suffer.
            Err(Failed { cause: Cause::Constraint, .. }) if group.len() > 1 => {
                for (prepared, answer) in group {
                    let result = self.write(&[&prepared]).await.map_err(|failed| failed.error(&prepared.execution_id));
                    drop(answer.send(result));
                }
            }
            result => {
                for (prepared, answer) in group {
                    let result = result.as_ref().map_err(|failed| failed.error(&prepared.execution_id)).copied();
                    drop(answer.send(result));
                }
            }
        }
    }

    /// The first append and the next ones, up to the limits, each of another execution.
    fn group(&mut self, first: (Box<Prepared>, Answer)) -> Vec<(Box<Prepared>, Answer)> {
        let mut ids = HashSet::from([Arc::clone(&first.0.execution_id)]);
        let mut bytes = first.0.bytes;
        let mut group = vec![first];
        while let Some(Message::Append { prepared, .. }) = self.waiting.front() {
            bytes = bytes.saturating_add(prepared.bytes);
            if bytes > BYTES_MAX || !ids.insert(Arc::clone(&prepared.execution_id)) {
                break;
            }
            let Some(Message::Append { prepared, answer }) = self.waiting.pop_front() else { break };
            group.push((prepared, answer));
        }
        group
    }

    async fn write(&mut self, group: &[&Prepared]) -> Result<(), Failed> {
        let begun = Instant::now();
        let result = bulk::write(&mut self.connection, group).await;
        match result {
            Ok(()) => {
                self.counts.metrics.committed(group.len(), begun.elapsed());
                Ok(())
            }
            Err(error) => Err(self.undo(error).await),
        }
    }

    async fn job(&mut self, run: Run) -> Result<(), StoreError> {
        let result = self.run_job(run).await;
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                let failed = self.undo(error).await;
                if failed.cause == Cause::Busy {
                    self.refuse_waiting();
                }
                Err(StoreError::from_cause(failed.cause, "write to the database", failed.source))
            }
        }
    }

    async fn run_job(&mut self, run: Run) -> Result<(), sqlx::Error> {
        sqlx::query(queries::BEGIN).execute(&mut self.connection).await?;
        let end = if run(&mut self.connection).await { queries::COMMIT } else { queries::ROLLBACK };
        sqlx::query(end).execute(&mut self.connection).await.map(drop)
    }

    /// Another process held the lock for as long as a write waits for it. What came in meanwhile has waited for the same
    /// lock, and is refused as well: one after the other would wait again, and clients would wait for the sum.
    fn refuse_waiting(&mut self) {
        for _ in 0..self.receiver.len() {
            self.waiting.extend(self.receiver.try_recv().ok());
        }
        for message in std::mem::take(&mut self.waiting) {
            match message {
                Message::Append { answer, .. } | Message::Job { answer, .. } => {
                    drop(answer.send(Err(StoreError::Busy)));
                }
                Message::Close { answer } => self.waiting.push_back(Message::Close { answer }),
            }
        }
    }

    /// Leaves the transaction that failed. After a failure of the disk nobody knows what the file holds: asking again
    /// may well be answered with success, so the process ends here, and recovers from what is on disk at its next start.
    async fn undo(&mut self, source: sqlx::Error) -> Failed {
        let cause = Cause::of(&source);
        if cause == Cause::Disk {
            tracing::error!(error = %source, "the disk failed while the database was written: the host stops");
            std::process::abort();
        }
        self.counts.metrics.commit_failed();
        // SQLite left the transaction by itself after some failures; there is nothing to undo then.
        drop(sqlx::query(queries::ROLLBACK).execute(&mut self.connection).await);
        Failed { cause, source: Arc::new(source) }
    }
}

/// A transaction that was not committed.
struct Failed {
    cause: Cause,
    source: Arc<sqlx::Error>,
}

impl Failed {
    /// The answer to the append of one execution.
    fn error(&self, execution_id: &Arc<str>) -> StoreError {
        if self.cause == Cause::Constraint {
            return StoreError::Conflict { execution_id: Arc::clone(execution_id) };
        }
        StoreError::from_cause(self.cause, "append events", Arc::clone(&self.source))
    }
}
