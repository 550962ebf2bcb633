//! Runs executions: feeds the engine with news, appends its events, and keeps in flight what it asks for.
//!
//! Each execution that has something to run is one task (`task`); those that only wait leave memory and are loaded
//! again by news or by their time. Loading is the path of recovery too: there is no other.

mod answer;
mod catalog;
mod flight;
mod perform;
mod task;
mod timers;
mod workflows;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use uuid::Uuid;
use weir_engine::{
    event::{Record, Started},
    execution::{Execution, Status},
    id::{CallId, Seq, Timestamp},
    json::Json,
    limits::Limits,
};

pub use self::{
    answer::{Answer, Answered, DecideError, RAISE, STOP},
    catalog::HostCatalog,
    workflows::{Checked, CompileError, Compiled, check},
};
use self::{
    task::{News, Task},
    timers::Timers,
    workflows::Workflows,
};
use crate::{
    runtime::Runtime,
    store::{self, Append, ExecutionRow, StepOutput, Store, StoreError, StoredExecution, WorkflowVersion},
};

/// Events that a slow listener may be behind before it has to read the log instead.
const LIVE_QUEUE: usize = 256;
/// News that may wait for one execution.
const NEWS_QUEUE: usize = 256;
/// How often news is delivered again to an execution that left memory just then.
const DELIVERIES_MAX: usize = 16;

/// What the host lets any execution have, whatever its author and its caller say.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// Executions in memory at a time; more wait for their turn to start.
    pub executions_max: usize,
    /// How long a start may wait for its turn.
    pub start_wait: Duration,
    /// Ceilings for the guardrails of every execution.
    pub ceilings: Limits,
    /// Wall time of one plugin call where the step names none.
    pub call_timeout: Duration,
    /// Wall time of one plugin call, whatever the step says.
    pub call_timeout_max: Duration,
    /// How long calls that run may go on when the host stops.
    pub stop_grace: Duration,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            executions_max: 4096,
            start_wait: Duration::from_secs(10),
            ceilings: Limits {
                max_steps: Some(2_000_000),
                timeout_ms: Some(366 * 24 * 3_600_000),
                ..Limits::default()
            },
            call_timeout: Duration::from_secs(30),
            call_timeout_max: Duration::from_secs(600),
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// Runs every execution of one store. Clones share it.
#[derive(Clone)]
pub struct Driver {
    inner: Arc<Inner>,
}

/// Where the committed events of one execution go.
type Listeners = broadcast::Sender<Arc<Vec<Record>>>;

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) config: DriverConfig,
    workflows: Workflows,
    tasks: Mutex<HashMap<Arc<str>, mpsc::Sender<News>>>,
    listeners: Mutex<HashMap<Arc<str>, Listeners>>,
    listening: AtomicUsize,
    timers: Timers,
    room: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct StartExecution {
    /// The version to run.
    pub workflow: Arc<WorkflowVersion>,
    /// What it is given; it satisfies the workflow's input schema.
    pub input: Json,
    /// What the caller allows; it can only be tighter than the workflow's own.
    pub limits: Limits,
    /// What started it: an object with at least `type`.
    pub trigger: Json,
    /// How long to wait for the end before answering.
    pub wait: Option<Duration>,
}

/// A started execution.
#[derive(Debug)]
pub struct StartAnswer {
    /// Its id.
    pub execution_id: Arc<str>,
    /// How it ended, where that was waited for and came in time.
    pub finished: Option<Box<Finished>>,
}

