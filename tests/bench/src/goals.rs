//! What the figures should be. Most are ratios to the limit measured beside them, since disks differ by the minute.

use std::fmt;

use crate::report::Row;

/// Absolute goals hold where a small write is durable in this time.
pub(crate) const FAST_DISK_MS: f64 = 0.3;

/// From this share of what the same server does without a disk on, the processors stand in the way, not the disk.
pub(crate) const SHARE_WITHOUT_DISK: f64 = 0.8;

/// A goal of one figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Not more than `times` the limit and `plus`.
    AtMost { times: f64, plus: f64 },
    /// Not less than `times` the limit unless the disk hardly matters, and on a fast disk not less than `floor`.
    AtLeast { times: f64, floor: f64 },
}

/// Whether a goal is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes.
    Met,
    /// Not its relative part; but a disk that takes no time would not help much: the profile shows what does the rest.
    MetByProcessors,
    /// No.
    Missed,
    /// Not its absolute part, and the disk is too slow for that to mean anything.
    MissedOnSlowDisk,
}

/// The goal of a figure, if it has one.
pub(crate) fn of(name: &str) -> Option<Goal> {
    let at_most = |plus| Some(Goal::AtMost { times: 0.0, plus });
    match name {
        "chain3_c1_p50_ms" => Some(Goal::AtMost { times: 1.5, plus: 1.0 }),
        "chain3_c32_exec_per_s" => Some(Goal::AtLeast { times: 0.5, floor: 6600.0 }),
        "chain3_c256_exec_per_s" => Some(Goal::AtLeast { times: 0.5, floor: 8000.0 }),
        "chain3_c32_p99_ms" => at_most(25.0),
        "chain3_history_ratio" => Some(Goal::AtLeast { times: 0.0, floor: 0.8 }),
        "chain3_written_kb_c1" => at_most(60.0),
        "chain3_written_kb_c32" => at_most(20.0),
        "model_call_c1_p50_us" | "model_call_c1_p99_us" | "model_call_c64_p50_us" | "model_call_c64_p99_us" => {
            Some(Goal::AtMost { times: 1.5, plus: 0.0 })
        }
        "plugin_call_us" => Some(Goal::AtMost { times: 2.0, plus: 0.0 }),
        "grant_check_us" | "grant_check_64_us" => at_most(2.0),
        "agent50_repeated" => at_most(0.0),
        "loop100k_s" => at_most(8.0),
        "loop100k_rss_mb" => at_most(100.0),
        "startup_10k_ms" => at_most(2000.0),
        "idle_rss_mb" => at_most(60.0),
        "load_rss_mb" => at_most(250.0),
        "approvals_per_s" => Some(Goal::AtLeast { times: 0.0, floor: 1000.0 }),
        "waiting_rss_growth_mb" => at_most(50.0),
        "webhook_c1_cost" | "webhook_c32_cost" | "webhook_c256_cost" => at_most(1.3),
        "cron_1k_lag_p99_ms" => at_most(1000.0),
        "idle_triggers_cpu_ms_per_s" => at_most(1.0),
        _ => None,
    }
}

impl Goal {
    /// Whether `row` meets this goal.
    pub(crate) fn judge(self, row: &Row, slow_disk: bool) -> Verdict {
        let limit = row.limit.unwrap_or(0.0);
        let (relative, absolute) = match self {
            Self::AtMost { times, plus } if times > 0.0 => (row.value <= times * limit + plus, true),
            Self::AtMost { plus, .. } => (true, row.value <= plus),
            Self::AtLeast { times, floor } => (row.value >= times * limit, row.value >= floor),
        };
        // Memory and bytes written do not depend on how fast the disk is, and neither does a ratio to itself.
        let excused = slow_disk && ["1/s", "ms", "s"].contains(&row.unit);
        let is_cpu_bound = row.without_disk.is_some_and(|most| row.value >= SHARE_WITHOUT_DISK * most);
        match (relative || is_cpu_bound, absolute, excused) {
            (true, true, _) if relative => Verdict::Met,
            (true, true, _) => Verdict::MetByProcessors,
            (true, false, true) => Verdict::MissedOnSlowDisk,
            (false, _, _) | (true, false, false) => Verdict::Missed,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, times, number) = match *self {
            Self::AtMost { times, plus } => ("≤", times, plus),
            Self::AtLeast { times, floor } => ("≥", times, floor),
        };
        match (times > 0.0, number > 0.0, self) {
            (true, true, Self::AtMost { .. }) => write!(f, "{sign} {times} × limit + {number}"),
            (true, true, Self::AtLeast { .. }) => write!(f, "{sign} {times} × limit, {sign} {number}"),
            (true, false, _) => write!(f, "{sign} {times} × limit"),
            (false, _, _) => write!(f, "{sign} {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, value: f64, limit: Option<f64>) -> Row {
        let unit = if name.ends_with("_mb") { "MiB" } else { "1/s" };
        Row { name, value, unit, limit, ratio: None, without_disk: None }
    }

    fn judged(name: &'static str, value: f64, limit: Option<f64>, slow: bool) -> Verdict {
        of(name).unwrap().judge(&row(name, value, limit), slow)
    }

    #[test]
    fn a_slow_disk_excuses_the_absolute_part_only() {
        assert_eq!(judged("chain3_c32_exec_per_s", 7000.0, Some(13_000.0), false), Verdict::Met);
        assert_eq!(judged("chain3_c32_exec_per_s", 6000.0, Some(11_000.0), false), Verdict::Missed);
        assert_eq!(judged("chain3_c32_exec_per_s", 6000.0, Some(11_000.0), true), Verdict::MissedOnSlowDisk);
        assert_eq!(judged("chain3_c32_exec_per_s", 6000.0, Some(13_000.0), true), Verdict::Missed);
    }

    #[test]
    fn a_disk_that_hardly_matters_excuses_the_relative_part_only() {
        let goal = of("chain3_c32_exec_per_s").unwrap();
        let judged = |value, most| {
            let row = Row { without_disk: Some(most), ..row("chain3_c32_exec_per_s", value, Some(20_000.0)) };
            goal.judge(&row, false)
        };
        assert_eq!(judged(7000.0, 8000.0), Verdict::MetByProcessors);
        assert_eq!(judged(7000.0, 9000.0), Verdict::Missed);
        assert_eq!(judged(6000.0, 6100.0), Verdict::Missed);
        assert_eq!(judged(11_000.0, 11_500.0), Verdict::Met);
    }

    #[test]
    fn a_slow_disk_excuses_no_memory() {
        assert_eq!(judged("loop100k_rss_mb", 101.0, None, true), Verdict::Missed);
    }

    #[test]
    fn goals_with_a_limit_use_it() {
        assert_eq!(judged("chain3_c1_p50_ms", 7.0, Some(4.0), true), Verdict::Met);
        assert_eq!(judged("chain3_c1_p50_ms", 7.1, Some(4.0), true), Verdict::Missed);
        assert_eq!(judged("plugin_call_us", 21.0, Some(10.0), false), Verdict::Missed);
    }
}
