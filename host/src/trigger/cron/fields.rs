//! What a schedule's fields allow, as sets of bits.

use jiff::civil::Date;

use super::error::Field;

/// How the two fields for days go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayRule {
    /// Both must match: one of them begins with `*`.
    Both,
    /// One is enough.
    Either,
}

/// Which values each field allows: bit `n` stands for value `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) days: u64,
    pub(super) months: u64,
    /// Sunday is 0, and never 7.
    pub(super) weekdays: u64,
    pub(super) day_rule: DayRule,
    /// Whether neither the minute nor the hour field begins with `*`.
    pub(super) fixed: bool,
}

impl Fields {
    /// Whether something may happen on a day.
    pub(super) fn allow_day(&self, date: Date) -> bool {
        let has = |set: u64, value: i8| set >> value & 1 == 1;
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month())
            && match self.day_rule {
                DayRule::Both => day && weekday,
                DayRule::Either => day || weekday,
            }
    }

    /// How many times of a day are allowed.
    pub(super) fn times_a_day(&self) -> u64 {
        [self.hours, self.minutes, self.seconds].map(|set| u64::from(set.count_ones())).iter().product()
    }

    /// How many times of a day are allowed up to and with this second of the day.
    pub(super) fn times_until(&self, second_of_day: i64) -> u64 {
        let below = |set: u64, value: i64| u64::from((set & !(u64::MAX << value)).count_ones());
        let has = |set: u64, value: i64| set >> value & 1;
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let seconds = below(self.seconds, second) + has(self.seconds, second);
        let all_seconds = u64::from(self.seconds.count_ones());
        let minutes = below(self.minutes, minute) * all_seconds + has(self.minutes, minute) * seconds;
        let all_minutes = u64::from(self.minutes.count_ones()) * all_seconds;
        below(self.hours, hour) * all_minutes + has(self.hours, hour) * minutes
    }
}

/// All values of a field, as a set.
pub(super) const fn every(field: Field) -> u64 {
    let (least, most) = match field {
        Field::DayOfWeek => (0, 6),
        Field::Second | Field::Minute | Field::Hour | Field::DayOfMonth | Field::Month => field.bounds(),
    };
    u64::MAX << least & !(u64::MAX << (most + 1))
}
