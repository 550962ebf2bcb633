//! From one instant of a schedule to the next and to the last.

use super::{
    Schedule,
    zone::{Change, Civil, Real},
};

/// The first instant after this one.
pub(super) fn after(schedule: &Schedule, real: Real) -> Option<Real> {
    if schedule.fields.fixed {
        let next = schedule.matcher.after(schedule.zone.reached(real))?;
        return Some(schedule.zone.fixed(next));
    }
    // From change to change: in between the offset stays as it is.
    let offset = schedule.zone.offset(real);
    let (mut floor, mut offset, mut end) = (real.civil(offset), offset, schedule.zone.change_after(real));
    loop {
        let next = schedule.matcher.after(floor)?.real(offset);
        let Some(change) = end.filter(|change| next >= change.at) else { return Some(next) };
        (floor, offset) = (change.at.civil(change.after).before(), change.after);
        end = schedule.zone.change_after(change.at);
    }
}

/// The last instant that is not after this one.
pub(super) fn last_until(schedule: &Schedule, real: Real) -> Option<Real> {
    if schedule.fields.fixed {
        let last = schedule.matcher.last_until(schedule.zone.reached(real))?;
        return Some(schedule.zone.fixed(last));
    }
    let offset = schedule.zone.offset(real);
    let (mut ceiling, mut offset, mut start) = (real.civil(offset), offset, schedule.zone.change_until(real));
    loop {
        let last = schedule.matcher.last_until(ceiling)?.real(offset);
        let Some(change) = start.filter(|change| last < change.at) else { return Some(last) };
        (ceiling, offset) = (change.at.civil(change.before).before(), change.before);
        start = schedule.zone.change_until(Real(change.at.0 - 1));
    }
}

/// The changes after `from` up to and with `until`, oldest first.
pub(super) fn changes(schedule: &Schedule, from: Real, until: Real) -> impl Iterator<Item = Change> + '_ {
    let next = move |real: Real| schedule.zone.change_after(real).filter(|change| change.at <= until);
    std::iter::successors(next(from), move |change| next(change.at))
}

/// A stretch of wall time that was gone through without a change: after the first, up to and with the second.
pub(super) type Stretch = (Civil, Civil);

/// The stretches between two instants, the first of which is left out.
pub(super) fn stretches(schedule: &Schedule, from: Real, until: Real) -> Vec<Stretch> {
    let (mut found, mut floor) = (Vec::new(), from.civil(schedule.zone.offset(from)));
    for change in changes(schedule, from, until) {
        found.push((floor, change.at.civil(change.before).before()));
        floor = change.at.civil(change.after).before();
    }
    found.push((floor, until.civil(schedule.zone.offset(until))));
    found
}
