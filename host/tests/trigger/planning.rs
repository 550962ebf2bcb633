//! What happens to instants that were missed, and to those that come too early.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_engine::id::Timestamp;
use weir_host::trigger::cron::{Admission, CatchUp, LISTED_MAX, Missed, Overlap, Plan, Reason, Schedule, plan};

use super::times::{at, schedule, shown};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const POLICIES: [CatchUp; 3] = [CatchUp::Skip, CatchUp::RunOnce, CatchUp::RunAll];

fn times(instants: &[Timestamp]) -> Vec<String> {
    instants.iter().map(|instant| shown(*instant, "UTC")[11..19].to_owned()).collect()
}

fn covered(plan: &Plan) -> u64 {
    plan.due.len() as u64 + plan.skipped.iter().map(|missed| missed.count).sum::<u64>()
}

#[test]
fn r10_what_is_on_time_runs_under_every_policy() {
    let every_ten_seconds = schedule("*/10 * * * * *", "UTC");
    for policy in POLICIES {
        let cursor = at("2026-11-22T10:00:00Z");
        let plan = plan(&every_ten_seconds, cursor, at("2026-11-22T10:00:25Z"), policy);
        assert_eq!(times(&plan.due), ["10:00:10", "10:00:20"]);
        assert!(plan.skipped.is_empty());
        assert_eq!(plan.cursor, at("2026-11-22T10:00:20Z"));
    }
}

#[test]
fn r10_policies_say_what_is_caught_up() {
    let hourly = schedule("@hourly", "UTC");
    let (cursor, now) = (at("2026-11-22T06:00:00Z"), at("2026-11-22T10:00:30Z"));
    for (policy, due) in [
        (CatchUp::Skip, vec!["10:00:00"]),
        (CatchUp::RunOnce, vec!["10:00:00"]),
        (CatchUp::RunAll, vec!["07:00:00", "08:00:00", "09:00:00", "10:00:00"]),
    ] {
        let plan = plan(&hourly, cursor, now, policy);
        assert_eq!(times(&plan.due), due);
        assert_eq!(covered(&plan), 4);
        assert!(plan.skipped.iter().all(|missed| missed.reason == Reason::Missed && missed.count == 1));
    }
    // Nothing is on time any more: `skip` runs nothing, `run_once` still the newest.
    let late = at("2026-11-22T10:30:00Z");
    assert!(plan(&hourly, cursor, late, CatchUp::Skip).due.is_empty());
    assert_eq!(times(&plan(&hourly, cursor, late, CatchUp::RunOnce).due), ["10:00:00"]);
    let many = plan(&schedule("* * * * *", "UTC"), cursor, late, CatchUp::RunAll);
    assert_eq!((many.due.len(), many.skipped.len()), (100, 170));
    assert!(many.skipped.iter().all(|missed| missed.reason == Reason::CatchUpLimit));
}

#[test]
fn r9_a_clock_that_went_back_runs_nothing_twice() {
    let minutely = schedule("* * * * *", "Europe/Berlin");
    let cursor = at("2026-11-22T10:00:00Z");
    for now in ["2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z", "2026-11-22T10:00:59Z", "1960-01-01T00:00:00Z"] {
        let nothing = Plan { due: vec![], skipped: vec![], cursor };
        assert_eq!(plan(&minutely, cursor, at(now), CatchUp::RunAll), nothing, "{now}");
    }
    let next = plan(&minutely, cursor, at("2026-11-22T10:01:00Z"), CatchUp::RunAll);
    assert_eq!(times(&next.due), ["10:01:00"]);
}

#[test]
fn r9_a_clock_that_jumped_forward_is_caught_up_once() {
    for (now, count) in [("2026-11-25T10:00:00Z", 3), ("2028-02-29T12:00:00Z", 464), ("2038-01-19T03:14:08Z", 4_076)] {
        let plan = plan(&schedule("@daily", "UTC"), at("2026-11-22T10:00:00Z"), at(now), CatchUp::default());
        assert_eq!(plan.due.len(), 1, "{now}");
        assert_eq!(covered(&plan), count, "{now}");
        assert!(plan.skipped.len() <= LISTED_MAX + 1);
    }
}

