//! What to do about the instants that have come since the scheduler last looked.

use serde::{Deserialize, Serialize};
use weir_engine::id::Timestamp;

use super::{CatchUp, Schedule};

/// An instant that is not older than this is on time, whatever the policy, in milliseconds.
pub const GRACE_MS: i64 = 60_000;
/// The most missed instants that run under [`CatchUp::RunAll`].
pub const RUN_ALL_MAX: usize = 100;
/// So many skipped instants, the newest, are named one by one; the older ones are one range.
pub const LISTED_MAX: usize = 1_000;

/// Why an instant was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The host was not there, or its clock jumped.
    Missed,
    /// As missed; it would have been caught up, but there were more than [`RUN_ALL_MAX`].
    CatchUpLimit,
    /// An execution of the trigger still ran; the planner itself never says so.
    Overlap,
}

/// Instants that were skipped: one, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// The first.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
    /// How many there are.
    pub count: u64,
    /// Why.
    pub reason: Reason,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The instants that run now, oldest first.
    pub due: Vec<Timestamp>,
    /// The instants that do not run, oldest first.
    pub skipped: Vec<Missed>,
    /// The last instant that is dealt with; the next plan goes on after it. It never goes back.
    pub cursor: Timestamp,
}

/// Plans the instants after `cursor` up to and with `now`; each is either due or skipped.
///
/// If the oldest of them is on time, all run. Else the host has missed some, and the policy says what runs. A clock that
/// went back finds nothing to do until it has passed the cursor again.
#[must_use]
pub fn plan(schedule: &Schedule, cursor: Timestamp, now: Timestamp, catch_up: CatchUp) -> Plan {
    let newest = newest(schedule, cursor, now, LISTED_MAX + RUN_ALL_MAX);
    let Some(last) = newest.last().copied() else {
        return Plan { due: Vec::new(), skipped: Vec::new(), cursor };
    };
    let on_time = Timestamp(now.0.saturating_sub(GRACE_MS * 1_000));
    let punctual = newest.len() - newest.partition_point(|instant| *instant < on_time);
    let runs = match catch_up {
        _ if punctual == newest.len() => punctual,
        CatchUp::Skip => punctual,
        CatchUp::RunOnce => 1,
        CatchUp::RunAll => RUN_ALL_MAX,
    };
    let reason = match catch_up {
        CatchUp::Skip | CatchUp::RunOnce => Reason::Missed,
        CatchUp::RunAll => Reason::CatchUpLimit,
    };
    let (missed, due) = newest.split_at(newest.len().saturating_sub(runs));
    let listed = &missed[missed.len().saturating_sub(LISTED_MAX)..];
    let mut skipped = Vec::with_capacity(listed.len() + 1);
    skipped.extend(listed.first().and_then(|first| older(schedule, cursor, *first, reason)));
    skipped.extend(listed.iter().map(|instant| Missed { from: *instant, until: *instant, count: 1, reason }));
    Plan { due: due.to_vec(), skipped, cursor: last }
}

/// The newest instants after `cursor` up to and with `now`, oldest first.
fn newest(schedule: &Schedule, cursor: Timestamp, now: Timestamp, max: usize) -> Vec<Timestamp> {
    let last = |until: Timestamp| schedule.last_until(until).filter(|instant| *instant > cursor);
    let mut found: Vec<_> =
        std::iter::successors(last(now), |instant| last(Timestamp(instant.0 - 1))).take(max).collect();
    found.reverse();
    found
}

/// The range of what lies between the cursor and the first instant that is named.
fn older(schedule: &Schedule, cursor: Timestamp, first: Timestamp, reason: Reason) -> Option<Missed> {
    let before = Timestamp(first.0 - 1);
    let until = schedule.last_until(before).filter(|instant| *instant > cursor)?;
    let from = schedule.after(cursor)?;
    Some(Missed { from, until, count: schedule.count(cursor, until), reason })
}
