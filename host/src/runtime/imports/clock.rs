//! A clock that tells every attempt of a call the same: it starts at a fixed instant and moves on a little each time
//! it is read, so that a program that waits for time to pass does not wait for ever.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// 1 January 2000, 00:00 UTC.
const WALL_START: Duration = Duration::from_secs(946_684_800);
const STEP: Duration = Duration::from_millis(1);
const STEP_NS: u64 = 1_000_000;

/// How often the clock was read.
#[derive(Debug, Default)]
struct Readings(AtomicU64);

impl Readings {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// The date.
#[derive(Debug, Default)]
pub(super) struct Wall(Readings);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        WALL_START.saturating_add(Duration::from_millis(self.0.next()))
    }
}

/// The time since the call began.
#[derive(Debug, Default)]
pub(super) struct Monotonic(Readings);

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        STEP_NS
    }

    fn now(&self) -> u64 {
        self.0.next().saturating_mul(STEP_NS)
    }
}
