//! Committed events for whoever listens.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::broadcast;
use weir_engine::{
    event::Record,
    id::{CallId, EffectId},
};

use super::lock;

/// Events that a slow listener may be behind before it has to read the log instead.
const QUEUE: usize = 256;

/// What listeners hear.
#[derive(Debug, Clone)]
pub enum Heard {
    /// The committed events of one append.
    Events(Arc<Vec<Record>>),
    /// A piece of an answer that a model is giving. It is not kept: the whole answer is in the journal afterwards.
    Piece(Arc<Piece>),
}

/// A piece of an answer that a model is giving.
#[derive(Debug)]
pub struct Piece {
    /// The visit of the step that asked.
    pub call: CallId,
    /// Which effect of it.
    pub effect: EffectId,
    /// The text.
    pub text: String,
}

/// Who listens to which execution.
#[derive(Debug, Default)]
pub(super) struct Live {
    listeners: Mutex<HashMap<Arc<str>, broadcast::Sender<Heard>>>,
    /// How many executions are listened to: almost always none, and then nothing is locked.
    listening: AtomicUsize,
}

impl Live {
    pub(super) fn subscribe(&self, id: &str) -> broadcast::Receiver<Heard> {
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

    pub(super) fn publish(&self, id: &Arc<str>, events: &Arc<Vec<Record>>) {
        self.tell(id, || Heard::Events(events.clone()));
    }

    /// Tells a piece of an answer that a model is giving.
    pub(super) fn say(&self, id: &Arc<str>, call: CallId, effect: &EffectId, text: String) {
        self.tell(id, || Heard::Piece(Arc::new(Piece { call, effect: effect.clone(), text })));
    }

    fn tell(&self, id: &Arc<str>, heard: impl FnOnce() -> Heard) {
        if self.listening.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(sender) = lock(&self.listeners).get(id) {
            // Nobody may be left to listen; that is no fault.
            let _ = sender.send(heard());
        }
    }
}
