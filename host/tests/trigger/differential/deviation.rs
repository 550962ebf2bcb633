//! Where we differ from cronsim on purpose, and why.

use jiff::{Timestamp as Instant, tz::TimeZone};
use weir_host::trigger::cron::{HORIZON_YEARS, LAST_YEAR};

use super::Case;
use crate::trigger::times::at;

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;

/// What is answered: instants in seconds, or an error.
pub(super) type Answer = Result<Vec<i64>, String>;

/// A reason to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deviation {
    /// We refuse a step that passes the whole field (`*/90`): its author meant something else.
    StepBeyondField,
    /// We refuse a schedule without a date in the next eight years; cronsim looks for fifty.
    NoDateForYears,
    /// We end with the year 2100.
    LastYear,
    /// We treat a job that is fixed to a time alike, with seconds or without. cronsim applies Debian's rule to gaps and
    /// overlaps to five fields only: with six such a job is left out in a gap and runs twice in an overlap.
    FixedWithSeconds,
    /// Where clocks change by half an hour, cronsim goes on in whole hours from there, and is beside the hour until the
    /// day ends: it skips and adds minutes that the fields do not say.
    HalfHour,
    /// Where midnight is left out, cronsim begins the day with a midnight that no clock shows, and runs an hour later
    /// what the fields do not say.
    NoMidnight,
}

impl Deviation {
    pub(super) const ALL: [Self; 6] = [
        Self::StepBeyondField,
        Self::NoDateForYears,
        Self::LastYear,
        Self::FixedWithSeconds,
        Self::HalfHour,
        Self::NoMidnight,
    ];

    /// The reason why these answers differ, if it is a known one.
    pub(super) fn explain(case: &Case, ours: &Answer, theirs: &Answer) -> Option<Self> {
        match (ours, theirs) {
            (Err(error), _) if error.contains("passes the whole field") => Some(Self::StepBeyondField),
            (Err(error), _) if error.contains("no date") && none_for_years(case, theirs) => Some(Self::NoDateForYears),
            (Ok(ours), Ok(theirs)) if differ_after_last_year(ours, theirs) => Some(Self::LastYear),
            (Ok(ours), Ok(theirs)) => Self::explain_clocks(case, ours, theirs),
            (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => None,
        }
    }

    fn explain_clocks(case: &Case, ours: &[i64], theirs: &[i64]) -> Option<Self> {
        let fields: Vec<_> = case.text.split(' ').collect();
        let (six, times) = (fields.len() == 6, &fields[fields.len() - 5..fields.len() - 3]);
        let fixed = !times.iter().any(|field| field.starts_with('*'));
        let within = |hours: i64| same_but_after_changes(case, ours, theirs, hours * HOUR);
        match case.zone {
            _ if six && fixed && within(1) => Some(Self::FixedWithSeconds),
            "Australia/Lord_Howe" if (six || !fixed) && within(24) => Some(Self::HalfHour),
            "America/Santiago" if !fixed && within(1) => Some(Self::NoMidnight),
            _ => None,
        }
    }
}

/// Whether cronsim finds none for so long either.
fn none_for_years(case: &Case, theirs: &Answer) -> bool {
    let first = theirs.as_ref().ok().and_then(|fires| fires.first());
    first.is_none_or(|first| *first > case.start + HORIZON_YEARS * YEAR)
}

/// The schedule as cronsim is asked for it: `5` for `5-5/10`. A range ends where it says, but cronsim takes a range of one
/// for `5/10`, which goes on to the end of the field.
pub(super) fn asked(text: &str) -> String {
    let item = |item: &str| {
        let range = item.split_once('/').and_then(|(range, _)| range.split_once('-'));
        let one = range.filter(|(first, last)| first == last).map(|(first, _)| first.to_owned());
        one.unwrap_or_else(|| item.to_owned())
    };
    let field = |field: &str| field.split(',').map(item).collect::<Vec<_>>().join(",");
    text.split(' ').map(field).collect::<Vec<_>>().join(" ")
}

fn differ_after_last_year(ours: &[i64], theirs: &[i64]) -> bool {
    let end = at(&format!("{}-01-01T00:00:00Z", LAST_YEAR + 1)).0 / 1_000_000;
    theirs.strip_prefix(ours).is_some_and(|rest| rest.iter().all(|fire| *fire > end - 24 * HOUR))
}

/// Whether all is the same but what lies so many seconds after a change of the zone's clocks.
fn same_but_after_changes(case: &Case, ours: &[i64], theirs: &[i64], seconds: i64) -> bool {
    let zone = TimeZone::get(case.zone).unwrap();
    let undisturbed = |fire: &i64| {
        let next = Instant::from_second(fire + 1).unwrap();
        let change = zone.preceding(next).next();
        change.is_none_or(|change| fire - change.timestamp().as_second() > seconds)
    };
    let (Some(last), Some(their_last)) = (ours.last(), theirs.last()) else { return false };
    let until = *last.min(their_last);
    let kept =
        |fires: &[i64]| fires.iter().copied().filter(|fire| *fire <= until && undisturbed(fire)).collect::<Vec<_>>();
    kept(ours) == kept(theirs)
}

/// Whether both say the same: the same instants, or that the same field is wrong.
pub(super) fn is_same(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Err(ours), Err(theirs)) => {
            theirs.strip_prefix("Bad ").is_some_and(|field| ours.contains(&format!("the {field} field")))
        }
        (ours, theirs) => ours == theirs,
    }
}
