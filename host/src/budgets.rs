//! Budgets: money, tokens, requests and tool calls that many executions share for an hour, a day or a month. What they are,
//! and when their periods begin and end; pure.

use std::sync::Arc;

use jiff::tz::TimeZone;
use weir_engine::{id::Timestamp, limits::Limits};

/// The most budgets of a host.
pub const BUDGETS_MAX: usize = 64;
/// The most bytes of a budget's name.
const NAME_BYTES_MAX: usize = 64;

const MICROSECONDS_PER_HOUR: i64 = 3_600_000_000;

/// Who draws from a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetScope {
    /// All executions of the host together.
    Host,
    /// The executions of each workflow by themselves.
    EachWorkflow,
    /// The executions of one workflow, by its id.
    Workflow(Arc<str>),
}

impl BudgetScope {
    /// The scope as it is stored and shown, without the workflow.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::EachWorkflow | Self::Workflow(_) => "workflow",
        }
    }

    /// The workflow, where it is one.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Workflow(id) => Some(id),
            Self::Host | Self::EachWorkflow => None,
        }
    }

    /// For whom an execution of this workflow draws: the workflow, or nobody in particular (`""`); `None`: it does not.
    #[must_use]
    pub fn subject(&self, workflow_id: &Arc<str>) -> Option<Arc<str>> {
        match self {
            Self::Host => Some("".into()),
            Self::EachWorkflow => Some(Arc::clone(workflow_id)),
            Self::Workflow(id) => (id == workflow_id).then(|| Arc::clone(id)),
        }
    }
}

/// How long a budget lasts before there is a new one. All begin and end in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From minute 0 to minute 0.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next one.
    Month,
}

/// One period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub start: Timestamp,
    /// When it is over.
    pub end: Timestamp,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The period as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The period of this name.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == text)
    }

    /// The one that an instant lies in.
    #[must_use]
    pub fn window(self, at: Timestamp) -> Window {
        match self {
            Self::Hour => fixed(at, MICROSECONDS_PER_HOUR),
            Self::Day => fixed(at, 24 * MICROSECONDS_PER_HOUR),
            Self::Month => month(at),
        }
    }
}

impl Window {
    /// Its end as RFC 3339, in seconds.
    #[must_use]
    pub fn end_text(&self) -> String {
        jiff::Timestamp::from_microsecond(self.end.0).unwrap_or(jiff::Timestamp::MAX).to_string()
    }
}

fn fixed(at: Timestamp, length: i64) -> Window {
    let start = at.0.div_euclid(length).saturating_mul(length);
    Window { start: Timestamp(start), end: Timestamp(start.saturating_add(length)) }
}

fn month(at: Timestamp) -> Window {
    let instant = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    let first = instant.to_zoned(TimeZone::UTC).date().first_of_month();
    let start = micros(first).unwrap_or(at.0);
    let end = first.last_of_month().tomorrow().ok().and_then(micros).unwrap_or(i64::MAX);
    Window { start: Timestamp(start), end: Timestamp(end) }
}

/// The beginning of a day in UTC.
fn micros(date: jiff::civil::Date) -> Option<i64> {
    date.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp().as_microsecond())
}

/// Why a budget cannot be as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetProblem {
    /// Its name.
    #[error(
        "could not name a budget {0:?}: write a small letter and up to 63 small letters, digits, hyphens and underscores"
    )]
    Name(String),
    /// It limits nothing.
    #[error(
        "could not set a budget that limits nothing: name at least one of request_limit, input_tokens_limit, output_tokens_limit, total_tokens_limit, tool_calls_limit and max_cost_dollars"
    )]
    NoLimit,
    /// It limits what executions cannot share.
    #[error("could not set the budget: `{0}` is a limit of executions, not of budgets")]
    NotShared(&'static str),
}

/// Checks a budget's name.
///
/// # Errors
/// [`BudgetProblem::Name`].
pub fn check_name(name: &str) -> Result<(), BudgetProblem> {
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|c| c.is_ascii_lowercase());
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if begins && name.len() <= NAME_BYTES_MAX && characters.all(goes_on) {
        return Ok(());
    }
    Err(BudgetProblem::Name(name.chars().take(NAME_BYTES_MAX).collect()))
}

/// Checks what a budget limits.
///
/// # Errors
/// It limits nothing, or what cannot be shared.
pub fn check_limits(limits: &Limits) -> Result<(), BudgetProblem> {
    let others = [
        ("timeout_seconds", limits.timeout_ms.is_some()),
        ("max_steps", limits.max_steps.is_some()),
        ("fuel_limit", limits.fuel.is_some()),
        ("memory_limit_mb", limits.memory_bytes.is_some()),
        ("on_exceeded", limits.on_exceeded.is_some()),
    ];
    if let Some((name, _)) = others.into_iter().find(|(_, named)| *named) {
        return Err(BudgetProblem::NotShared(name));
    }
    if limits.quantities().iter().all(|(_, limit)| limit.is_none()) {
        return Err(BudgetProblem::NoLimit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn bounds(period: Period, instant: &str) -> (String, String) {
        let window = period.window(at(instant));
        let text = |at: Timestamp| jiff::Timestamp::from_microsecond(at.0).unwrap().to_string();
        (text(window.start), text(window.end))
    }

    #[test]
    fn periods_are_those_of_the_calendar_in_utc() {
        let cases = [
            (Period::Hour, "2028-02-29T23:59:59.999999Z", "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Hour, "2028-02-29T23:00:00Z", "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Day, "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2028-02-01T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2028-12-31T23:59:59Z", "2028-12-01T00:00:00Z", "2029-01-01T00:00:00Z"),
            (Period::Hour, "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
        ];
        for (period, instant, start, end) in cases {
            assert_eq!(bounds(period, instant), (start.to_owned(), end.to_owned()), "{period:?} {instant}");
        }
        assert_eq!(Period::Day.window(at("2028-02-29T12:00:00Z")).end_text(), "2028-03-01T00:00:00Z");
    }

    #[test]
    fn a_budget_limits_what_can_be_shared_and_at_least_something() {
        let cost = Limits { cost_microusd: Some(1), ..Limits::default() };
        assert_eq!(check_limits(&cost), Ok(()));
        assert_eq!(check_limits(&Limits::default()), Err(BudgetProblem::NoLimit));
        let time = Limits { timeout_ms: Some(1), ..cost };
        assert_eq!(check_limits(&time), Err(BudgetProblem::NotShared("timeout_seconds")));
    }

    #[test]
    fn names_are_those_of_secrets() {
        assert!(["team", "a", "a-1_b"].iter().all(|name| check_name(name).is_ok()));
        let long = "a".repeat(65);
        assert!(["", "1a", "A", "ä", "a b", "a/b", &long].iter().all(|name| check_name(name).is_err()));
    }
}
