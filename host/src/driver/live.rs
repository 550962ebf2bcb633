//! Committed events for whoever listens.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::broadcast;
use weir_engine::event::Record;

use super::lock;

/// Events that a slow listener may be behind before it has to read the log instead.
const QUEUE: usize = 256;

/// The committed events of one append.
type Events = Arc<Vec<Record>>;

/// Who listens to which execution.
#[derive(Debug, Default)]
pub(super) struct Live {
    listeners: Mutex<HashMap<Arc<str>, broadcast::Sender<Events>>>,
    /// How many executions are listened to: almost always none, and then nothing is locked.
    listening: AtomicUsize,
}

impl Live {
    pub(super) fn subscribe(&self, id: &str) -> broadcast::Receiver<Events> {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|_, sender| sender.receiver_count() > 0);
        let receiver = match listeners.get(id) {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, receiver) = broadcast::channel(QUEUE);
                listeners.insert(id.into(), sender);
                receiver
            }
        };
        self.listening.store(listeners.len(), Ordering::Release);
        receiver
    }

    pub(super) fn publish(&self, id: &Arc<str>, events: &Events) {
        if self.listening.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(sender) = lock(&self.listeners).get(id) {
            // Nobody may be left to listen; that is no fault.
            let _ = sender.send(events.clone());
        }
    }
}
