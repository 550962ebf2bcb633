//! Dates and times.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, Unit, Zoned};
use weir_sdk::prelude::*;

/// A date, and what to do with it.
#[derive(Deserialize, JsonSchema)]
pub struct DateInput {
    /// The date: `2026-11-22`, `2026-11-22T10:00`, with an offset `2026-11-22T10:00:00+01:00` or `…Z`, with a zone
    /// `…[Europe/Berlin]`, an instant in seconds since 1970 as a number, or a text that `parse_format` describes.
    pub date: DateText,
    /// How to read `date`, in the letters of strftime: `%d.%m.%Y`.
    #[serde(default)]
    pub parse_format: Option<String>,
    /// The time zone of a date that names none: an IANA name, `UTC` where there is none.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// What to add: `P1M2D`, `2 weeks`, `-3 hours`, `1 year 6 months`. Days and more follow the calendar of the zone.
    #[serde(default)]
    pub add: Option<String>,
    /// The time zone to answer in: an IANA name.
    #[serde(default)]
    pub to_time_zone: Option<String>,
    /// How to write the date into `formatted`, in the letters of strftime: `%A, %d %B %Y`.
    #[serde(default)]
    pub format: Option<String>,
}

/// A text or a number.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DateText {
    /// A date in letters.
    Text(String),
    /// Seconds since 1970.
    Seconds(f64),
}

/// A date in all its forms.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct DateOutput {
    /// The instant in RFC 3339, with the offset of its zone: `2026-11-22T10:00:00+01:00`.
    pub date: String,
    /// The zone: an IANA name, or an offset.
    pub time_zone: String,
    /// The day alone: `2026-11-22`.
    pub day: String,
    /// The day of the week: `monday` to `sunday`.
    pub weekday: String,
    /// The week of the year, 1 to 53 (ISO 8601).
    pub week: i8,
    /// The day of the year, 1 to 366.
    pub day_of_year: i16,
    /// The instant in seconds since 1970.
    pub epoch_seconds: f64,
    /// The date in the format that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
}

/// Two dates.
#[derive(Deserialize, JsonSchema)]
pub struct DateDifferenceInput {
    /// The one, as `date` reads it.
    pub from: DateText,
    /// The other.
    pub to: DateText,
    /// The time zone of dates that name none, and whose calendar counts: an IANA name, `UTC` where there is none.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// From one date to another.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct DateDifferenceOutput {
    /// Years, months, days, hours … of the calendar, as an ISO 8601 duration: `P1M2DT3H`.
    pub duration: String,
    /// Whole days of the calendar.
    pub days: i64,
    /// Seconds that pass; negative where `to` comes first.
    pub seconds: f64,
}

const TEXT_BYTES_MAX: usize = 256;

/// Reads a date; adds to it, converts it to another time zone, writes it in a format.
///
/// Knows all IANA time zones and the calendar: one month after 31 January is 28 February, and a day with a change of
/// the clocks has 23 or 25 hours. There is no `now`: a step that runs again must do the same again. Take the time from
/// `$.workflow.timestamp`.
#[tool(idempotent, read_only)]
pub fn date(input: DateInput) -> Result<DateOutput> {
    for text in [&input.parse_format, &input.time_zone, &input.add, &input.to_time_zone, &input.format] {
        check_text(text.as_deref().unwrap_or_default())?;
    }
    let zone = input.time_zone.as_deref().map_or(Ok(TimeZone::UTC), zone)?;
    let mut date = match (&input.parse_format, &input.date) {
        (Some(format), DateText::Text(text)) => parse_by(format, text, zone)?,
        (_, text) => parse(text, zone)?,
    };
    if let Some(text) = &input.add {
        date = add(&date, text)?;
    }
    if let Some(name) = &input.to_time_zone {
        date = date.with_time_zone(self::zone(name)?);
    }
    describe(&date, input.format.as_deref())
}

/// Measures the time from one date to another.
///
/// Answers the difference in years, months, days and hours of the calendar, in whole days, and in seconds.
#[tool(idempotent, read_only)]
pub fn date_difference(input: DateDifferenceInput) -> Result<DateDifferenceOutput> {
    let zone = input.time_zone.as_deref().map_or(Ok(TimeZone::UTC), zone)?;
    let from = parse(&input.from, zone.clone())?.with_time_zone(zone.clone());
    let to = parse(&input.to, zone.clone())?.with_time_zone(zone);
    let duration = from.until((Unit::Year, &to)).map_err(|error| outside(&error))?;
    let days = from.until((Unit::Day, &to)).map_err(|error| outside(&error))?;
    Ok(DateDifferenceOutput {
        duration: duration.to_string(),
        days: i64::from(days.get_days()),
        seconds: seconds(&to.timestamp()) - seconds(&from.timestamp()),
    })
}

