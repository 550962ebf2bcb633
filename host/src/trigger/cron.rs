//! Schedules in the manner of POSIX cron, in a time zone, and what to do about instants that were missed.
//!
//! No clock is read and nothing waits here; of the outside only the rules of time zones are read. Crate `cron` matches the fields against the time on the wall, as if
//! every zone were UTC; what daylight saving makes of it is decided here (see [`Schedule::after`]).

mod count;
mod error;
mod fields;
mod matcher;
mod parse;
mod plan;
mod policy;
mod walk;
mod zone;

use weir_engine::id::Timestamp;

pub use self::{
    error::{CronError, Fault, Field},
    plan::{GRACE_MS, LISTED_MAX, Missed, Plan, RUN_ALL_MAX, Reason, plan},
    policy::{Admission, CatchUp, Overlap},
};
use self::{
    fields::Fields,
    matcher::Matcher,
    zone::{Real, Zone},
};

/// The longest schedule, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// A schedule has to have a date within this many years.
pub const HORIZON_YEARS: i64 = 8;
/// The last year that schedules reach.
pub const LAST_YEAR: i64 = 2100;

const MICROSECONDS: i64 = 1_000_000;
/// The first second after [`LAST_YEAR`].
const END: i64 = 4_133_980_800;
const DAY: i64 = 86_400;

/// A schedule in a time zone: a set of instants, each on a whole second.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    fields: Fields,
    matcher: Matcher,
    zone: Zone,
}

impl Schedule {
    /// Reads a schedule of five fields, of six with leading seconds, or a name such as `@daily`, in an IANA time zone.
    ///
    /// # Errors
    /// The text is no schedule: the error names the field, the place and the fault. The zone does not exist.
    pub fn parse(text: &str, zone: &str) -> Result<Self, CronError> {
        let fields = parse::parse(text)?;
        let matcher = Matcher::new(&fields)?;
        Ok(Self { text: text.to_owned(), fields, matcher, zone: Zone::find(zone)? })
    }

    /// Checks that there is a date within [`HORIZON_YEARS`] of `now`. Whoever saves a schedule calls this; a schedule
    /// that was saved before is not refused by it later.
    ///
    /// # Errors
    /// There is none.
    pub fn check(&self, now: Timestamp) -> Result<(), CronError> {
        // Years of 366 days, so that a leap day is always within.
        let horizon = now.0.saturating_add(HORIZON_YEARS * 366 * DAY * MICROSECONDS);
        match self.after(now) {
            Some(next) if next.0 <= horizon => Ok(()),
            Some(_) | None => Err(CronError::NoDate),
        }
    }

    /// The schedule as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its time zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.name()
    }

    /// The first instant strictly after this one; none after [`LAST_YEAR`].
    ///
    /// Where clocks go forward, a job that is fixed to a time in the gap runs once, at the first instant after it. Where
    /// they go back, it runs at the first of two equal times only. A job whose minute or hour field begins with `*`
    /// follows the clock on the wall: every instant runs whose time matches, each once.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        walk::after(self, Real::floor(instant)).map(Real::timestamp)
    }

    /// The last instant that is not after this one; none before 1970.
    #[must_use]
    pub fn last_until(&self, instant: Timestamp) -> Option<Timestamp> {
        walk::last_until(self, Real::floor(instant)).map(Real::timestamp)
    }

    /// The instants after `from`, oldest first.
    pub fn upcoming(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.after(from), |last| self.after(*last))
    }

    /// The instants after `from` up to and with `until`, oldest first.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.upcoming(from).take_while(move |instant| *instant <= until)
    }

    /// An instant as clocks of the zone show it, in RFC 3339 with their offset.
    #[must_use]
    pub fn shown(&self, instant: Timestamp) -> String {
        self.zone.shown(Real::floor(instant))
    }

    /// How many instants lie after `from` up to and with `until`, without going through them.
    #[must_use]
    pub fn count(&self, from: Timestamp, until: Timestamp) -> u64 {
        count::between(self, Real::floor(from), Real::floor(until))
    }
}
