//! How many instants lie between two, without going through them: work follows the days in between, not the instants.

use jiff::{
    Timestamp as Instant,
    civil::{Date, date},
    tz::Offset,
};

use super::{
    DAY, END, Schedule,
    fields::Fields,
    walk,
    zone::{Civil, Real},
};

/// How many instants lie after `from` up to and with `until`.
pub(super) fn between(schedule: &Schedule, from: Real, until: Real) -> u64 {
    if until <= from {
        return 0;
    }
    let count = |(after, until)| times(&schedule.fields, after, until);
    if !schedule.fields.fixed {
        return walk::stretches(schedule, from, until).into_iter().map(count).sum();
    }
    // All that falls into a gap runs as one, and as one with what is fixed to its end.
    let folded = walk::changes(schedule, from, until).filter_map(|change| {
        let (start, end) = change.gap()?;
        let merged = count((start.before(), end.before()));
        (merged > 0).then(|| merged - 1 + count((end.before(), end)))
    });
    let folded: u64 = folded.sum();
    count((schedule.zone.reached(from), schedule.zone.reached(until))) - folded
}

/// How many times match after one and up to and with the other.
fn times(fields: &Fields, after: Civil, until: Civil) -> u64 {
    let (after, until) = (after.0.clamp(-1, END - 1), until.0.clamp(-1, END - 1));
    if until <= after {
        return 0;
    }
    let (first, last) = (after.div_euclid(DAY), until.div_euclid(DAY));
    let whole: u64 = days(first, last).filter(|day| fields.allow_day(*day)).map(|_| fields.times_a_day()).sum();
    let begun = |second: i64| {
        let mut day = days(second.div_euclid(DAY), second.div_euclid(DAY) + 1);
        if day.any(|day| fields.allow_day(day)) { fields.times_until(second.rem_euclid(DAY)) } else { 0 }
    };
    // The days from the first on, without what of the first had passed, and with what of the last has.
    whole + begun(until) - begun(after)
}

/// The days by number from 1970, the last left out.
fn days(first: i64, last: i64) -> impl Iterator<Item = Date> {
    let start =
        Instant::from_second(first * DAY).map_or(date(1970, 1, 1), |instant| Offset::UTC.to_datetime(instant).date());
    std::iter::successors(Some(start), |day| day.tomorrow().ok()).zip(first..last).map(|(day, _)| day)
}