fn check_text(text: &str) -> Result<()> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Failure::invalid_input(format!("a text has {} bytes, the most is {TEXT_BYTES_MAX}", text.len())));
    }
    Ok(())
}

/// The zone of an IANA name, from the rules that come with the component: the same on every machine.
fn zone(name: &str) -> Result<TimeZone> {
    check_text(name)?;
    if name.eq_ignore_ascii_case("utc") || name == "Z" {
        return Ok(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).map_err(|_| {
        Failure::invalid_input(format!("time zone {name:?} is unknown: use an IANA name such as Europe/Berlin"))
    })
}

fn parse(date: &DateText, zone: TimeZone) -> Result<Zoned> {
    let text = match date {
        DateText::Seconds(number) => return from_seconds(*number).map(|instant| instant.to_zoned(zone)),
        DateText::Text(text) => text.trim(),
    };
    check_text(text)?;
    let wrong = |error: jiff::Error| {
        Failure::invalid_input(format!(
            "date {text:?} cannot be read: {error}: write it as 2026-11-22T10:00:00Z, or give parse_format"
        ))
    };
    if let Some((instant, name)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        let zone = self::zone(name)?;
        return match instant.parse::<Timestamp>() {
            Ok(instant) => Ok(instant.to_zoned(zone)),
            Err(_) => instant.parse::<DateTime>().and_then(|date| date.to_zoned(zone)).map_err(wrong),
        };
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        // A date with an offset stays in it, unless it is UTC anyway.
        let offset = jiff::fmt::temporal::Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
        return Ok(instant.to_zoned(offset.filter(|offset| !offset.is_zero()).map_or(zone, TimeZone::fixed)));
    }
    text.parse::<DateTime>().and_then(|date| date.to_zoned(zone)).map_err(wrong)
}

fn from_seconds(number: f64) -> Result<Timestamp> {
    // Microseconds: more than that an `f64` does not hold for today's dates. The cast saturates, and is then refused.
    Timestamp::from_microsecond((number * 1e6).round() as i64).map_err(|error| outside(&error))
}

fn parse_by(format: &str, text: &str, zone: TimeZone) -> Result<Zoned> {
    check_text(text)?;
    let wrong = |error: jiff::Error| {
        Failure::invalid_input(format!("date {text:?} cannot be read by parse_format {format:?}: {error}"))
    };
    let parsed = strtime::parse(format, text).map_err(wrong)?;
    let zone = parsed.iana_time_zone().map(self::zone).transpose()?.unwrap_or(zone);
    if parsed.offset().is_some() || parsed.timestamp().is_some() {
        return parsed.to_timestamp().map(|instant| instant.to_zoned(zone)).map_err(wrong);
    }
    let day = parsed.to_date().map_err(wrong)?;
    let time = parsed.to_time().map_err(wrong)?;
    day.to_datetime(time).to_zoned(zone).map_err(wrong)
}

fn add(date: &Zoned, text: &str) -> Result<Zoned> {
    let span: Span = text.parse().map_err(|error| {
        Failure::invalid_input(format!("add {text:?} is no duration: {error}: write it as P1M2D or \"2 weeks\""))
    })?;
    date.checked_add(span).map_err(|error| outside(&error))
}

fn outside(error: &jiff::Error) -> Failure {
    Failure::invalid_input(format!("the date lies outside of the years that can be counted: {error}"))
}

fn describe(date: &Zoned, format: Option<&str>) -> Result<DateOutput> {
    let formatted = format.map(|format| {
        strtime::format(format, date)
            .map_err(|error| Failure::invalid_input(format!("format {format:?} cannot be used: {error}")))
    });
    let week = date.date().iso_week_date();
    Ok(DateOutput {
        date: rfc3339(date),
        time_zone: date.time_zone().iana_name().map_or_else(|| date.offset().to_string(), str::to_owned),
        day: date.date().to_string(),
        weekday: format!("{:?}", date.weekday()).to_lowercase(),
        week: week.week(),
        day_of_year: date.day_of_year(),
        epoch_seconds: seconds(&date.timestamp()),
        formatted: formatted.transpose()?,
    })
}

fn rfc3339(date: &Zoned) -> String {
    if *date.time_zone() == TimeZone::UTC {
        return date.timestamp().to_string();
    }
    date.timestamp().display_with_offset(date.offset()).to_string()
}

/// Seconds with a fraction. Exact to the microsecond for the next centuries.
fn seconds(instant: &Timestamp) -> f64 {
    instant.as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests;
