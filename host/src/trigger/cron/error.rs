//! What can be wrong with a schedule, and where.

use std::fmt;

/// A field of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Of the minute, 0–59.
    Second,
    /// Of the hour, 0–59.
    Minute,
    /// Of the day, 0–23.
    Hour,
    /// 1–31.
    DayOfMonth,
    /// 1–12 or JAN–DEC.
    Month,
    /// 0–7 or SUN–SAT; 0 and 7 are Sunday.
    DayOfWeek,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// The fields of a schedule with seconds, in their order.
    pub(super) const ALL: [Self; 6] =
        [Self::Second, Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// The smallest and the greatest value.
    pub(super) const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The value of a name, in letters of any case.
    pub(super) fn named(self, name: &str) -> Option<u32> {
        let (names, first): (&[&str], u32) = match self {
            Self::Month => (&MONTHS, 1),
            Self::DayOfWeek => (&WEEKDAYS, 0),
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth => (&[], 0),
        };
        (first..).zip(names).find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(value, _)| value)
    }

    /// The first letters of its names, for messages.
    const fn names(self) -> &'static str {
        match self {
            Self::Month => " or JAN to DEC",
            Self::DayOfWeek => " or SUN to SAT",
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth => "",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        })
    }
}

/// What is wrong at a place of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but blanks.
    #[error("it is empty: write five fields such as \"0 9 * * MON-FRI\"")]
    Empty,
    /// More bytes than a schedule may have.
    #[error("it has more than {} bytes", super::TEXT_BYTES_MAX)]
    TooLong,
    /// Neither five nor six fields.
    #[error("it has {found} fields instead of five, or six with leading seconds")]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// A word after `@` that names no schedule.
    #[error("it has no such name: use @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly")]
    UnknownAlias,
    /// A list, a range or a step lacks a value.
    #[error("a value is missing")]
    Missing,
    /// A character that has no business there.
    #[error("{found:?} does not belong here")]
    Unexpected {
        /// The character.
        found: char,
    },
    /// A sign of another kind of cron.
    #[error("{found:?} is not part of POSIX cron")]
    NotPosix {
        /// The character.
        found: char,
    },
    /// A word that names no value of the field.
    #[error("{name:?} is no value: use {} to {}{}", .field.bounds().0, .field.bounds().1, .field.names())]
    UnknownName {
        /// The field.
        field: Field,
        /// The word.
        name: String,
    },
    /// A number that the field does not have.
    #[error("{value} is out of range: use {} to {}{}", .field.bounds().0, .field.bounds().1, .field.names())]
    OutOfRange {
        /// The field.
        field: Field,
        /// The number as it was written.
        value: String,
    },
    /// The end of a range comes before its start.
    #[error("the range ends before it starts: split it in two, as in \"22-23,0-2\" (Sunday is also 7)")]
    Backwards,
    /// A step that is no number from 1.
    #[error("a step is a number from 1")]
    BadStep,
    /// A step that skips the whole field.
    #[error("a step of {step} passes the whole field: name the one value instead")]
    StepTooLarge {
        /// The step as it was written.
        step: String,
    },
}

/// Why a schedule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// A fault of the text as a whole.
    #[error("could not read the schedule at character {}: {fault}", .at + 1)]
    Text {
        /// The character, counted from 0.
        at: usize,
        /// What is wrong there.
        fault: Fault,
    },
    /// A fault in one field.
    #[error("could not read the {field} field of the schedule at character {}: {fault}", .at + 1)]
    Field {
        /// The field.
        field: Field,
        /// The character in the whole text, counted from 0.
        at: usize,
        /// What is wrong there.
        fault: Fault,
    },
    /// The zone is not in the database.
    #[error("could not find the time zone {name:?}: use an IANA name such as UTC or Europe/Berlin")]
    Zone {
        /// The name, cut if it is long.
        name: String,
    },
    /// No date matches for years.
    #[error("the schedule has no date in the next {} years: check its days and months", super::HORIZON_YEARS)]
    NoDate,
    /// The matcher does not understand what the parser made of the text.
    #[error("could not match the schedule {fields:?}: {message}")]
    Matcher {
        /// The fields in the matcher's form.
        fields: String,
        /// What it says.
        message: String,
    },
}

impl CronError {
    /// The character of the schedule's text where the fault is, counted from 0.
    #[must_use]
    pub const fn position(&self) -> Option<usize> {
        match self {
            Self::Text { at, .. } | Self::Field { at, .. } => Some(*at),
            Self::Zone { .. } | Self::NoDate | Self::Matcher { .. } => None,
        }
    }
}
