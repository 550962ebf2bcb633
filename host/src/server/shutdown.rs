//! One idea: the moment at which the host begins to stop, known to everyone who waits for something long.

use tokio::sync::watch;

/// Begins the stop; dropping it begins it as well.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Tells when the stop has begun.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what it triggers.
#[must_use]
pub fn pair() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Begins the stop.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Resolves when the stop begins, at once if it has begun.
    pub async fn begun(&self) {
        let mut receiver = self.0.clone();
        // An error means that the trigger is gone, which is a stop as well.
        drop(receiver.wait_for(|begun| *begun).await);
    }
}
