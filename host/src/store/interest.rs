//! What triggers wait for of the host's own events, kept in memory: what nobody waits for costs nothing.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::Mutex;

use super::{Store, StoreError, columns::Columns, error::database, folded, queries::bus as queries};

/// What the host tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostEvent {
    /// An execution came to its end.
    ExecutionCompleted,
    /// An execution failed.
    ExecutionFailed,
    /// An execution ran out of its time.
    ExecutionTimeout,
    /// An execution was cancelled.
    ExecutionCancelled,
    /// A step failed for good.
    StepFailed,
    /// An agent step is done.
    AgentCompleted,
    /// An agent step failed for good.
    AgentFailed,
    /// An agent step ran out of its time.
    AgentTimeout,
    /// An agent step was given up.
    AgentCancelled,
    /// A person is asked.
    ApprovalRequested,
    /// A person has answered.
    ApprovalDecided,
    /// Nobody answered in time.
    ApprovalTimedOut,
    /// A workflow got a new version.
    WorkflowPublished,
    /// A plugin was installed.
    PluginInstalled,
}

impl HostEvent {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::ExecutionCompleted,
        Self::ExecutionFailed,
        Self::ExecutionTimeout,
        Self::ExecutionCancelled,
        Self::StepFailed,
        Self::AgentCompleted,
        Self::AgentFailed,
        Self::AgentTimeout,
        Self::AgentCancelled,
        Self::ApprovalRequested,
        Self::ApprovalDecided,
        Self::ApprovalTimedOut,
        Self::WorkflowPublished,
        Self::PluginInstalled,
    ];

    /// The event's type, as triggers name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExecutionCompleted => "weir.execution.completed",
            Self::ExecutionFailed => "weir.execution.failed",
            Self::ExecutionTimeout => "weir.execution.timeout",
            Self::ExecutionCancelled => "weir.execution.cancelled",
            Self::StepFailed => "weir.step.failed",
            Self::AgentCompleted => "weir.agent.completed",
            Self::AgentFailed => "weir.agent.failed",
            Self::AgentTimeout => "weir.agent.timeout",
            Self::AgentCancelled => "weir.agent.cancelled",
            Self::ApprovalRequested => "weir.approval.requested",
            Self::ApprovalDecided => "weir.approval.decided",
            Self::ApprovalTimedOut => "weir.approval.timed_out",
            Self::WorkflowPublished => "weir.workflow.published",
            Self::PluginInstalled => "weir.plugin.installed",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Whether an event's type is the one that is waited for: the same, or below it where `pattern` ends with `.*`.
#[must_use]
pub fn is_type(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('.') => event_type.len() > prefix.len() && event_type.starts_with(prefix),
        _ => pattern == event_type,
    }
}

/// What triggers wait for of the host's own events, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    /// Counts the changes of triggers.
    generation: u64,
    /// A bit for each [`HostEvent`].
    events: u32,
    /// Agents whose ends are waited for, as `plugin.agent` or `agent`.
    agents: HashSet<String>,
    /// Workflows whose ends are waited for: ids, and names in lower case.
    workflows: HashSet<String>,
}

