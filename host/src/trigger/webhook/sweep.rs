//! Deliveries are kept for a while, and then go. Nothing runs until the oldest has had its time.

use std::time::Duration;

use weir_engine::id::Timestamp;

use crate::store::{self, Store, StoreError};

/// How long deliveries are kept.
pub const KEPT: Duration = Duration::from_hours(8 * 24);
/// The longest sleep: a clock may be set.
const SLEEP_MAX: Duration = Duration::from_hours(1);
/// The shortest, so that deliveries that grow old one by one go together.
const SLEEP_MIN: Duration = Duration::from_secs(60);

/// Forgets deliveries that are too old, for ever; ends when the store is closed.
pub async fn sweep(store: Store) {
    loop {
        let sleep = match sweep_at(&store, store::now()).await {
            Ok(sleep) => sleep,
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "could not forget old deliveries; trying again later");
                SLEEP_MAX
            }
        };
        tokio::time::sleep(sleep).await;
    }
}

/// Forgets what is too old at `now`, and tells how long to sleep until there is something again.
async fn sweep_at(store: &Store, now: Timestamp) -> Result<Duration, StoreError> {
    let kept_us = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp(now.0.saturating_sub(kept_us));
    while store.forget_deliveries(before).await? > 0 {}
    let oldest = store.oldest_delivery().await?;
    let left = oldest.map_or(SLEEP_MAX, |at| {
        Duration::from_micros(u64::try_from(at.0.saturating_add(kept_us).saturating_sub(now.0)).unwrap_or(0))
    });
    Ok(left.clamp(SLEEP_MIN, SLEEP_MAX))
}
