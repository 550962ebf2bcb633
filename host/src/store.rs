//! Keeps logs, what follows from them, workflows and plugins in one SQLite file, and plugin components as files beside it.
//!
//! A log is the truth; the rows of executions, steps and approvals follow from it and are written in the same
//! transaction. One task writes, and commits what is waiting as a group; reads have connections of their own.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use weir_engine::{event::Record, execution::Summary, id::Timestamp};

use crate::metrics::Metrics;

mod approvals;
mod audit;
mod batch;
mod budgets;
mod bulk;
mod bus;
mod chunk;
mod columns;
mod companion;
mod connect;
mod deliveries;
mod directory;
mod error;
mod events;
mod executions;
mod folded;
mod grants;
mod interest;
mod journal;
mod kv;
mod links;
mod notices;
mod occurrences;
mod plugins;
mod precedence;
mod projection;
mod queries;
mod questions;
mod secrets;
mod sessions;
mod steps;
mod tokens;
mod transcript;
mod triggers;
mod users;
mod workflows;
mod writer;

use self::{
    batch::Prepared,
    bus::News,
    directory::Directory,
    interest::Interests,
    kv::KvTurns,
    writer::{Counts, Message, Run, Writer},
};

use crate::grants::Grants;

pub use self::{
    approvals::{ApprovalFilter, ApprovalRow, ApprovalStatus, Mine},
    audit::{AuditEntry, AuditFilter, AuditRow, Outcome, Verified},
    budgets::{BudgetRow, Drawn, Known, NewBudget},
    bus::{BACKLOG_MAX, BusEventFilter, BusEventRow, HOST_SOURCE, NewBusEvent, UNDISPATCHED_MAX},
    companion::{Companion, IdempotencyKey},
    deliveries::{DeliveryBody, DeliveryRow, DeliveryVerdict, NewDelivery, REFUSED_KEPT},
    error::StoreError,
    executions::{ExecutionFilter, ExecutionRow, StoredExecution, Unfinished},
    folded::folded,
    grants::{FirstGrant, GrantRow},
    interest::{HostEvent, Interest, bare_agent, is_type},
    journal::{EffectBegun, EffectEnded, EffectKey, EffectKind, JournalEnd, JournalRow},
    kv::{KvPlace, KvTurn, KvUsage, KvWrite},
    links::{LINKS_MAX, LinkHash, LinkRow},
    notices::{NOTICES_MAX, NoticeId, NoticeKind, NoticeRow, NoticeStatus, Reminded},
    occurrences::{Moved, NewOccurrence, OccurrenceRow, OccurrenceStatus, UnfinishedOfSchedule},
    plugins::{Installed, NewPlugin, PluginRow},
    precedence::Precedence,
    secrets::{NewSecret, NewUserSecret, Resealed, SECRETS_MAX, SecretRow, UserSecretRow},
    sessions::{NewSession, SessionRow},
    steps::{StepCursor, StepOutput, StepPage, StepRow, StepStatus},
    tokens::{NewToken, TokenRow},
    transcript::{JournalPage, ModelUsage},
    triggers::{NewTrigger, TriggerFilter, TriggerRow},
    users::{NewUser, UserChange, UserRow},
    workflows::{NewWorkflow, Saved, WorkflowFilter, WorkflowOrder, WorkflowOwner, WorkflowRow, WorkflowVersion},
};

/// The most rows that one page of any list holds.
pub const PAGE_MAX: u32 = 200;
/// The most writes that may wait.
const QUEUE_MAX: usize = 65_536;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where everything lies; made with mode 0700 if it is missing.
    pub data_dir: PathBuf,
    /// Connections for reading, 1 to 4.
    pub readers: u32,
    /// Writes that may wait before callers wait too.
    pub queue: usize,
    /// Where it is counted what is written.
    pub metrics: Metrics,
}

impl StoreOptions {
    /// The defaults for a data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), readers: 4, queue: 4096, metrics: Metrics::default() }
    }
}

/// Events of one execution to append, and how it stands after them.
#[derive(Debug, Clone)]
pub struct Append {
    /// Which execution.
    pub execution_id: Arc<str>,
    /// The events; their numbers go on from what is stored, and the very first is `ExecutionStarted`.
    pub records: Arc<Vec<Record>>,
    /// How the execution stands after the last of them.
    pub summary: Summary,
    /// What is written with it, or not at all.
    pub companions: Vec<Companion>,
}

/// The store of one data directory. Clones share it. The directory is free for another host when the store was closed,
/// or soon after the last clone was dropped.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What the next write does, for the audit log.
    audit: Option<Arc<AuditEntry>>,
}

