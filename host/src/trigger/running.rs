//! Which executions of schedules have not ended, and which schedules wait for such an end.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What runs, by execution and by trigger.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    triggers: HashMap<Arc<str>, Arc<str>>,
    executions: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Triggers that have queued an occurrence.
    waiting: HashSet<Arc<str>>,
    /// Those of them that run nothing any more.
    free: BTreeSet<Arc<str>>,
}

impl Running {
    /// An execution of a trigger begins, or is unfinished from before.
    pub(super) fn began(&self, trigger_id: &Arc<str>, execution_id: &Arc<str>) {
        let mut known = self.lock();
        known.triggers.insert(Arc::clone(execution_id), Arc::clone(trigger_id));
        known.executions.entry(Arc::clone(trigger_id)).or_default().insert(Arc::clone(execution_id));
    }

    /// An execution has ended, or was not started after all. Tells whether a trigger has waited for that.
    pub(super) fn ended(&self, execution_id: &str) -> bool {
        let mut known = self.lock();
        let Some(trigger_id) = known.triggers.remove(execution_id) else { return false };
        let Some(left) = known.executions.get_mut(&trigger_id) else { return false };
        left.remove(execution_id);
        if !left.is_empty() {
            return false;
        }
        known.executions.remove(&trigger_id);
        known.waiting.contains(&trigger_id) && known.free.insert(trigger_id)
    }

    /// The executions of a trigger.
    pub(super) fn of(&self, trigger_id: &str) -> Vec<Arc<str>> {
        self.lock().executions.get(trigger_id).into_iter().flatten().cloned().collect()
    }

    /// A trigger has queued an occurrence.
    pub(super) fn wait(&self, trigger_id: &Arc<str>) {
        let mut known = self.lock();
        known.waiting.insert(Arc::clone(trigger_id));
        // What it waits for may have ended just before.
        if !known.executions.contains_key(trigger_id) {
            known.free.insert(Arc::clone(trigger_id));
        }
    }

    /// Takes the triggers that need not wait any longer.
    pub(super) fn take_free(&self) -> Vec<Arc<str>> {
        let mut known = self.lock();
        let free = std::mem::take(&mut known.free);
        known.waiting.retain(|trigger_id| !free.contains(trigger_id));
        free.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_free_when_its_last_execution_has_ended() {
        let running = Running::default();
        let (trigger, a, b): (Arc<str>, Arc<str>, Arc<str>) = ("t".into(), "a".into(), "b".into());
        running.began(&trigger, &a);
        running.began(&trigger, &b);
        running.wait(&trigger);
        assert_eq!(running.of("t").len(), 2);
        assert!(!running.ended("a") && !running.ended("stranger") && running.take_free().is_empty());
        assert!(running.ended("b"));
        assert_eq!(running.take_free(), [Arc::clone(&trigger)]);
        assert!(running.of("t").is_empty() && running.take_free().is_empty());
    }

    #[test]
    fn an_end_that_nobody_waits_for_wakes_nobody() {
        let running = Running::default();
        let (trigger, a): (Arc<str>, Arc<str>) = ("t".into(), "a".into());
        running.began(&trigger, &a);
        assert!(!running.ended("a"));
        running.wait(&trigger);
        assert_eq!(running.take_free(), [trigger], "it has nothing to wait for");
    }
}
