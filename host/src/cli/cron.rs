//! `weir cron`: what a schedule means, for authors.

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;
use weir_engine::id::Timestamp;

use super::{
    Outcome,
    out::{Out, clean},
};
use crate::trigger::cron::{CronError, Schedule};

/// Schedules.
#[derive(Debug, Subcommand)]
pub(super) enum Cron {
    /// Show the next instants of a schedule.
    Next(Next),
}

/// Show the next instants of a schedule.
#[derive(Debug, Args)]
pub(super) struct Next {
    /// The schedule: five fields, six with leading seconds, or a name such as @daily.
    schedule: String,
    /// The time zone: an IANA name.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// After which instant, in RFC 3339; now where there is none.
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// How many.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

impl Cron {
    pub(super) fn run(self, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Next(next) => next.run(out),
        }
    }
}

impl Next {
    fn run(self, out: Out) -> anyhow::Result<Outcome> {
        let from = self.from()?;
        let schedule = Schedule::parse(&self.schedule, &self.timezone)
            .and_then(|schedule| schedule.check(from).map(|()| schedule))
            .map_err(|error| pointed(&self.schedule, &error))?;
        let next = schedule.upcoming(from).take(self.count.into()).map(|instant| schedule.shown(instant));
        let next: Vec<_> = next.collect();
        let value = json!({ "schedule": schedule.text(), "timezone": schedule.zone(), "next": next });
        out.show(&value, || next.join("\n"));
        Ok(Outcome::Done)
    }

    fn from(&self) -> anyhow::Result<Timestamp> {
        let instant = match &self.from {
            None => jiff::Timestamp::now(),
            Some(text) => {
                let wrong = || format!("could not read --from {text:?}: write RFC 3339, as in 2026-11-22T09:00:00Z");
                text.parse().with_context(wrong)?
            }
        };
        Ok(Timestamp(instant.as_microsecond()))
    }
}

/// The error, and below it the text with a mark at the fault.
fn pointed(text: &str, error: &CronError) -> anyhow::Error {
    match error.position() {
        // Whatever takes no or other room on a terminal would move the mark.
        Some(at) if text.chars().count() <= 200 => {
            let line = clean(text).replace(['\t', '\n'], " ");
            anyhow!("{error}\n  {line}\n  {:>width$}", '^', width = at + 1)
        }
        Some(_) | None => anyhow!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_below_the_fault() {
        let error = Schedule::parse("0\t25 * * *", "UTC").unwrap_err();
        let text = pointed("0\t25 * * *", &error).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1..], ["  0 25 * * *", "    ^"]);
    }
}
