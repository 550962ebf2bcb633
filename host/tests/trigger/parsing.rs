//! Which texts are schedules, and what is said about the others.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use weir_engine::id::Timestamp;
use weir_host::trigger::cron::{CronError, Fault, Field, Schedule};

use super::times::{at, next, schedule};

#[test]
fn r12_schedules_mean_what_posix_says() {
    let from = "2026-11-22T10:00:30Z"; // a Sunday
    for (text, expected) in [
        ("* * * * *", ["2026-11-22T10:01:00", "2026-11-22T10:02:00", "2026-11-22T10:03:00"]),
        ("*/20 * * * *", ["2026-11-22T10:20:00", "2026-11-22T10:40:00", "2026-11-22T11:00:00"]),
        ("5-15/5,40 9,17 * * *", ["2026-11-22T17:05:00", "2026-11-22T17:10:00", "2026-11-22T17:15:00"]),
        ("50/5 23 * * *", ["2026-11-22T23:50:00", "2026-11-22T23:55:00", "2026-11-23T23:50:00"]),
        ("0 9 * * 1", ["2026-11-23T09:00:00", "2026-11-30T09:00:00", "2026-12-07T09:00:00"]),
        ("0 9 * * 0", ["2026-11-29T09:00:00", "2026-12-06T09:00:00", "2026-12-13T09:00:00"]),
        ("0 9 * * 7", ["2026-11-29T09:00:00", "2026-12-06T09:00:00", "2026-12-13T09:00:00"]),
        ("0 9 * * mon-Fri", ["2026-11-23T09:00:00", "2026-11-24T09:00:00", "2026-11-25T09:00:00"]),
        ("0 9 * * 6-7", ["2026-11-28T09:00:00", "2026-11-29T09:00:00", "2026-12-05T09:00:00"]),
        ("0 0 1 JAN,jul *", ["2027-01-01T00:00:00", "2027-07-01T00:00:00", "2028-01-01T00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
        // Neither field begins with a star: one is enough.
        ("0 0 1 * 1", ["2026-11-23T00:00:00", "2026-11-30T00:00:00", "2026-12-01T00:00:00"]),
        // One begins with a star: both have to match, whatever follows the star.
        ("0 0 */2 * 1", ["2026-11-23T00:00:00", "2026-12-07T00:00:00", "2026-12-21T00:00:00"]),
        ("0 0 1-7 * */7", ["2026-12-06T00:00:00", "2027-01-03T00:00:00", "2027-02-07T00:00:00"]),
        ("*/20 1 10 * * *", ["2026-11-22T10:01:00", "2026-11-22T10:01:20", "2026-11-22T10:01:40"]),
        ("@yearly", ["2027-01-01T00:00:00", "2028-01-01T00:00:00", "2029-01-01T00:00:00"]),
        ("@monthly", ["2026-12-01T00:00:00", "2027-01-01T00:00:00", "2027-02-01T00:00:00"]),
        ("@weekly", ["2026-11-29T00:00:00", "2026-12-06T00:00:00", "2026-12-13T00:00:00"]),
        (" @Daily\t", ["2026-11-23T00:00:00", "2026-11-24T00:00:00", "2026-11-25T00:00:00"]),
        ("@hourly", ["2026-11-22T11:00:00", "2026-11-22T12:00:00", "2026-11-22T13:00:00"]),
    ] {
        assert_eq!(next(&schedule(text, "UTC"), from, 3), expected.map(|at| format!("{at}+00:00")), "{text}");
    }
    for (alias, same) in [("@annually", "@yearly"), ("@midnight", "@daily")] {
        assert_eq!(next(&schedule(alias, "UTC"), from, 3), next(&schedule(same, "UTC"), from, 3));
    }
}

/// The text with a mark where the fault is, and the message.
fn refused(text: &str) -> (String, String) {
    let error = Schedule::parse(text, "UTC").expect_err(text);
    let position = error.position().unwrap();
    let (before, after): (Vec<char>, Vec<char>) =
        (text.chars().take(position).collect(), text.chars().skip(position).collect());
    (format!("{}^{}", before.iter().collect::<String>(), after.iter().collect::<String>()), error.to_string())
}

#[test]
fn faults_are_named_with_field_and_place() {
    for (marked, words) in [
        ("^", "at character 1: it is empty"),
        ("* * * *^", "4 fields instead of five"),
        ("* * * * * * ^*", "7 fields"),
        ("0 9 * * MON^#2", "day-of-week field of the schedule at character 12: '#' is not part of POSIX"),
        ("^, * * * *", "minute field of the schedule at character 1: a value is missing"),
        ("1,^,2 * * * *", "a value is missing"),
        ("1,^ * * * *", "a value is missing"),
        ("1-^ * * * *", "a value is missing"),
        ("^-1 * * * *", "a value is missing"),
        ("^/5 * * * *", "a value is missing"),
        ("*/^ * * * *", "a value is missing"),
        ("*/^0 * * * *", "a step is a number from 1"),
        ("*/^60 * * * *", "a step of 60 passes the whole field"),
        ("*/^-5 * * * *", "'-' does not belong here"),
        ("*/5^/5 * * * *", "'/' does not belong here"),
        ("1-2^-3 * * * *", "'-' does not belong here"),
        ("^60 * * * *", "60 is out of range: use 0 to 59"),
        ("0 ^24 * * *", "hour field of the schedule at character 3: 24 is out of range"),
        ("0 0 ^0 * *", "use 1 to 31"),
        ("0 0 1 ^13 *", "use 1 to 12 or JAN to DEC"),
        ("0 0 1 ^JANUARY *", "\"JANUARY\" is no value: use 1 to 12 or JAN to DEC"),
        ("0 0 * * ^8", "day-of-week field of the schedule at character 9"),
        ("0 0 * * ^99999999999999999999", "is out of range"),
        ("0 0 * * ^SAT-SUN", "the range ends before it starts"),
        ("0 ^22-2 * * *", "the range ends before it starts"),
        ("0 0 ^MON * *", "day-of-month field of the schedule at character 5: \"MON\" is no value"),
        ("0 0 ^L * *", "'L' is not part of POSIX cron"),
        ("0 0 15^W * *", "'W' is not part of POSIX cron"),
        ("0 0 ^? * *", "'?' is not part of POSIX cron"),
        ("^*5 * * * *", "does not belong here"),
        ("5^* * * * *", "'*' does not belong here"),
        ("1^.5 * * * *", "'.' does not belong here"),
        ("1^–5 * * * *", "'–' does not belong here"),
        ("^१ * * * *", "'१' does not belong here"),
        ("0 0 * *^\u{a0}* *", "does not belong here"),
        ("0 0 * * *^\n", "does not belong here"),
        ("^@reboot", "it has no such name"),
        ("@daily ^5", "2 fields"),
        ("0 ^x7 * * *", "'x' does not belong here"),
    ] {
        let (at, message) = refused(&marked.replacen('^', "", 1));
        assert!(message.contains(words), "{marked}: {message}");
        assert_eq!(at, marked, "{message}");
    }
    let error = Schedule::parse("0 99 * * *", "UTC").unwrap_err();
    let fault = Fault::OutOfRange { field: Field::Hour, value: "99".to_owned() };
    assert_eq!(error, CronError::Field { field: Field::Hour, at: 2, fault });
}

#[test]
fn zones_are_those_of_the_database() {
    assert_eq!(schedule("@daily", "europe/berlin").zone(), "Europe/Berlin");
    for zone in [
        "",
        "Europe/Atlantis",
        "+01:00",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/Berlin\0",
        "EST5EDT4",
        "right/Europe/Berlin",
        "localtime",
        "Etc/Unknown",
        "\u{1f552}",
    ] {
        let error = Schedule::parse("@daily", zone).expect_err(zone);
        assert!(matches!(error, CronError::Zone { .. }), "{zone}: {error}");
    }
    let error = Schedule::parse("@daily", &"x".repeat(10_000)).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn schedules_without_a_date_are_refused() {
    let now = at("2026-11-22T10:00:00Z");
    for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 feb *"] {
        assert_eq!(schedule(text, "UTC").check(now), Err(CronError::NoDate), "{text}");
    }
    // Leap days on a Sunday are 28 years apart, and 40 around 2100; one in 2032 is a Sunday.
    assert_eq!(schedule("0 0 29 2 */7", "UTC").check(now), Ok(()));
    assert_eq!(schedule("0 0 29 2 */7", "UTC").check(at("2033-01-01T00:00:00Z")), Err(CronError::NoDate));
    assert_eq!(schedule("0 0 29 2 *", "UTC").check(at("2028-02-29T00:00:00Z")), Ok(()));
    // It follows the clock, which never shows this time.
    let never = schedule("*/30 2 8-14 3 */7", "America/New_York");
    assert_eq!(never.check(now), Err(CronError::NoDate));
    assert_eq!(never.after(now), None);
    // Beyond the last year there is nothing, however far.
    let daily = schedule("@daily", "Pacific/Apia");
    let (first, last) = (daily.after(Timestamp(i64::MIN)).unwrap(), daily.last_until(Timestamp(i64::MAX)).unwrap());
    assert_eq!(
        (daily.shown(first).as_str(), daily.shown(last).as_str()),
        ("1970-01-01T00:00:00-11:00", "2100-12-31T00:00:00+13:00")
    );
    assert_eq!(
        daily.count(Timestamp(i64::MIN), Timestamp(i64::MAX)),
        daily.upcoming(Timestamp(i64::MIN)).count() as u64
    );
    assert_eq!((daily.after(last), daily.last_until(Timestamp(first.0 - 1))), (None, None));
    assert_eq!(schedule("@daily", "UTC").after(at("2100-12-31T00:00:00Z")), None);
    assert_eq!(schedule("@daily", "UTC").last_until(at("1969-12-31T00:00:00Z")), None);
}

#[test]
fn a8_hostile_schedules_cost_little() {
    let longest = "1,".repeat(128);
    let texts = [
        ", * * * *".to_owned(),
        "* ".repeat(128),
        longest.clone(),
        format!("{longest}1 * * * *"),
        "x".repeat(10_000_000),
        format!("{} * * * *", "*/1,".repeat(60) + "*"),
        "0 0 29 2 */7".to_owned(),
        "59 59 23 31 12 *".to_owned(),
        "*/30 2 8-14 3 */7".to_owned(),
        "* * 2 25-31 3 */7".to_owned(),
        "0 0 30 2 *".to_owned(),
        "\u{feff}* * * * *".to_owned(),
        "0-59/1,0-59/1,0-59/1 0-23/1,0-23/1 1-31/1,1-31/1 1-12/1,1-12/1 0-7/1,0-7/1".to_owned(),
    ];
    let now = at("2026-11-22T10:00:00Z");
    // The first use of a zone reads it from a file.
    let zones = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"];
    zones.iter().for_each(|zone| drop(schedule("@daily", zone)));
    for (text, zone) in texts.iter().flat_map(|text| zones.map(|zone| (text, zone))) {
        let fastest = (0..5).map(|_| {
            let begun = Instant::now();
            if let Ok(schedule) = Schedule::parse(text, zone) {
                black_box((schedule.check(now).is_ok(), schedule.last_until(now)));
            }
            begun.elapsed()
        });
        // A millisecond in a release; a test without optimisation gets some more.
        let (took, shown) = (fastest.min().unwrap(), text.chars().take(40).collect::<String>());
        assert!(took < Duration::from_millis(10), "{shown} in {zone} took {took:?}");
    }
}
