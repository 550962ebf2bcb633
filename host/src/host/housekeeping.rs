//! What is done now and then: what was used last is noted, and what has run out is forgotten.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::{
    accounts::Accounts,
    store::{self, Store},
};

/// How often it is noted what was used last.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How many notes lie between two times that what has run out is forgotten.
const NOTES_TO_SWEEP: u32 = 60;

/// Runs until it is aborted.
pub(super) async fn run(accounts: Accounts, store: Store) {
    let mut turns = tokio::time::interval(NOTE_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in (0..NOTES_TO_SWEEP).cycle() {
        turns.tick().await;
        if let Err(error) = accounts.flush().await {
            tracing::warn!("could not note what was used last: {error}");
        }
        if turn == 0 {
            sweep(&accounts, &store).await;
        }
    }
}

async fn sweep(accounts: &Accounts, store: &Store) {
    if let Err(error) = accounts.sweep().await {
        tracing::warn!("could not forget sessions that have run out: {error}");
    }
    if let Err(error) = store.forget_idempotency_keys(store::now()).await {
        tracing::warn!("could not forget old idempotency keys: {error}");
    }
    if let Err(error) = store.forget_occurrences(store::now()).await {
        tracing::warn!("could not forget old occurrences: {error}");
    }
    if let Err(error) = store.forget_spent(store::now()).await {
        tracing::warn!("could not forget what was spent long ago: {error}");
    }
    if let Err(error) = store.forget_events(store::now()).await {
        tracing::warn!("could not forget old events: {error}");
    }
}
