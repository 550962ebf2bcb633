//! Starting an execution for a trigger: the occurrence and the start are one write.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::json;
use weir_engine::{definition::TriggerType, id::Timestamp, json::Json, limits::Limits};

use super::{Triggers, about, config::TriggerConfig, running::Running};
use crate::{
    driver::{Companions, CompileError, CurrentWorkflow, Finished, StartError, StartExecution},
    schema::SchemaProblem,
    store::{Companion, Moved, NewOccurrence, OccurrenceStatus, StoreError, TriggerRow},
};

/// The most bytes of a reason that is kept.
pub(super) const REASON_BYTES_MAX: usize = 1_000;

/// One time that a trigger has reason to start something.
#[derive(Debug, Clone)]
pub struct Firing {
    /// What makes it one: the same key never starts anything again.
    pub key: String,
    /// Of a schedule: the instant.
    pub scheduled_for: Option<Timestamp>,
    /// What the execution is given.
    pub input: Json,
    /// What `$.trigger` shows (see [`about`]).
    pub trigger: Json,
    /// Of a schedule: how far it has come with this, whatever becomes of it.
    pub moved: Option<Moved>,
    /// How long to wait for the end before answering.
    pub wait: Option<Duration>,
    /// What else is written with the start, or not at all.
    pub companions: Companions,
}

/// What was started.
#[derive(Debug)]
pub struct Fired {
    /// The execution.
    pub execution_id: Arc<str>,
    /// How it ended, where that was waited for and came in time.
    pub finished: Option<Box<Finished>>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// The same was dealt with before.
    #[error("could not start the workflow: the same occurrence was dealt with before")]
    Taken {
        /// What it started, if it did.
        execution_id: Option<Arc<str>>,
    },
    /// The workflow is switched off, or gone; the occurrence is recorded as skipped.
    #[error("could not start workflow {workflow:?}: it is inactive, set active to true to run it")]
    Inactive {
        /// The workflow's name.
        workflow: String,
    },
    /// The input does not satisfy the workflow's schema; the occurrence is recorded as failed.
    #[error("could not start workflow {workflow:?}: its input schema refuses the input")]
    InvalidInput {
        /// The workflow's name.
        workflow: String,
        /// Everything that is wrong.
        problems: Vec<SchemaProblem>,
    },
    /// The execution was not started. Where the workflow cannot run, the occurrence is recorded as failed; where the host
    /// cannot start anything at the moment, it is not recorded at all, and may be tried again.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl FireError {
    /// Whether the same may work later: nothing was recorded.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        match self {
            Self::Taken { .. } | Self::Inactive { .. } | Self::InvalidInput { .. } => false,
            Self::Start(error) => match error {
                StartError::Overloaded(_) | StartError::Stopping | StartError::Lost | StartError::Store(_) => true,
                // Recorded by whoever brings the event.
                StartError::TreeFull { .. } => true,
                StartError::Compile(error) => matches!(error, CompileError::Store(_)),
                StartError::Taken | StartError::Tree(_) => false,
            },
        }
    }
}

impl From<StoreError> for FireError {
    fn from(error: StoreError) -> Self {
        Self::Start(StartError::Store(error))
    }
}

impl Triggers {
    /// Starts the newest version of a trigger's workflow, and records that in the same write. Whether the trigger is
    /// enabled is for the caller to see to.
    ///
    /// # Errors
    /// Nothing was started; what will not change by itself is recorded as an occurrence that was skipped or failed.
    pub async fn fire(&self, trigger: &TriggerRow, firing: Firing) -> Result<Fired, FireError> {
        let workflow = self.inner.driver.current(&trigger.workflow_id).await?;
        let Some(workflow) = workflow.filter(|workflow| workflow.row.active) else {
            self.record(trigger, &firing, OccurrenceStatus::Skipped, "inactive").await?;
            return Err(FireError::Inactive { workflow: trigger.workflow_name.to_string() });
        };
        match self.start(trigger, &workflow, &firing).await {
            Ok(fired) => Ok(fired),
            Err(FireError::Start(StartError::Taken)) => {
                self.inner.store.record_occurrences(&[], firing.moved.as_slice()).await?;
                let known = self.inner.store.occurrence(&trigger.id, &firing.key).await?;
                Err(FireError::Taken { execution_id: known.and_then(|known| known.execution_id) })
            }
            Err(error) => {
                if !error.is_for_now() {
                    self.record(trigger, &firing, OccurrenceStatus::Failed, &reason(&error)).await?;
                }
                Err(error)
            }
        }
    }

