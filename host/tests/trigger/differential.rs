//! Our instants against those of cronsim, a port of Debian's cron: other people's code in another language.

mod deviation;
mod expression;
mod python;

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use weir_engine::id::Timestamp;
use weir_host::trigger::cron::Schedule;

use self::deviation::{Answer, Deviation};
use super::times::at;

const EXPRESSIONS: usize = 10_000;
const FIRES: usize = 20;
const SECOND: i64 = 1_000_000;
const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"];

/// A schedule to compare, and the second from which on.
struct Case {
    text: String,
    zone: &'static str,
    start: i64,
}

impl Case {
    fn ours(&self) -> Answer {
        let schedule = Schedule::parse(&self.text, self.zone).map_err(|error| error.to_string())?;
        let start = Timestamp(self.start * SECOND);
        schedule.check(start).map_err(|error| error.to_string())?;
        Ok(schedule.upcoming(start).take(FIRES).map(|instant| instant.0 / SECOND).collect())
    }
}

/// Any second of five years; for every other case one of the two days before clocks are changed.
fn start(zone: &str, rng: &mut StdRng) -> i64 {
    let any = at("2026-01-01T00:00:00Z").0 / SECOND + rng.random_range(0..5 * 365 * 86_400);
    let zone = jiff::tz::TimeZone::get(zone).unwrap();
    let change = zone.following(jiff::Timestamp::from_second(any).unwrap()).next();
    match change.filter(|_| rng.random_bool(0.5)) {
        Some(change) => change.timestamp().as_second() - rng.random_range(0..2 * 86_400),
        None => any,
    }
}

fn cases() -> Vec<Case> {
    let mut rng = StdRng::seed_from_u64(12);
    let mut cases = Vec::with_capacity(EXPRESSIONS * ZONES.len());
    for _ in 0..EXPRESSIONS {
        let text = expression::any(&mut rng);
        cases.extend(ZONES.map(|zone| Case { text: text.clone(), zone, start: start(zone, &mut rng) }));
    }
    cases
}

fn theirs(line: &str) -> Answer {
    match serde_json::from_str(line).unwrap() {
        Value::Array(fires) => Ok(fires.iter().map(|fire| fire.as_i64().unwrap()).collect()),
        Value::String(error) => Err(error),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            panic!("cronsim answers {other}")
        }
    }
}

#[test]
fn r12_differs_from_debian_only_where_it_is_said() {
    let cases = cases();
    let questions: Vec<_> =
        cases.iter().map(|case| json!([deviation::asked(&case.text), case.zone, case.start, FIRES])).collect();
    let python = python::Python::ask(&questions);
    let ours: Vec<_> = cases.iter().map(Case::ours).collect();
    let answers = python.answers();
    assert_eq!(answers.len(), cases.len(), "cronsim did not answer everything");
    let (mut deviations, mut same) = (BTreeMap::<Deviation, usize>::new(), 0);
    let mut unexplained = Vec::new();
    for ((case, ours), answer) in cases.iter().zip(ours).zip(answers) {
        let theirs = theirs(&answer);
        if deviation::is_same(&ours, &theirs) {
            same += 1;
        } else if let Some(deviation) = Deviation::explain(case, &ours, &theirs) {
            *deviations.entry(deviation).or_default() += 1;
        } else {
            unexplained.push(format!(
                "{} in {} after {}:\n  ours   {ours:?}\n  theirs {theirs:?}",
                case.text, case.zone, case.start
            ));
        }
    }
    eprintln!("{same} are the same; {deviations:?}");
    assert!(
        unexplained.is_empty(),
        "{} are unexplained, such as {}",
        unexplained.len(),
        unexplained[..unexplained.len().min(10)].join("\n")
    );
    assert!(same > cases.len() * 9 / 10, "{same} are the same, {deviations:?}");
    for deviation in Deviation::ALL {
        assert!(deviations.contains_key(&deviation), "{deviation:?} is listed and does not occur");
    }
}
