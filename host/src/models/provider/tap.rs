//! Where the frames of one stream are read, as they pass on their way into the library.

use std::sync::{Mutex, MutexGuard, PoisonError};

use genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use tokio::sync::Notify;

use crate::models::{
    Problem, Provider,
    heard::{Heard, Whole},
    names::ToolNames,
    protocol,
};

/// Hears one stream.
pub(super) struct Tap {
    provider: Provider,
    heard: Mutex<Heard>,
    hopeless: Notify,
}

impl Tap {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, heard: Mutex::default(), hopeless: Notify::new() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // What was heard is whole after each frame, so a panic in between leaves nothing to repair.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text that came since the last time.
    pub(super) fn take_delta(&self) -> Option<String> {
        self.heard().take_delta()
    }

    /// Resolves once there is a reason why this will never be an answer: the library goes on with frames that say nothing
    /// to it for as long as they come.
    pub(super) async fn hopeless(&self) {
        self.hopeless.notified().await;
    }

    /// Whether nothing that still comes can change what this is: the end was seen, or a reason why there is none.
    pub(super) fn is_decided(&self) -> bool {
        let heard = self.heard();
        heard.is_whole || heard.problem.is_some()
    }

    /// How much has come.
    pub(super) fn bytes(&self) -> usize {
        self.heard().bytes()
    }

    /// The answer, if all of it came.
    pub(super) fn finish(&self, names: &ToolNames) -> Result<Whole, Problem> {
        std::mem::take(&mut *self.heard()).finish(names)
    }
}

impl ChatFrameSink for Tap {
    fn on_frame(&self, _stream: &FrameCtx, frame: RawFrameRef<'_>) {
        let mut heard = self.heard();
        protocol::read(self.provider, &mut heard, frame.data);
        if heard.problem.is_some() {
            self.hopeless.notify_one();
        }
    }
}
