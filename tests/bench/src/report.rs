//! What was measured, as a table for people and as `bench.json` for programs.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::goals::{self, Verdict};

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) name: &'static str,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What the machine itself does, measured beside it.
    pub(crate) limit: Option<f64>,
    /// `value / limit`.
    pub(crate) ratio: Option<f64>,
    /// What the same server does with its data in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) without_disk: Option<f64>,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    hints: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    /// Adds a figure that stands alone, a limit for instance.
    pub(crate) fn add(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.push(Row { name, value, unit, limit: None, ratio: None, without_disk: None });
    }

    /// Adds a figure beside the limit of the machine.
    pub(crate) fn add_beside(&mut self, name: &'static str, value: f64, unit: &'static str, limit: f64) {
        self.push(Row { name, value, unit, limit: Some(limit), ratio: Some(value / limit), without_disk: None });
    }

    /// Adds executions a second beside the limit of the disk, and beside those of the same server without one.
    pub(crate) fn add_throughput(
        &mut self,
        name: &'static str,
        per_second: f64,
        limit: f64,
        without_disk: Option<f64>,
    ) {
        let (limit, ratio) = (Some(limit), Some(per_second / limit));
        self.push(Row { name, value: per_second, unit: "1/s", limit, ratio, without_disk });
    }

    fn push(&mut self, row: Row) {
        progress(&format!("{} = {} {}", row.name, short(row.value), row.unit));
        self.rows.push(row);
    }

    /// Adds a line that tells where time goes.
    pub(crate) fn hint(&mut self, line: String) {
        progress(&line);
        self.hints.push(line);
    }

    /// Adds what went wrong.
    pub(crate) fn failed(&mut self, part: &str, error: &anyhow::Error) {
        let line = format!("{part} failed: {error:#}");
        progress(&line);
        self.failures.push(line);
    }

    /// Whether every part was measured.
    pub(crate) fn whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// The value of a figure.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).map(|row| row.value)
    }

    /// Writes the figures for programs.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.rows).context("writing the figures as JSON")?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    /// The figures for people.
    pub(crate) fn table(&self) -> Result<String> {
        let mut text = String::new();
        let slow = self.value("fdatasync_p50_ms").is_some_and(|p50| p50 > goals::FAST_DISK_MS);
        writeln!(text, "{:<26} {:>12} {:<5} {:>12} {:>7}  {:<28}", "name", "value", "unit", "limit", "ratio", "goal")?;
        for row in &self.rows {
            let limit = row.limit.map_or_else(String::new, short);
            let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            let (goal, verdict) = match goals::of(row.name) {
                Some(goal) => (goal.to_string(), goal.judge(row, slow).mark()),
                None => (String::new(), ""),
            };
            let (name, value, unit) = (row.name, short(row.value), row.unit);
            let line = format!("{name:<26} {value:>12} {unit:<5} {limit:>12} {ratio:>7}  {goal:<28} {verdict}");
            writeln!(text, "{}", line.trim_end())?;
        }
        for line in self.hints.iter().chain(&self.failures) {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }
}

impl Verdict {
    fn mark(self) -> &'static str {
        match self {
            Self::Met => "ok",
            Self::MetByProcessors => "ok (CPU-bound)",
            Self::Missed => "MISS",
            Self::MissedOnSlowDisk => "miss (the disk is slow now)",
        }
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Tells on the standard error stream how far the bench is.
#[expect(clippy::print_stderr, reason = "progress of a command line program")]
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_marks_goals_and_the_json_has_five_fields() {
        let mut report = Report::default();
        report.add_beside("chain3_c1_p50_ms", 1.0, "ms", 0.5);
        report.add("fdatasync_p50_ms", 0.1, "ms");
        report.add("chain3_c32_p99_ms", 26.0, "ms");
        let table = report.table().unwrap();
        assert!(table.contains("2.00  ≤ 1.5 × limit + 1") && table.contains("MISS"), "{table}");
        let row = serde_json::to_value(&report.rows[0]).unwrap();
        assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["name", "value", "unit", "limit", "ratio"]);
    }
}
