//! Runs executions: feeds the engine with news, appends its events, and keeps in flight what it asks for.
//!
//! Each execution that has something to run is one task (`task`); those that only wait leave memory and are loaded
//! again by news or by their time. Loading is the path of recovery too: there is no other.

mod answer;
mod catalog;
mod crashes;
mod current;
mod delivery;
pub mod effects;
mod ended;
mod finished;
mod flight;
mod live;
pub(crate) mod masked;
mod observe;
mod outbox;
mod perform;
mod pools;
mod schemas;
mod task;
mod timers;
mod workflows;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use uuid::Uuid;
use weir_engine::{approvers::Approvers, event::Started, execution::Status, id::Timestamp, json::Json, limits::Limits};

pub use self::{
    answer::{Answer, Answered, DecideError, RAISE, Reassign, STOP, may_decide},
    catalog::HostCatalog,
    current::CurrentWorkflow,
    ended::Ended,
    finished::Finished,
    live::{Heard, Piece},
    pools::BudgetStanding,
    workflows::{Checked, CompileError, Compiled, check},
};
use self::{
    crashes::Crashes,
    current::Current,
    ended::Listeners,
    live::Live,
    pools::{Pools, TreeError},
    schemas::Schemas,
    task::{News, Task},
    timers::Timers,
    workflows::Workflows,
};
use crate::{
    egress::Egress,
    models::Gateway,
    runtime::Runtime,
    secrets::{Masker, Secrets},
    spans::Spans,
    store::{self, Append, BudgetRow, Companion, NewBudget, Store, StoreError, WorkflowVersion},
};

/// Wait before an execution is woken again that the store could not load.
const WAKE_RETRY_MS: u64 = 1_000;

/// What the host lets any execution have, whatever its author and its caller say.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// Executions in memory at a time; more wait for their turn to start.
    pub executions_max: usize,
    /// Executions that may have started each other by their ends, the first of them counted.
    pub tree_executions_max: usize,
    /// How long a start may wait for its turn.
    pub start_wait: Duration,
    /// Ceilings for the guardrails of every execution.
    pub ceilings: Limits,
    /// Wall time of one plugin call where the step names none.
    pub call_timeout: Duration,
    /// Wall time of one call of an agent where the step names none: models take their time.
    pub agent_timeout: Duration,
    /// Wall time of one plugin call, whatever the step says.
    pub call_timeout_max: Duration,
    /// How long calls that run may go on when the host stops.
    pub stop_grace: Duration,
    /// Where it is told what executions do.
    pub spans: Spans,
    /// Masks secrets in what executions are given and in what they answer.
    pub masker: Masker,
    /// What plugins can reach, as far as they are granted it.
    pub reach: Reach,
}

/// What plugins can reach through the host, as far as they are granted it.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Language models.
    pub models: Gateway,
    /// The way out; `None`: there is none.
    pub egress: Option<Egress>,
    /// What is put into requests on the way out.
    pub secrets: Option<Secrets>,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            executions_max: 4096,
            tree_executions_max: 1_000,
            start_wait: Duration::from_secs(10),
            ceilings: Limits {
                max_steps: Some(2_000_000),
                timeout_ms: Some(366 * 24 * 3_600_000),
                ..Limits::default()
            },
            call_timeout: Duration::from_secs(30),
            agent_timeout: Duration::from_secs(600),
            call_timeout_max: Duration::from_secs(3_600),
            stop_grace: Duration::from_secs(5),
            spans: Spans::default(),
            masker: Masker::default(),
            reach: Reach::default(),
        }
    }
}

/// Runs every execution of one store. Clones share it.
#[derive(Clone)]
pub struct Driver {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) config: DriverConfig,
    workflows: Workflows,
    current: Current,
    schemas: Schemas,
    ended: Listeners,
    tasks: Mutex<HashMap<Arc<str>, mpsc::Sender<News>>>,
    pools: Pools,
    crashes: Crashes,
    live: Live,
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
    /// What is written with its start, or not at all; made with the execution's id.
    pub companions: Companions,
    /// How long to wait for the end before answering.
    pub wait: Option<Duration>,
}

/// Makes what is written with the start of an execution, from its id.
#[derive(Clone, Default)]
pub struct Companions(Option<Arc<MakeCompanions>>);

