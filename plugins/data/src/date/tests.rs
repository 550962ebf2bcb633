use super::*;

fn make(input: Value) -> Result<DateOutput> {
    date(serde_json::from_value(input).unwrap())
}

#[test]
fn reads_dates_in_all_forms() {
    for (text, expected) in [
        (json!("2026-11-22"), "2026-11-22T00:00:00Z"),
        (json!("2026-11-22T10:00"), "2026-11-22T10:00:00Z"),
        (json!("2026-11-22T10:00:00Z"), "2026-11-22T10:00:00Z"),
        (json!("2026-11-22T10:00:00+01:00"), "2026-11-22T10:00:00+01:00"),
        (json!("2026-11-22T10:00[Europe/Berlin]"), "2026-11-22T10:00:00+01:00"),
        (json!("2026-11-22T10:00:00+01:00[Europe/Berlin]"), "2026-11-22T10:00:00+01:00"),
        (json!(0), "1970-01-01T00:00:00Z"),
        (json!(1.5), "1970-01-01T00:00:01.5Z"),
    ] {
        assert_eq!(make(json!({ "date": text })).unwrap().date, expected, "{text}");
    }
}

#[test]
fn parse_format_reads_other_forms() {
    let made = make(json!({ "date": "22.11.2026", "parse_format": "%d.%m.%Y", "time_zone": "Europe/Berlin" })).unwrap();
    assert_eq!(made.date, "2026-11-22T00:00:00+01:00");
    let made = make(json!({ "date": "22/Nov/2026 10:00:00 +0200", "parse_format": "%d/%b/%Y %H:%M:%S %z" })).unwrap();
    assert_eq!(made.date, "2026-11-22T08:00:00Z");
}

#[test]
fn parse_format_reads_zones_and_seconds_and_no_half_times() {
    for (date, format, expected) in [
        ("22.11.2026 10:00 Asia/Tokyo", "%d.%m.%Y %H:%M %Q", "2026-11-22T10:00:00+09:00"),
        ("1795341600", "%s", "2026-11-22T10:00:00Z"),
    ] {
        assert_eq!(make(json!({ "date": date, "parse_format": format })).unwrap().date, expected, "{date}");
    }
    let refused = make(json!({ "date": "22.11.2026 :30", "parse_format": "%d.%m.%Y :%M" }));
    assert!(refused.is_err(), "a minute without an hour is no time: {refused:?}");
}

#[test]
fn adding_follows_the_calendar() {
    for (text, add, expected) in [
        ("2026-01-31", "P1M", "2026-02-28T00:00:00Z"),
        ("2028-02-29", "1 year", "2029-02-28T00:00:00Z"),
        ("2026-11-22", "-2 weeks", "2026-11-08T00:00:00Z"),
        // The night in which Berlin's clocks go forward: a day is 23 hours.
        ("2026-03-28T12:00[Europe/Berlin]", "1 day", "2026-03-29T12:00:00+02:00"),
        ("2026-03-28T12:00[Europe/Berlin]", "24 hours", "2026-03-29T13:00:00+02:00"),
    ] {
        assert_eq!(make(json!({ "date": text, "add": add })).unwrap().date, expected, "{text} {add}");
    }
}

#[test]
fn converts_and_formats() {
    let made = make(json!({
        "date": "2026-11-22T10:00:00Z", "to_time_zone": "Asia/Tokyo", "format": "%A, %d %B %Y %H:%M",
    }));
    let expected = DateOutput {
        date: "2026-11-22T19:00:00+09:00".into(),
        time_zone: "Asia/Tokyo".into(),
        day: "2026-11-22".into(),
        weekday: "sunday".into(),
        week: 47,
        day_of_year: 326,
        epoch_seconds: 1_795_341_600.0,
        formatted: Some("Sunday, 22 November 2026 19:00".into()),
    };
    assert_eq!(made, Ok(expected));
}

#[test]
fn differences() {
    let difference = |from: &str, to: &str, zone: &str| {
        date_difference(serde_json::from_value(json!({ "from": from, "to": to, "time_zone": zone })).unwrap()).unwrap()
    };
    let made = difference("2026-01-31", "2026-03-01T06:00", "UTC");
    assert_eq!((made.duration.as_str(), made.days, made.seconds), ("P1M1DT6H", 29, 2_527_200.0));
    let made = difference("2026-03-28T12:00", "2026-03-29T12:00", "Europe/Berlin");
    assert_eq!((made.duration.as_str(), made.days, made.seconds), ("P1D", 1, 82_800.0));
    assert_eq!(difference("2026-01-02", "2026-01-01", "UTC").days, -1);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (input, part) in [
        (json!({ "date": "tomorrow" }), "\"tomorrow\" cannot be read"),
        (json!({ "date": "2026-02-30" }), "cannot be read"),
        (json!({ "date": "2026-01-01", "time_zone": "Mars/Base" }), "Mars/Base"),
        (json!({ "date": "2026-01-01", "time_zone": "../../etc/passwd" }), "unknown"),
        (json!({ "date": "2026-01-01", "add": "a while" }), "no duration"),
        (json!({ "date": "2026-01-01", "add": "19998 years" }), "outside"),
        (json!({ "date": 1e300 }), "outside"),
        (json!({ "date": "2026-01-01", "format": "%!" }), "format"),
        (json!({ "date": "x".repeat(1000) }), "bytes"),
    ] {
        let failure = make(input.clone()).unwrap_err();
        assert_eq!(failure.code(), "invalid_input", "{input}");
        assert!(failure.message().contains(part), "{input}: {failure}");
    }
}
