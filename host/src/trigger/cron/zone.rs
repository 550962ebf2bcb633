//! Between the time on a wall and real instants.

use jiff::{
    Timestamp as Instant,
    tz::{AmbiguousOffset, Offset, TimeZone},
};
use weir_engine::id::Timestamp;

use super::{DAY, END, MICROSECONDS, error::CronError};

/// The longest name of a zone, in bytes; the database's longest has 32.
const NAME_BYTES_MAX: usize = 64;
/// Files of a machine's database that stand for its own zone, whatever that is.
const OF_THE_MACHINE: [&str; 2] = ["localtime", "posixrules"];
/// So many transitions in a row may leave the offset as it is.
const IDLE_TRANSITIONS_MAX: usize = 64;

/// A real instant, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Real(pub(super) i64);

/// A time on a wall, in seconds since 1970 as if the wall were in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Civil(pub(super) i64);

impl Real {
    /// The second that an instant is in; a little before 1970 or after the last year for what is farther away, where
    /// no schedule has instants.
    pub(super) fn floor(instant: Timestamp) -> Self {
        Self(instant.0.div_euclid(MICROSECONDS).clamp(-2 * DAY, END + 2 * DAY))
    }

    pub(super) fn timestamp(self) -> Timestamp {
        Timestamp(self.0 * MICROSECONDS)
    }

    fn instant(self) -> Instant {
        Instant::from_second(self.0).unwrap_or(Instant::UNIX_EPOCH)
    }

    /// What a wall shows whose clock is so many seconds ahead of UTC.
    pub(super) fn civil(self, offset: i64) -> Civil {
        Civil(self.0 + offset)
    }
}

impl Civil {
    /// When a wall shows this whose clock is so many seconds ahead of UTC.
    pub(super) fn real(self, offset: i64) -> Real {
        Real(self.0 - offset)
    }

    pub(super) fn before(self) -> Self {
        Self(self.0 - 1)
    }
}

/// A moment at which clocks are changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// The first instant of the new time.
    pub(super) at: Real,
    /// Seconds ahead of UTC until then.
    pub(super) before: i64,
    /// Seconds ahead of UTC from then on.
    pub(super) after: i64,
}

impl Change {
    /// The times that no clock shows: the first of them, and the first after them.
    pub(super) fn gap(self) -> Option<(Civil, Civil)> {
        (self.after > self.before).then(|| (self.at.civil(self.before), self.at.civil(self.after)))
    }
}

/// A time zone.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    zone: TimeZone,
    name: String,
}

impl Zone {
    /// Finds a zone by its IANA name, whatever the case of its letters.
    pub(super) fn find(name: &str) -> Result<Self, CronError> {
        let refused = || CronError::Zone { name: name.chars().take(NAME_BYTES_MAX).collect() };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        let strange = name.len() > NAME_BYTES_MAX || !name.bytes().all(plain);
        if strange || OF_THE_MACHINE.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(refused());
        }
        let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown()).ok_or_else(refused)?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Ok(Self { zone, name })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An instant in RFC 3339, with the zone's offset.
    pub(super) fn shown(&self, real: Real) -> String {
        real.instant().to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// How many seconds clocks are ahead of UTC at an instant.
    pub(super) fn offset(&self, real: Real) -> i64 {
        i64::from(self.zone.to_offset(real.instant()).seconds())
    }

    /// The first change strictly after an instant.
    pub(super) fn change_after(&self, real: Real) -> Option<Change> {
        let transitions = self.zone.following(real.instant()).take(IDLE_TRANSITIONS_MAX);
        transitions.map(|transition| self.change(transition.timestamp())).find(|change| change.before != change.after)
    }

    /// The last change that is not after an instant.
    pub(super) fn change_until(&self, real: Real) -> Option<Change> {
        let next = Real(real.0 + 1).instant();
        let transitions = self.zone.preceding(next).take(IDLE_TRANSITIONS_MAX);
        transitions.map(|transition| self.change(transition.timestamp())).find(|change| change.before != change.after)
    }

    fn change(&self, at: Instant) -> Change {
        let at = Real(at.as_second());
        Change { at, before: self.offset(Real(at.0 - 1)), after: self.offset(at) }
    }

    /// When a job runs that is fixed to a time: in a gap the first instant after it, of two equal times the first.
    pub(super) fn fixed(&self, civil: Civil) -> Real {
        let Ok(wall) = Instant::from_second(civil.0).map(|instant| Offset::UTC.to_datetime(instant)) else {
            return civil.real(0);
        };
        let seconds = |offset: Offset| i64::from(offset.seconds());
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => civil.real(seconds(offset)),
            AmbiguousOffset::Fold { before, after: _ } => civil.real(seconds(before)),
            AmbiguousOffset::Gap { before, after: _ } => {
                let as_if_none = civil.real(seconds(before));
                self.change_until(as_if_none).map_or(as_if_none, |change| change.at)
            }
        }
    }

    /// The last time of which the first occurrence has begun at an instant: what clocks show, or what they showed
    /// before they went back.
    pub(super) fn reached(&self, real: Real) -> Civil {
        let shown = real.civil(self.offset(real));
        match self.change_until(real) {
            Some(change) => shown.max(change.at.civil(change.before).before()),
            None => shown,
        }
    }
}