/// An execution that ended, with everything that is asked of it first.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The execution.
    pub execution: StoredExecution,
    /// The outputs of its root steps.
    pub step_outputs: Vec<StepOutput>,
}

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Too many run.
    #[error("could not start the execution: {0} executions run already, try again later")]
    Overloaded(usize),
    /// The host stops.
    #[error("could not start the execution: the host is stopping")]
    Stopping,
    /// The version does not compile with today's plugins.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why news could not be given to an execution.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// There is no such execution.
    #[error("could not find execution {0:?}")]
    NotFound(String),
    /// It has ended.
    #[error("the execution has ended already: it is {}", .0.as_str())]
    Ended(Status),
    /// The host stops.
    #[error("could not reach the execution: the host is stopping")]
    Stopping,
    /// It cannot be loaded.
    #[error("could not load execution {execution_id}: {reason}")]
    Load {
        /// The execution.
        execution_id: String,
        /// Why.
        reason: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Driver {
    /// Makes a driver; [`Driver::recover`] takes up what was running.
    #[must_use]
    pub fn new(store: Store, runtime: Arc<Runtime>, config: DriverConfig) -> Self {
        let inner = Inner {
            store,
            runtime,
            workflows: Workflows::default(),
            tasks: Mutex::default(),
            listeners: Mutex::default(),
            listening: AtomicUsize::new(0),
            timers: Timers::default(),
            room: Arc::new(Semaphore::new(config.executions_max)),
            stopping: watch::Sender::new(false),
            config,
        };
        let driver = Self { inner: Arc::new(inner) };
        tokio::spawn(timers::run(Arc::downgrade(&driver.inner)));
        driver
    }

    /// Starts an execution. Answers once its start is on disk, or once it has ended where that is waited for.
    ///
    /// # Errors
    /// Too much runs, the host stops, or the store refuses; nothing was started then.
    pub async fn start(&self, start: StartExecution) -> Result<StartAnswer, StartError> {
        let inner = &self.inner;
        if *inner.stopping.borrow() {
            return Err(StartError::Stopping);
        }
        let room = tokio::time::timeout(inner.config.start_wait, inner.room.clone().acquire_owned());
        let Ok(Ok(room)) = room.await else {
            return Err(StartError::Overloaded(inner.config.executions_max));
        };
        let compiled = inner.workflows.compiled(&inner.store, &start.workflow).await?;
        let now = store::now();
        let execution_id: Arc<str> = Uuid::now_v7().to_string().into();
        let started = inner.started(&execution_id, &start, &compiled, now);
        let (execution, records) = Execution::start(compiled.graph.clone(), started, now);
        let (stored, on_stored) = oneshot::channel();
        let (ended, on_ended) = start.wait.map(|_| oneshot::channel()).unzip();
        let mut task = Task::new(inner.clone(), execution_id.clone(), execution, room);
        task.begin(records, stored, ended);
        tokio::spawn(task.run());
        if let (Some(wait), Some(on_ended)) = (start.wait, on_ended)
            && let Ok(Ok(finished)) = tokio::time::timeout(wait, on_ended).await
        {
            return Ok(StartAnswer { execution_id, finished: Some(finished) });
        }
        match on_stored.await {
            Ok(Ok(())) => Ok(StartAnswer { execution_id, finished: None }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(StartError::Stopping),
        }
    }

    /// Cancels an execution. Answers once that is on disk.
    ///
    /// # Errors
    /// There is no such execution, or it has ended.
    pub async fn cancel(&self, id: &str, cancelled_by: &str, reason: Option<String>) -> Result<(), SignalError> {
        let news = |reply| News::Cancel { cancelled_by: cancelled_by.to_owned(), reason: reason.clone(), reply };
        match self.deliver(id, news).await? {
            Ok(()) => Ok(()),
            Err(status) => Err(SignalError::Ended(status)),
        }
    }

    /// Gives a person's answer to an execution that asks: to a human step, or to a pause at a limit.
    ///
    /// # Errors
    /// Nothing is asked, several things are, the answer does not fit, or someone answered before.
    pub async fn decide(&self, id: &str, answer: Answer) -> Result<Answered, DecideError> {
        self.deliver(id, |reply| News::Answer { answer: answer.clone(), reply }).await?
    }

    /// Committed events of an execution from here on. Read the log afterwards, and drop what comes twice.
    #[must_use]
    pub fn subscribe(&self, id: &str) -> broadcast::Receiver<Arc<Vec<Record>>> {
        let mut listeners = lock(&self.inner.listeners);
        self.inner.listening.fetch_add(1, Ordering::Relaxed);
        listeners.retain(|_, sender| {
            let heard = sender.receiver_count() > 0;
            if !heard {
                self.inner.listening.fetch_sub(1, Ordering::Relaxed);
            }
            heard
        });
        if let Some(sender) = listeners.get(id) {
            self.inner.listening.fetch_sub(1, Ordering::Relaxed);
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(LIVE_QUEUE);
        listeners.insert(id.into(), sender);
        receiver
    }

    /// Takes up every execution that had something to run, and sets the timers of the others. Their logs are not
    /// loaded.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recover(&self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        for unfinished in self.inner.store.unfinished().await? {
            if unfinished.idle {
                recovered.waiting += 1;
                if let Some(due) = unfinished.wake_at {
                    self.inner.timers.set(due, unfinished.id);
                }
            } else {
                recovered.running += 1;
                self.wake(unfinished.id);
            }
        }
        Ok(recovered)
    }

    /// Loads an execution in the background, so that it goes on.
    fn wake(&self, id: Arc<str>) {
        let driver = self.clone();
        tokio::spawn(async move {
            if let Err(error) = driver.deliver(&id, |reply| News::Wake { reply }).await {
                tracing::error!(execution.id = %id, %error, "could not wake execution {id}");
            }
        });
    }

    /// Lets running calls end within the grace, writes everything down and returns. What still runs is made again at
    /// the next start.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        let all = u32::try_from(self.inner.config.executions_max).unwrap_or(u32::MAX);
        let grace = self.inner.config.stop_grace + Duration::from_secs(2);
        if tokio::time::timeout(grace, self.inner.room.acquire_many(all)).await.is_err() {
            tracing::warn!("some executions did not stop in time; they are taken up at the next start");
        }
    }

    /// What runs the plugins.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// How many executions are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.inner.config.executions_max - self.inner.room.available_permits()
    }

    /// A version with today's plugins.
    ///
    /// # Errors
    /// It does not compile (any more: a plugin was taken away), or the store cannot be read.
    pub async fn compiled(&self, version: &WorkflowVersion) -> Result<Arc<Compiled>, CompileError> {
        self.inner.workflows.compiled(&self.inner.store, version).await
    }

    /// Everything that is wrong or odd about a definition, with today's plugins.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn check(&self, definition: &Value) -> Result<Checked, StoreError> {
        Ok(workflows::check(definition, &*self.catalog().await?))
    }

    /// What steps can call.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn catalog(&self) -> Result<Arc<HostCatalog>, StoreError> {
        self.inner.workflows.catalog(&self.inner.store).await
    }

    /// Forgets what was compiled with the plugins of before; executions that run keep theirs.
    pub fn plugins_changed(&self) {
        self.inner.workflows.plugins_changed();
    }

    /// Hands news to an execution's task, which is loaded if it is not in memory, and waits for its reply.
    async fn deliver<T>(&self, id: &str, news: impl Fn(oneshot::Sender<T>) -> News) -> Result<T, SignalError> {
        for _ in 0..DELIVERIES_MAX {
            let (reply, on_reply) = oneshot::channel();
            let task = match self.inner.task(id) {
                Some(task) => task,
                None => self.load(id).await?,
            };
            let sent = task.send(news(reply)).await;
            // News that was sent while the task closed its queue is dropped with the last sender, and its reply with it.
            drop(task);
            if sent.is_ok()
                && let Ok(answer) = on_reply.await
            {
                return Ok(answer);
            }
            // The task left memory, or dropped its state after a failed append: load it again.
            tokio::task::yield_now().await;
        }
        Err(SignalError::Load { execution_id: id.to_owned(), reason: "it left memory again and again".to_owned() })
    }

    async fn load(&self, id: &str) -> Result<mpsc::Sender<News>, SignalError> {
        let inner = &self.inner;
        let room = inner.room.clone().acquire_owned().await.map_err(|_| SignalError::Stopping)?;
        if *inner.stopping.borrow() {
            return Err(SignalError::Stopping);
        }
        let (sender, receiver) = mpsc::channel(NEWS_QUEUE);
        // Taken before the log is read: of two that read it at once, the second would go on from a state of before.
        let place = match Place::take(inner, id, &sender) {
            Ok(place) => place,
            Err(other) => return Ok(other),
        };
        let Some((id, execution)) = inner.replay(id).await? else {
            return Err(SignalError::NotFound(id.to_owned()));
        };
        if execution.has_ended() {
            return Err(SignalError::Ended(execution.status()));
        }
        let mut task = Task::new(inner.clone(), id, execution, room);
        task.resume(sender.clone(), receiver);
        place.keep();
        tokio::spawn(task.run());
        Ok(sender)
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

/// What recovery found.
#[derive(Debug, Default, Clone, Copy)]
pub struct Recovered {
    /// Executions that go on at once.
    pub running: usize,
    /// Executions that wait for a person or a timer.
    pub waiting: usize,
}

impl Inner {
    fn started(&self, execution_id: &Arc<str>, start: &StartExecution, compiled: &Compiled, now: Timestamp) -> Started {
        let workflow = &start.workflow;
        let limits = compiled.graph.limits.tightened_by(&start.limits).tightened_by(&self.config.ceilings);
        Started {
            execution_id: execution_id.clone(),
            workflow_id: workflow.workflow_id.clone(),
            workflow_name: workflow.name.clone(),
            workflow_version: workflow.version,
            trigger: start.trigger.clone(),
            input: start.input.clone(),
            deadline: limits.timeout_ms.map(|ms| now.plus_ms(ms)),
            limits,
            targets: compiled.targets.clone(),
        }
    }

    fn task(&self, id: &str) -> Option<mpsc::Sender<News>> {
        lock(&self.tasks).get(id).cloned()
    }

    /// The state that an execution's log leads to; `None` if there is no log.
    async fn replay(&self, id: &str) -> Result<Option<(Arc<str>, Execution)>, SignalError> {
        let cannot = |reason: String| SignalError::Load { execution_id: id.to_owned(), reason };
        let records = self.store.load(id).await?;
        let Some(weir_engine::event::Event::ExecutionStarted(started)) = records.first().map(|r| &r.event) else {
            return Ok(None);
        };
        let started = started.clone();
        let graph = self.workflows.graph_for(&self.store, &started).await.map_err(|e| cannot(e.to_string()))?;
        let execution = Execution::replay(graph, records).map_err(|e| cannot(e.to_string()))?;
        Ok(Some((started.execution_id.clone(), execution)))
    }

    /// Shows committed events to whoever listens.
    fn publish(&self, id: &Arc<str>, records: &Arc<Vec<Record>>) {
        if self.listening.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(sender) = lock(&self.listeners).get(id) {
            // Nobody may be left to listen; that is no fault.
            let _ = sender.send(records.clone());
        }
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.store.append(append).await
    }
}

/// What a human step or a pause of an execution is known by, in approvals and answers.
pub type ApprovalId = CallId;

/// Locks, whatever a panicking holder left: the maps behind these locks are whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The row of an execution as its task knows it, so that a waiting caller needs no query.
fn row_of(execution: &Execution, started_at: Timestamp, now: Timestamp) -> ExecutionRow {
    let (started, summary) = (execution.started(), execution.summary());
    let last_seq: Seq = execution.seq();
    let trigger = started.trigger.value().get("type").and_then(|t| t.as_str()).unwrap_or("manual").to_owned();
    ExecutionRow {
        id: started.execution_id.clone(),
        workflow_id: started.workflow_id.clone(),
        workflow_name: started.workflow_name.clone(),
        workflow_version: started.workflow_version,
        status: summary.status,
        trigger_source: trigger,
        current_step_id: summary.current_step,
        usage: summary.usage,
        started_at,
        completed_at: summary.status.is_final().then_some(now),
        failure: summary.failure,
        paused: summary.paused,
        wake_at: summary.wake_at,
        idle: summary.idle,
        last_seq,
    }
}