    /// What a person or a program starts now, whatever the trigger itself waits for; nothing of it is ever taken twice.
    ///
    /// # Errors
    /// As [`Triggers::fire`].
    pub async fn fire_by_hand(
        &self,
        trigger: &TriggerRow,
        input: Option<Json>,
        fired_by: &str,
        companions: Companions,
    ) -> Result<Fired, FireError> {
        let key = uuid::Uuid::now_v7().to_string();
        let own = || match TriggerConfig::stored(trigger.trigger_type, &trigger.config) {
            Ok(TriggerConfig::Cron(cron)) => cron.input,
            Ok(_) | Err(_) => Json::from_value(json!({})),
        };
        let firing = Firing {
            trigger: about(trigger, json!({ "occurrence": key, "manual": true, "fired_by": fired_by })),
            key,
            scheduled_for: None,
            input: input.unwrap_or_else(own),
            moved: None,
            wait: None,
            companions,
        };
        self.fire(trigger, firing).await
    }

    async fn start(
        &self,
        trigger: &TriggerRow,
        workflow: &CurrentWorkflow,
        firing: &Firing,
    ) -> Result<Fired, FireError> {
        let driver = &self.inner.driver;
        let version = &workflow.version;
        let compiled = driver.compiled(version).await.map_err(StartError::Compile)?;
        let problems = driver.input_problems(version, &compiled, &firing.input);
        if !problems.is_empty() {
            return Err(FireError::InvalidInput { workflow: version.name.to_string(), problems });
        }
        let begun = Begun::default();
        let occurrence = occurrence(trigger, firing, OccurrenceStatus::Fired);
        let running = Arc::clone(&self.inner.running);
        let moved = firing.moved.clone().map(Companion::Moved);
        let moved = moved.map(|moved| Companions::new(move |_| vec![moved.clone()])).unwrap_or_default();
        let start = StartExecution {
            workflow: Arc::clone(version),
            input: firing.input.clone(),
            limits: Limits::default(),
            trigger: firing.trigger.clone(),
            companions: firing.companions.clone().and(begun.watch(trigger, running, occurrence)).and(moved),
            wait: firing.wait,
        };
        match driver.start(start).await {
            Ok(answer) => Ok(Fired { execution_id: answer.execution_id, finished: answer.finished }),
            Err(error) => {
                begun.forget(&self.inner.running);
                Err(error.into())
            }
        }
    }

    /// Records an occurrence that starts nothing.
    pub(super) async fn record(
        &self,
        trigger: &TriggerRow,
        firing: &Firing,
        status: OccurrenceStatus,
        reason: &str,
    ) -> Result<(), StoreError> {
        let mut reason = reason.to_owned();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        let new = NewOccurrence { reason: Some(reason), ..occurrence(trigger, firing, status) };
        self.inner.store.record_occurrences(&[new], firing.moved.as_slice()).await
    }
}

fn occurrence(trigger: &TriggerRow, firing: &Firing, status: OccurrenceStatus) -> NewOccurrence {
    NewOccurrence { scheduled_for: firing.scheduled_for, ..NewOccurrence::new(&trigger.id, &*firing.key, status) }
}

fn reason(error: &FireError) -> String {
    match error {
        FireError::InvalidInput { problems, .. } => {
            let problems: Vec<_> = problems.iter().map(|p| format!("{} {}", p.field, p.message)).collect();
            format!("invalid_input: {}", problems.join("; "))
        }
        FireError::Start(error) => format!("invalid_workflow: {error}"),
        FireError::Taken { .. } | FireError::Inactive { .. } => error.to_string(),
    }
}

/// The id that an execution got, once it has one: it counts as running before it can end.
#[derive(Debug, Clone, Default)]
struct Begun(Arc<OnceLock<Arc<str>>>);

impl Begun {
    /// What is written with the start; the executions of schedules count as running from here on.
    fn watch(&self, trigger: &TriggerRow, running: Arc<Running>, occurrence: NewOccurrence) -> Companions {
        let begun = self.clone();
        let (trigger_id, counts) = (Arc::clone(&trigger.id), trigger.trigger_type == TriggerType::Cron);
        Companions::new(move |execution_id| {
            if counts {
                running.began(&trigger_id, execution_id);
                // It is called once.
                let _ = begun.0.set(Arc::clone(execution_id));
            }
            let execution_id = Some(Arc::clone(execution_id));
            vec![Companion::Occurrence(NewOccurrence { execution_id, ..occurrence.clone() })]
        })
    }

    fn forget(&self, running: &Running) {
        if let Some(execution_id) = self.0.get() {
            // Nothing can wait for what has never been.
            let _ = running.ended(execution_id);
        }
    }
}