impl Interest {
    /// Another number after each change of a trigger.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether nobody waits for anything.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.events == 0 && self.agents.is_empty() && self.workflows.is_empty()
    }

    /// Whether somebody waits for this event, whatever it is about.
    #[must_use]
    pub fn wants(&self, event: HostEvent) -> bool {
        self.events & event.bit() != 0
    }

    /// Whether somebody waits for the end of this workflow's executions.
    #[must_use]
    pub fn wants_end_of(&self, workflow_id: &str, workflow_name: &str) -> bool {
        !self.workflows.is_empty()
            && (self.workflows.contains(workflow_id) || self.workflows.contains(&folded(workflow_name)))
    }

    /// Whether somebody waits for the end of this agent's steps.
    #[must_use]
    pub fn wants_agent(&self, plugin: &str, agent: &str) -> bool {
        !self.agents.is_empty()
            && (self.agents.contains(agent) || self.agents.contains(format!("{plugin}.{agent}").as_str()))
    }

    /// Whether somebody waits for the end of any agent's steps.
    #[must_use]
    pub fn wants_agents(&self) -> bool {
        use HostEvent::{AgentCancelled, AgentCompleted, AgentFailed, AgentTimeout};
        !self.agents.is_empty()
            || [AgentCompleted, AgentFailed, AgentTimeout, AgentCancelled].into_iter().any(|event| self.wants(event))
    }

    /// Adds what one trigger waits for.
    fn add(&mut self, event_type: Option<&str>, agent_id: Option<&str>, workflow_id: Option<&str>) {
        if let Some(pattern) = event_type {
            let wanted = HostEvent::ALL.into_iter().filter(|event| is_type(pattern, event.as_str()));
            self.events |= wanted.fold(0, |bits, event| bits | event.bit());
        } else if let Some(agent) = agent_id {
            self.agents.insert(bare_agent(agent).to_owned());
        } else if let Some(workflow) = workflow_id {
            self.workflows.insert(folded(workflow));
        }
    }
}

/// An agent's name without the version that pins it.
#[must_use]
pub fn bare_agent(name: &str) -> &str {
    name.split('@').next().unwrap_or(name).trim()
}

/// The interest of the moment.
#[derive(Debug, Default)]
pub(super) struct Interests {
    now: RwLock<Arc<Interest>>,
    /// Held from reading to keeping, so that nothing newer is overwritten.
    reading: Mutex<()>,
}

impl Store {
    /// What triggers wait for at the moment.
    #[must_use]
    pub fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.inner.interests.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what triggers wait for; to be called after each change of a trigger or of a workflow.
    pub(super) async fn refresh_interest(&self) -> Result<(), StoreError> {
        let Interests { now, reading } = &self.inner.interests;
        let _reading = reading.lock().await;
        let rows = sqlx::query(queries::WAITED_FOR).fetch_all(&self.inner.readers).await;
        let mut interest = Interest { generation: self.interest().generation + 1, ..Interest::default() };
        for row in rows.map_err(|e| database("read what triggers wait for", e))? {
            let mut columns = Columns::new(&row, "what a trigger waits for");
            interest.add(columns.next()?, columns.next()?, columns.next()?);
        }
        *now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(interest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_waited_for_exactly_or_by_prefix() {
        assert!(is_type("a.b", "a.b") && !is_type("a.b", "a.b.c") && !is_type("a.b", "a"));
        assert!(is_type("a.*", "a.b.c") && !is_type("a.*", "a") && !is_type("a.*", "a.") && !is_type("a.*", "ab.c"));
        assert!(!is_type("a*", "ab") && is_type("a*", "a*"));
    }

    #[test]
    fn every_host_event_has_its_own_bit_and_type() {
        let bits: HashSet<_> = HostEvent::ALL.iter().map(|event| event.bit()).collect();
        let types: HashSet<_> = HostEvent::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!((bits.len(), types.len()), (HostEvent::ALL.len(), HostEvent::ALL.len()));
    }

    #[test]
    fn interest_is_what_triggers_name() {
        let mut interest = Interest::default();
        assert!(interest.is_nothing());
        interest.add(Some("com.example.*"), None, None);
        assert!(interest.is_nothing(), "only the host's own events matter here");
        interest.add(Some("weir.approval.*"), None, None);
        assert!(interest.wants(HostEvent::ApprovalDecided) && !interest.wants(HostEvent::StepFailed));
        interest.add(None, Some("triage.classify@1.0.0"), Some("any"));
        assert!(interest.wants_agent("triage", "classify") && !interest.wants_agent("other", "classify"));
        assert!(interest.wants_agents() && !interest.wants_end_of("id", "any"));
        interest.add(None, None, Some(" My Flow "));
        assert!(interest.wants_end_of("id", "my flow") && !interest.wants_end_of("id", "other"));
    }
}