#[test]
fn r10_two_years_of_seconds_cost_as_little_as_a_day() {
    let (cursor, now) = (at("2024-11-22T10:00:00Z"), at("2026-11-22T10:00:00Z"));
    let two_years = 730 * 86_400;
    for (text, zone) in [("* * * * * *", "Europe/Berlin"), ("0-59 0-59 0-23 * * *", "America/New_York")] {
        let seconds = schedule(text, zone);
        for policy in POLICIES {
            let begun = Instant::now();
            let plan = plan(&seconds, cursor, now, policy);
            let took = begun.elapsed();
            // A fixed job has nothing in the hour that comes twice: one of each of the two years.
            let twice = if text.starts_with('*') { 0 } else { 2 * 3_600 };
            assert_eq!(covered(&plan), two_years - twice, "{text} {policy:?}");
            assert_eq!(plan.skipped.len(), LISTED_MAX + 1);
            assert!(plan.skipped[0].count > 62_000_000 && plan.skipped[0].from == Timestamp(cursor.0 + SECOND));
            assert!(took < Duration::from_millis(500), "{text} {policy:?} took {took:?}");
        }
    }
}

/// What the plan has to be, from the list of all instants.
fn oracle(all: &[Timestamp], cursor: Timestamp, now: Timestamp, policy: CatchUp) -> (Vec<Timestamp>, Vec<Timestamp>) {
    let window: Vec<_> = all.iter().copied().filter(|at| *at > cursor && *at <= now).collect();
    let late = |instant: &Timestamp| instant.0 < now.0 - 60 * SECOND;
    let keep = match policy {
        _ if !window.iter().any(late) => window.len(),
        CatchUp::Skip => window.iter().filter(|instant| !late(instant)).count(),
        CatchUp::RunOnce => 1,
        CatchUp::RunAll => 100.min(window.len()),
    };
    let (skipped, due) = window.split_at(window.len() - keep);
    (due.to_vec(), skipped.to_vec())
}

/// Whether rows stand for exactly these instants, the newest of them one by one.
fn stand_for(rows: &[Missed], instants: &[Timestamp]) -> bool {
    let ranged = instants.len().saturating_sub(LISTED_MAX);
    let (range, single) = instants.split_at(ranged);
    let rows = match (range.first().zip(range.last()), rows.split_first()) {
        (None, _) => rows,
        (Some((from, until)), Some((row, rest))) => {
            if (row.from, row.until, row.count) != (*from, *until, range.len() as u64) {
                return false;
            }
            rest
        }
        (Some(_), None) => return false,
    };
    rows.len() == single.len()
        && rows.iter().zip(single).all(|(row, at)| (row.from, row.until, row.count) == (*at, *at, 1))
}