type MakeCompanions = dyn Fn(&Arc<str>) -> Vec<Companion> + Send + Sync;

impl Companions {
    /// What `make` makes of the execution's id.
    pub fn new(make: impl Fn(&Arc<str>) -> Vec<Companion> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(make)))
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self::new(move |execution_id| [a(execution_id), b(execution_id)].concat()),
            (one, other) => Self(one.or(other)),
        }
    }

    fn of(&self, execution_id: &Arc<str>) -> Vec<Companion> {
        self.0.as_ref().map(|make| make(execution_id)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Companions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Companions" } else { "no Companions" })
    }
}

/// A started execution.
#[derive(Debug)]
pub struct StartAnswer {
    /// Its id.
    pub execution_id: Arc<str>,
    /// How it ended, where that was waited for and came in time.
    pub finished: Option<Box<Finished>>,
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
    /// Its task panicked, before or after it was stored.
    #[error("could not tell whether the execution was started, by a fault of the host: look whether it is listed")]
    Lost,
    /// One of its companions is there already: the same was started before.
    #[error("could not start the execution: it was started before")]
    Taken,
    /// Too many have started each other by their ends.
    #[error("could not start the execution: {max} executions have started each other, beginning with {root}")]
    TreeFull {
        /// The first of them.
        root: Arc<str>,
        /// How many may.
        max: usize,
    },
    /// What it shares with those that led to it is not known.
    #[error("could not start the execution: {0}")]
    Tree(String),
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
    /// Its task panicked, and it rests for a while.
    #[error("could not load execution {execution_id}: its task failed a moment ago, try again later")]
    Resting {
        /// The execution.
        execution_id: String,
    },
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
            current: Current::default(),
            schemas: Schemas::default(),
            ended: Listeners::default(),
            tasks: Mutex::default(),
            pools: Pools::default(),
            crashes: Crashes::default(),
            live: Live::default(),
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
        let start = masked::start(start, &inner.config.masker);
        if *inner.stopping.borrow() {
            return Err(StartError::Stopping);
        }
        let room = tokio::time::timeout(inner.config.start_wait, inner.room.clone().acquire_owned());
        let Ok(Ok(room)) = room.await else {
            return Err(StartError::Overloaded(inner.config.executions_max));
        };
        if *inner.stopping.borrow() {
            return Err(StartError::Stopping);
        }
        let compiled = inner.workflows.compiled(&inner.store, &start.workflow).await?;
        let now = store::now();
        let execution_id: Arc<str> = Uuid::now_v7().to_string().into();
        let started = inner.started(&execution_id, &start, &compiled, now);
        let mut draws = inner.draws(&started, true).await?;
        let mut companions = start.companions.of(&execution_id);
        companions.extend(descends(&execution_id, draws.ancestors()));
        let (execution, records) = draws.start(compiled.graph.clone(), started, now);
        let (stored, on_stored) = oneshot::channel();
        let (ended, on_ended) = start.wait.map(|_| oneshot::channel()).unzip();
        let mut task = Task::new(inner.clone(), execution_id.clone(), (execution, draws), room);
        task.begin(records, companions, stored, ended);
        tokio::spawn(task.run());
        if let (Some(wait), Some(on_ended)) = (start.wait, on_ended)
            && let Ok(Ok(finished)) = tokio::time::timeout(wait, on_ended).await
        {
            return Ok(StartAnswer { execution_id, finished: Some(finished) });
        }
        match on_stored.await {
            Ok(Ok(())) => Ok(StartAnswer { execution_id, finished: None }),
            // Its id is new: nothing but a companion can be in the way.
            Ok(Err(StoreError::Conflict { .. })) => Err(StartError::Taken),
            Ok(Err(error)) => Err(error.into()),
            Err(_) if *inner.stopping.borrow() => Err(StartError::Stopping),
            Err(_) => Err(StartError::Lost),
        }
    }

    /// Cancels an execution, and writes `companions` with it. Answers once that is on disk.
    ///
    /// # Errors
    /// There is no such execution, or it has ended.
    pub async fn cancel(
        &self,
        id: &str,
        cancelled_by: &str,
        reason: Option<String>,
        companions: Vec<Companion>,
    ) -> Result<(), SignalError> {
        let reason = reason.map(|reason| self.inner.config.masker.mask_text(&reason).into_owned());
        let news = |reply| News::Cancel {
            cancelled_by: cancelled_by.to_owned(),
            reason: reason.clone(),
            companions: companions.clone(),
            reply,
        };
        self.deliver(id, news).await?
    }

    /// Gives a person's answer to an execution that asks: to a human step, or to a pause at a limit. What is written with
    /// it, or not at all, is in the answer.
    ///
    /// # Errors
    /// Nothing is asked, several things are, the answer does not fit, or someone answered before.
    pub async fn decide(&self, id: &str, answer: Answer) -> Result<Answered, DecideError> {
        let answer = masked::answer(answer, &self.inner.config.masker);
        self.deliver(id, |reply| News::Answer { answer: answer.clone(), reply }).await?
    }

    /// Asks others instead of those that a question names, and answers who that is now.
    ///
    /// # Errors
    /// The question is not open, whoever says so may not decide it, or too few are named.
    pub async fn reassign(&self, id: &str, reassign: Reassign) -> Result<Approvers, DecideError> {
        self.deliver(id, |reply| News::Reassign { reassign: reassign.clone(), reply }).await?
    }

    /// Committed events of an execution from here on, and what models say meanwhile. Read the log afterwards, and drop what comes twice.
    #[must_use]
    pub fn subscribe(&self, id: &str) -> broadcast::Receiver<Heard> {
        self.inner.live.subscribe(id)
    }

    /// Takes up every execution that had something to run, and sets the timers of the others. Their logs are not
    /// loaded.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recover(&self) -> Result<Recovered, StoreError> {
        self.inner.pools.read_budgets(&self.inner.store).await?;
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
            let Err(error) = driver.deliver(&id, |reply| News::Wake { reply }).await else { return };
            tracing::error!(execution.id = %id, %error, "could not wake execution {id}");
            // Nobody else wakes it.
            if matches!(error, SignalError::Store(_)) {
                driver.inner.timers.set(store::now().plus_ms(WAKE_RETRY_MS), id);
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

    /// Sets a budget; every execution that it is for draws from it, at its next step.
    ///
    /// # Errors
    /// There are too many, or the store cannot be written.
    pub async fn set_budget(&self, store: &Store, new: NewBudget) -> Result<BudgetRow, StoreError> {
        let (store, inner) = (store.clone(), self.inner.clone());
        let set = async move {
            let row = store.set_budget(new).await?;
            inner.pools.read_budgets(&store).await?;
            Ok(row)
        };
        // Whoever asks may go meanwhile: what is stored must be known.
        tokio::spawn(set).await.map_err(|_| StoreError::Closed)?
    }

    /// Deletes a budget; nothing draws from it any more.
    ///
    /// # Errors
    /// There is none, or the store cannot be written.
    pub async fn delete_budget(&self, store: &Store, name: &str) -> Result<(), StoreError> {
        let (store, inner, name) = (store.clone(), self.inner.clone(), name.to_owned());
        let delete = async move {
            store.delete_budget(&name).await?;
            inner.pools.read_budgets(&store).await
        };
        tokio::spawn(delete).await.map_err(|_| StoreError::Closed)?
    }

    /// How every budget stands, by name.
    #[must_use]
    pub fn budgets(&self) -> Vec<BudgetStanding> {
        self.inner.pools.standings(store::now())
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

    /// How many more executions may be in memory.
    #[must_use]
    pub fn room(&self) -> usize {
        self.inner.room.available_permits()
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
        Ok(workflows::check(definition, &*self.catalog().await?, &self.inner.config.masker))
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
}

/// That an execution follows others, if it does.
fn descends(execution_id: &Arc<str>, ancestors: &[Arc<str>]) -> Option<Companion> {
    let (execution_id, ancestors) = (execution_id.clone(), ancestors.to_vec());
    (!ancestors.is_empty()).then_some(Companion::Descends { execution_id, ancestors })
}

impl From<TreeError> for StartError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Full { root, max } => Self::TreeFull { root, max },
            TreeError::Limits { .. } => Self::Tree(error.to_string()),
            TreeError::Store(error) => Self::Store(error),
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

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.store.append(append).await
    }
}

/// Locks, whatever a panicking holder left: the maps behind these locks are whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
