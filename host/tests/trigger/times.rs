//! Instants as people write them.

use weir_engine::id::Timestamp;
use weir_host::trigger::cron::Schedule;

/// An instant in RFC 3339.
pub(super) fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp(instant.as_microsecond())
}

/// An instant as the clocks of a zone show it, with their offset.
pub(super) fn shown(instant: Timestamp, zone: &str) -> String {
    let instant = jiff::Timestamp::from_microsecond(instant.0).unwrap();
    let zoned = instant.in_tz(zone).unwrap();
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A schedule that has to be sound.
pub(super) fn schedule(text: &str, zone: &str) -> Schedule {
    Schedule::parse(text, zone).unwrap_or_else(|error| panic!("{text} in {zone}: {error}"))
}

/// The next instants after one, as the clocks of the schedule's zone show them.
pub(super) fn next(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    schedule.upcoming(at(from)).take(count).map(|instant| schedule.shown(instant)).collect()
}