struct Inner {
    directory: Directory,
    readers: SqlitePool,
    writer: mpsc::Sender<Message>,
    /// Told when there may be a notice to send.
    notices: Notify,
    /// Held while a plugin is installed or deleted, so that its file and its row change together.
    plugin_files: Mutex<()>,
    /// What plugins are granted: changed with `plugin_files` held, after the commit.
    grants: Grants,
    /// Who writes documents of plugins.
    kv_turns: KvTurns,
    /// What triggers wait for of the host's own events.
    interests: Interests,
    /// Tells of events that were stored.
    news: News,
    /// Where it is counted what is written.
    metrics: Metrics,
    /// How many writes the writer has taken and not begun.
    taken: Arc<AtomicUsize>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a data directory, makes it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// The directory cannot be used, another host has it open, SQLite is too old, or a migration failed.
    pub async fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let directory = Directory::prepare(&options.data_dir)?;
        let lock = directory.lock()?;
        let connection = connect::writer(&directory.database()).await?;
        let readers = connect::readers(&directory.database(), options.readers);
        let (writer, receiver) = mpsc::channel(options.queue.clamp(1, QUEUE_MAX));
        let (metrics, taken) = (options.metrics, Arc::<AtomicUsize>::default());
        let counts = Counts { metrics: metrics.clone(), taken: Arc::clone(&taken) };
        tokio::spawn(Writer::new(connection, receiver, lock, counts).run());
        let (plugin_files, grants) = (Mutex::new(()), Grants::default());
        let (notices, interests, news) = (Notify::new(), Interests::default(), News::default());
        let kv_turns = KvTurns::default();
        let inner = Inner {
            directory,
            readers,
            writer,
            notices,
            plugin_files,
            grants,
            kv_turns,
            interests,
            news,
            metrics,
            taken,
        };
        let store = Self { inner: Arc::new(inner), audit: None };
        store.sweep_plugins().await?;
        store.refresh_interest().await?;
        store.load_grants().await?;
        Ok(store)
    }

    /// Appends events and updates what follows from them. Returns once they are on disk; an append without events does
    /// nothing. If the disk fails while it is written, the process ends (see the writer).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the numbers do not go on from what is stored, or a companion is there already; the
    /// disk is full or the file is busy. Nothing of this append is stored then, and the execution is to be loaded again.
    pub async fn append(&self, append: Append) -> Result<(), StoreError> {
        let Some(prepared) = Prepared::new(&append)? else { return Ok(()) };
        let (occurred, events) = (occurrences::counts(&append.companions), append.records.len());
        drop(append);
        let (notifies, has_news) = (prepared.questions.notice_due.is_some(), prepared.companions.has_bus_events());
        let (answer, answered) = oneshot::channel();
        self.send(Message::Append { prepared: Box::new(prepared), answer }).await?;
        answered.await.map_err(|_| StoreError::Closed)??;
        self.inner.metrics.events_stored(events);
        occurred.into_iter().for_each(|(status, count)| self.inner.metrics.occurrences(status.as_str(), count));
        if notifies {
            self.inner.notices.notify_one();
        }
        if has_news {
            self.inner.news.tell();
        }
        Ok(())
    }

    /// Where it is counted what is written, for those who work with this store.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// How many writes wait for the writer.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        let queue = &self.inner.writer;
        queue.max_capacity() - queue.capacity() + self.inner.taken.load(Ordering::Relaxed)
    }

    /// Writes what is waiting and closes the file; whatever is asked later fails with [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.readers.close().await;
        let (answer, answered) = oneshot::channel();
        if self.send(Message::Close { answer }).await.is_ok() {
            // An error means that another call closed it first.
            drop(answered.await);
        }
    }

    /// The same store, whose writes each put `entry` into the audit log, in their own transaction: what is done and its
    /// row are both stored, or neither. (What is appended to executions brings its rows along as companions.)
    #[must_use]
    pub fn audited(&self, entry: AuditEntry) -> Self {
        Self { inner: Arc::clone(&self.inner), audit: Some(Arc::new(entry)) }
    }

    /// Runs `work` on the writer's connection in a transaction of its own; an error undoes it.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (value_sender, value) = oneshot::channel();
        let entry = self.audit.clone();
        let run: Run = Box::new(move |connection| {
            Box::pin(async move {
                let mut result = work(connection).await;
                let done = entry.filter(|_| result.is_ok());
                if let Some(entry) = done
                    && let Err(error) = audit::record(connection, &[entry.as_ref().clone()]).await
                {
                    result = Err(error);
                }
                let good = result.is_ok();
                drop(value_sender.send(result));
                good
            })
        });
        let (answer, answered) = oneshot::channel();
        self.send(Message::Job { run, answer }).await?;
        answered.await.map_err(|_| StoreError::Closed)??;
        value.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` as [`Store::write`] does, and learns anew what triggers wait for, though whoever asks goes meanwhile.
    async fn write_triggers<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let store = self.clone();
        let written = tokio::spawn(async move {
            let value = store.write(work).await?;
            store.refresh_interest().await?;
            // The host may have told of it, and what starts something may have changed.
            store.inner.news.tell();
            Ok(value)
        });
        written.await.map_err(|_| StoreError::Closed)?
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        self.inner.writer.send(message).await.map_err(|_| StoreError::Closed)
    }
}

/// The time of the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