/// Two years of a host that goes down, and whose clock jumps.
fn simulate(schedule: &Schedule, policy: CatchUp, rng: &mut StdRng) -> (usize, usize) {
    let (start, end) = (at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    let all: Vec<_> = schedule.between(start, Timestamp(end.0 + 60 * DAY)).collect();
    let (mut cursor, mut now, mut ran, mut skipped) = (start, start, 0, 0);
    while now < end {
        let next = schedule.after(cursor.max(now)).unwrap_or(end);
        now = match rng.random_range(0..20) {
            // Down, from seconds to two months.
            0..3 => Timestamp(now.0 + ((60 * DAY) >> rng.random_range(0..16))),
            // The clock goes back, or jumps forward and back.
            3 => Timestamp(now.0 - rng.random_range(0..3 * HOUR)),
            // As it should be: a little after the instant.
            _ => Timestamp(next.0 + rng.random_range(0..2 * SECOND)),
        };
        let window = &all[all.partition_point(|at| *at <= cursor)..];
        let (due, missed) = oracle(&window[..window.partition_point(|at| *at <= now)], cursor, now, policy);
        let planned = plan(schedule, cursor, now, policy);
        assert_eq!(planned.due, due, "{} from {cursor:?} to {now:?}", schedule.text());
        assert!(stand_for(&planned.skipped, &missed), "{} from {cursor:?} to {now:?}", schedule.text());
        assert!(planned.cursor >= cursor, "the cursor goes back");
        cursor = planned.cursor;
        (ran, skipped) = (ran + due.len(), skipped + missed.len());
    }
    assert_eq!(ran + skipped, all.partition_point(|at| *at <= cursor), "some were left out or came twice");
    (ran, skipped)
}

#[test]
fn r10_two_years_of_two_hundred_triggers_are_as_the_model_says() {
    let texts = ["@daily", "0 9 * * MON-FRI", "30 2 * * *", "0 0 1 * *", "15,45 1 * * SUN", "0 */6 * * *", "@weekly"];
    let dense = ["*/20 * * * *", "@hourly", "*/10 30 2 * * *"];
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"];
    let mut rng = StdRng::seed_from_u64(10);
    let (mut ran, mut skipped) = (0, 0);
    for trigger in 0..200 {
        let text = if trigger % 20 == 0 { dense[trigger / 20 % 3] } else { texts[trigger % texts.len()] };
        let schedule = schedule(text, zones[trigger % zones.len()]);
        let (more_ran, more_skipped) = simulate(&schedule, POLICIES[trigger % 3], &mut rng);
        (ran, skipped) = (ran + more_ran, skipped + more_skipped);
    }
    assert!(ran > 10_000 && skipped > 10_000, "too little happened: {ran} ran, {skipped} were skipped");
}

/// A trigger's executions, whose ends come by chance.
#[derive(Default)]
struct Running {
    executions: usize,
    waiting: usize,
    started: usize,
    cancelled: usize,
    skipped: usize,
}

impl Running {
    fn due(&mut self, overlap: Overlap) {
        match overlap.admit(self.executions > 0, self.waiting > 0) {
            Admission::Start => self.start(),
            Admission::StartAndCancel => {
                self.cancelled += std::mem::take(&mut self.executions);
                self.start();
            }
            Admission::Wait => self.waiting += 1,
            Admission::Skip => self.skipped += 1,
        }
    }

    fn start(&mut self) {
        (self.executions, self.started) = (self.executions + 1, self.started + 1);
    }

    fn end(&mut self) {
        self.executions = self.executions.saturating_sub(1);
        if self.executions == 0 && self.waiting > 0 {
            self.waiting -= 1;
            self.start();
        }
    }
}

#[test]
fn r10_overlap_policies_bound_what_runs_at_once() {
    let mut rng = StdRng::seed_from_u64(10);
    for overlap in [Overlap::Skip, Overlap::QueueOne, Overlap::Allow, Overlap::CancelRunning] {
        let (mut world, mut due) = (Running::default(), 0);
        for _ in 0..10_000 {
            if rng.random_bool(0.6) {
                world.due(overlap);
                due += 1;
            } else {
                world.end();
            }
            assert!(overlap == Overlap::Allow || world.executions <= 1, "two run at once under {overlap:?}");
            assert!(world.waiting <= usize::from(overlap == Overlap::QueueOne), "too many wait under {overlap:?}");
            assert_eq!(due, world.started + world.waiting + world.skipped, "one is lost under {overlap:?}");
        }
        let skips = matches!(overlap, Overlap::Skip | Overlap::QueueOne);
        assert_eq!((world.skipped > 0, world.cancelled > 0), (skips, overlap == Overlap::CancelRunning));
    }
}

#[test]
fn policies_have_the_names_of_the_workflow_format() {
    let named = |name: &str| serde_json::from_value::<CatchUp>(name.into()).unwrap();
    assert_eq!(["skip", "run_once", "run_all"].map(named), POLICIES);
    assert_eq!(CatchUp::default(), CatchUp::RunOnce);
    let named = |name: &str| serde_json::from_value::<Overlap>(name.into()).unwrap();
    let policies = [Overlap::Skip, Overlap::QueueOne, Overlap::Allow, Overlap::CancelRunning];
    assert_eq!(["skip", "queue_one", "allow", "cancel_running"].map(named), policies);
    assert_eq!(Overlap::default(), Overlap::Skip);
}
