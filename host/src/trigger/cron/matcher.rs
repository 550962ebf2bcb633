//! Crate `cron`, used for what it does well: which times on a wall match the fields.
//!
//! Its own rules differ from POSIX: Sunday is 1, both day fields always have to match, and where clocks go back its
//! iterator does too. So it is given values instead of the author's text, weekdays by name, one schedule for each half
//! of the rule "either day", and nothing but UTC.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};

use super::{
    END,
    error::{CronError, Field},
    fields::{DayRule, Fields, every},
    zone::Civil,
};

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Finds times that match.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    first: cron::Schedule,
    second: Option<cron::Schedule>,
}

impl Matcher {
    pub(super) fn new(fields: &Fields) -> Result<Self, CronError> {
        match fields.day_rule {
            DayRule::Both => Ok(Self { first: schedule(fields)?, second: None }),
            DayRule::Either => {
                let by_day = Fields { weekdays: every(Field::DayOfWeek), ..*fields };
                let by_weekday = Fields { days: every(Field::DayOfMonth), ..*fields };
                Ok(Self { first: schedule(&by_day)?, second: Some(schedule(&by_weekday)?) })
            }
        }
    }

    /// The first time after this one.
    pub(super) fn after(&self, civil: Civil) -> Option<Civil> {
        let from = date_time(civil)?;
        let found = self.schedules().filter_map(|schedule| schedule.after(&from).next());
        found.min().map(|next| Civil(next.timestamp()))
    }

    /// The last time that is not after this one.
    pub(super) fn last_until(&self, civil: Civil) -> Option<Civil> {
        // From beyond its last year the crate goes back to the same date of that year, not to the year's end.
        let from = date_time(Civil(civil.0.min(END - 1) + 1))?;
        let found = self.schedules().filter_map(|schedule| schedule.after(&from).next_back());
        found.max().map(|last| Civil(last.timestamp()))
    }

    fn schedules(&self) -> impl Iterator<Item = &cron::Schedule> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten()
    }
}

fn date_time(civil: Civil) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(civil.0, 0)
}

fn schedule(fields: &Fields) -> Result<cron::Schedule, CronError> {
    let number = |value: usize| value.to_string();
    let text = [
        values(Field::Second, fields.seconds, number),
        values(Field::Minute, fields.minutes, number),
        values(Field::Hour, fields.hours, number),
        values(Field::DayOfMonth, fields.days, number),
        values(Field::Month, fields.months, number),
        values(Field::DayOfWeek, fields.weekdays, |value| {
            WEEKDAYS.get(value).map_or(String::new(), |&name| name.into())
        }),
    ]
    .join(" ");
    cron::Schedule::from_str(&text).map_err(|error| CronError::Matcher { fields: text, message: error.to_string() })
}

/// A set as a list, or `*` where it is everything.
fn values(field: Field, set: u64, write: impl Fn(usize) -> String) -> String {
    if set == every(field) {
        return "*".to_owned();
    }
    (0..64).filter(|value| set >> value & 1 == 1).map(write).collect::<Vec<_>>().join(",")
}
