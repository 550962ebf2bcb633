//! What starts executions by itself: schedules, and news from outside.
//!
//! This part decides when and whether something starts; the driver starts it. It knows neither HTTP nor SQL.

pub mod cloud_event;
pub mod config;
pub mod cron;
mod dispatcher;
mod event;
mod fire;
mod running;
mod scheduler;
pub mod webhook;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Map, Value};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use weir_engine::{
    definition::{Definition, Diagnostic},
    id::Timestamp,
    json::Json,
};

use self::{config::TriggerConfig, event::Waiters, running::Running};
pub use self::{
    event::{FAN_OUT_MAX, LINEAGE_MAX},
    fire::{FireError, Fired, Firing},
    scheduler::Looked,
};
use crate::{
    driver::Driver,
    store::{self, AuditEntry, NewTrigger, Store, StoreError, TriggerRow},
};

/// Starts executions for the triggers of all workflows. Clones share it.
#[derive(Clone)]
pub struct Triggers {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    driver: Driver,
    running: Arc<Running>,
    /// Counts the changes of triggers, for those who keep what they read.
    generation: AtomicU64,
    /// Wakes the scheduler before its time.
    nudge: Arc<Notify>,
    stopping: watch::Sender<bool>,
    scheduling: Mutex<Option<JoinHandle<()>>>,
    /// Who waits for events, as it was read last.
    waiters: Mutex<Arc<Waiters>>,
    dispatching: Mutex<Option<JoinHandle<()>>>,
}

/// What a definition says, its triggers included, and everything that is wrong or odd about it.
#[derive(Debug)]
pub struct Checked {
    /// The definition as it is meant.
    pub definition: Definition,
    /// Its triggers, as they are published with it.
    pub triggers: Vec<NewTrigger>,
    /// Whether it may be saved.
    pub valid: bool,
    /// All problems, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

impl Triggers {
    /// Makes the service over a store and the driver of its executions.
    #[must_use]
    pub fn new(store: Store, driver: Driver) -> Self {
        let (running, nudge) = (Arc::new(Running::default()), Arc::new(Notify::new()));
        let (ended, free) = (Arc::clone(&running), Arc::clone(&nudge));
        driver.on_ended(move |execution| {
            if ended.ended(&execution.started.execution_id) {
                free.notify_one();
            }
        });
        let (stopping, scheduling, dispatching) = (watch::Sender::new(false), Mutex::default(), Mutex::default());
        Self {
            inner: Arc::new(Inner {
                store,
                driver,
                running,
                generation: AtomicU64::new(0),
                nudge,
                stopping,
                scheduling,
                waiters: Mutex::default(),
                dispatching,
            }),
        }
    }

    /// Brings events from now on to the triggers that wait for them; to be called once, after the driver's recovery.
    pub fn start_dispatching(&self) {
        let task = tokio::spawn(dispatcher::run(Arc::downgrade(&self.inner), self.inner.stopping.subscribe()));
        *self.inner.dispatching.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Starts from now on what schedules say; to be called once, after [`Triggers::recover`] and the driver's recovery.
    pub fn start_schedules(&self) {
        let (inner, stopping) = (Arc::downgrade(&self.inner), self.inner.stopping.subscribe());
        let task = tokio::spawn(scheduler::run(inner, store::now, stopping));
        *self.scheduling() = Some(task);
    }

    /// Starts nothing more by schedules and events, and returns once what is being started has been.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        let task = self.scheduling().take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(task).await {
            tracing::error!("the scheduler broke off: {error}");
        }
        let task = self.inner.dispatching.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(task).await {
            tracing::error!("the dispatcher broke off: {error}");
        }
    }

    fn scheduling(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.inner.scheduling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a trigger start things again; a schedule goes on after now. Writes `audit` with it, and tells whether the
    /// trigger was off.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn enable(&self, trigger: &TriggerRow, audit: AuditEntry) -> Result<bool, StoreError> {
        let next_at = self.next(trigger, 1).first().copied();
        let switched = self.inner.store.enable_trigger(&trigger.id, next_at, audit).await?;
        self.changed();
        Ok(switched)
    }

    /// Keeps a trigger from starting things. Writes `audit` with it, and tells whether the trigger was on.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn disable(&self, trigger: &TriggerRow, audit: AuditEntry) -> Result<bool, StoreError> {
        let switched = self.inner.store.disable_trigger(&trigger.id, audit).await?;
        self.changed();
        Ok(switched)
    }

    /// The next instants of a schedule, at most `count`; none of other triggers.
    #[must_use]
    pub fn next(&self, trigger: &TriggerRow, count: usize) -> Vec<Timestamp> {
        let config = TriggerConfig::stored(trigger.trigger_type, &trigger.config);
        let Ok(TriggerConfig::Cron(cron)) = config else { return Vec::new() };
        let from = store::now().max(trigger.cursor_at.unwrap_or(Timestamp(i64::MIN)));
        std::iter::successors(cron.schedule.after(from), |last| cron.schedule.after(*last)).take(count).collect()
    }

    /// Everything that is wrong or odd about a definition, with today's plugins.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn check(&self, definition: &Value) -> Result<Checked, StoreError> {
        let crate::driver::Checked { definition, mut diagnostics, .. } = self.inner.driver.check(definition).await?;
        let (triggers, more) = config::read(&definition, store::now());
        diagnostics.extend(more);
        diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
        let valid = !diagnostics.iter().any(Diagnostic::is_error);
        Ok(Checked { definition, triggers, valid, diagnostics })
    }

    /// The executions of a schedule that have not ended.
    #[must_use]
    pub fn running(&self, trigger_id: &str) -> Vec<Arc<str>> {
        self.inner.running.of(trigger_id)
    }

    /// A number that every change raises: what was read under another one may not hold any more.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// A workflow or a trigger was changed: what is known of it is read again. To be called after each change.
    pub fn changed(&self) {
        self.inner.driver.workflows_changed();
        self.inner.generation.fetch_add(1, Ordering::Release);
        self.inner.nudge.notify_one();
    }
}

/// What `$.trigger` shows: of every trigger its type, id and key, and the members of `more`.
#[must_use]
pub fn about(trigger: &TriggerRow, more: Value) -> Json {
    let mut shown = Map::new();
    shown.insert("type".to_owned(), trigger.trigger_type.as_str().into());
    shown.insert("id".to_owned(), trigger.id.as_ref().into());
    shown.insert("key".to_owned(), trigger.key.as_ref().into());
    if let Value::Object(more) = more {
        shown.extend(more);
    }
    Json::from_value(Value::Object(shown))
}
