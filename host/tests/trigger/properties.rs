//! What holds for every schedule, against a search that looks at every minute or second.

use std::collections::BTreeSet;

use jiff::{
    Timestamp as Instant, ToSpan as _,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use proptest::{collection::vec, prelude::*, sample::select};
use weir_engine::id::Timestamp;
use weir_host::trigger::cron::Schedule;

const SECOND: i64 = 1_000_000;
const BOUNDS: [(u32, u32); 6] = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const ZONES: [&str; 11] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "America/Havana",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

/// A field: its text, what it allows.
type Field = (String, BTreeSet<u32>);

/// A schedule that is known to mean this.
#[derive(Debug, Clone)]
struct Spec {
    fields: Vec<Field>,
    with_seconds: bool,
    zone: &'static str,
}

impl Spec {
    fn text(&self) -> String {
        let texts = self.fields.iter().skip(usize::from(!self.with_seconds)).map(|(text, _)| text.as_str());
        texts.collect::<Vec<_>>().join(" ")
    }

    fn starred(&self, field: usize) -> bool {
        self.fields[field].0.starts_with('*')
    }

    fn matches(&self, at: DateTime) -> bool {
        let has = |field: usize, value: i8| self.fields[field].1.contains(&u32::try_from(value).unwrap());
        let day = has(3, at.day());
        let weekday = has(5, at.weekday().to_sunday_zero_offset()) || has(5, at.weekday().to_monday_one_offset());
        let both = self.starred(3) || self.starred(5);
        let second = if self.with_seconds { has(0, at.second()) } else { at.second() == 0 };
        second
            && has(1, at.minute())
            && has(2, at.hour())
            && has(4, at.month())
            && if both { day && weekday } else { day || weekday }
    }

    /// The seconds between the times that are looked at.
    fn grain(&self) -> i64 {
        if self.with_seconds { 1 } else { 60 }
    }

    /// All instants after one second and up to and with another, by looking at every time.
    fn search(&self, from: i64, until: i64) -> Vec<i64> {
        let zone = TimeZone::get(self.zone).unwrap();
        let first = from.div_euclid(self.grain()) * self.grain();
        let found: BTreeSet<i64> = if self.starred(1) || self.starred(2) {
            let seconds = (first..=until).step_by(usize::try_from(self.grain()).unwrap());
            seconds.filter(|second| self.matches(zone.to_datetime(Instant::from_second(*second).unwrap()))).collect()
        } else {
            // Times on walls, from before to after whatever clocks do.
            let walls = (first - 30 * 3600..=until + 30 * 3600).step_by(usize::try_from(self.grain()).unwrap());
            let walls = walls.map(|second| TimeZone::UTC.to_datetime(Instant::from_second(second).unwrap()));
            walls.filter(|wall| self.matches(*wall)).map(|wall| self.fixed(&zone, wall)).collect()
        };
        found.into_iter().filter(|second| (from + 1..=until).contains(second)).collect()
    }

    /// When a fixed time comes: in a gap at the next time that clocks show.
    fn fixed(&self, zone: &TimeZone, wall: DateTime) -> i64 {
        let mut wall = wall;
        loop {
            let ambiguous = zone.to_ambiguous_timestamp(wall);
            let (AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. }) =
                ambiguous.offset()
            else {
                wall = wall.checked_add(self.grain().seconds()).unwrap();
                continue;
            };
            return offset.to_timestamp(wall).unwrap().as_second();
        }
    }
}

fn item(field: usize) -> BoxedStrategy<Field> {
    let (least, most) = BOUNDS[field];
    let value = least..=most;
    let step = 1..=most;
    let stepped = |first: u32, last: u32, step: u32| (first..=last).step_by(step as usize).collect();
    let ordered = |(a, b): (u32, u32)| (a.min(b), a.max(b));
    prop_oneof![
        4 => Just(("*".to_owned(), (least..=most).collect())),
        2 => step.clone().prop_map(move |step| (format!("*/{step}"), stepped(least, most, step))),
        6 => value.clone().prop_map(|value| (value.to_string(), BTreeSet::from([value]))),
        1 => (value.clone(), step.clone()).prop_map(move |(first, step)| (format!("{first}/{step}"), stepped(first, most, step))),
        2 => (value.clone(), value.clone()).prop_map(ordered).prop_map(move |(a, b)| (format!("{a}-{b}"), stepped(a, b, 1))),
        2 => ((value.clone(), value).prop_map(ordered), step)
            .prop_map(move |((a, b), step)| (format!("{a}-{b}/{step}"), stepped(a, b, step))),
    ]
    .boxed()
}

fn field(field: usize) -> impl Strategy<Value = Field> {
    vec(item(field), 1..3).prop_map(|items| {
        let texts: Vec<_> = items.iter().map(|(text, _)| text.as_str()).collect();
        (texts.join(","), items.iter().flat_map(|(_, values)| values).copied().collect())
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    let days = prop_oneof![Just(("*".to_owned(), (1..=31).collect())), field(3)];
    let months = prop_oneof![4 => Just(("*".to_owned(), (1..=12).collect())), 1 => field(4)];
    let fields = (field(0), field(1), field(2), days, months, field(5));
    (fields, any::<bool>(), select(&ZONES)).prop_map(|((a, b, c, d, e, f), with_seconds, zone)| Spec {
        fields: vec![a, b, c, d, e, f],
        with_seconds,
        zone,
    })
}

/// A window of time: mostly around a moment at which the zone's clocks are changed.
fn window(spec: &Spec, year: i16, change: usize, before: i64) -> (i64, i64) {
    let length = if spec.with_seconds { 2 * 3600 } else { 2 * 86_400 };
    let start = jiff::civil::date(year, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let zone = TimeZone::get(spec.zone).unwrap();
    let around = zone.following(start).nth(change).map_or(start, |transition| transition.timestamp()).as_second();
    let from = around - before % length;
    (from, from + length)
}

fn seconds(instants: impl Iterator<Item = Timestamp>) -> Vec<i64> {
    instants.inspect(|instant| assert_eq!(instant.0 % SECOND, 0)).map(|instant| instant.0 / SECOND).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn r12_no_instant_is_missing_and_none_is_too_many(
        spec in spec(), year in 2008_i16..2040, change in 0_usize..4, before in 0_i64..200_000, fraction in 0..SECOND,
    ) {
        let text = spec.text();
        let schedule = Schedule::parse(&text, spec.zone).unwrap();
        let (from, until) = window(&spec, year, change, before);
        let expected = spec.search(from, until);
        // Fractions of a second change nothing: instants are on whole seconds.
        let (after, last) = (Timestamp(from * SECOND + fraction), Timestamp(until * SECOND + fraction));
        let found = seconds(schedule.between(after, last));
        prop_assert!(found.is_sorted_by(|a, b| a < b), "{text} does not go forward: {found:?}");
        prop_assert_eq!(&found, &expected, "{} in {} from {}", text, spec.zone, from);

        let back = std::iter::successors(schedule.last_until(last), |at| schedule.last_until(Timestamp(at.0 - 1)));
        let mut back = seconds(back.take_while(|at| *at > after));
        back.reverse();
        prop_assert_eq!(&back, &expected, "{} in {} back from {}", text, spec.zone, until);

        let count = schedule.count(after, last);
        prop_assert_eq!(count, expected.len() as u64, "{} in {} from {}", text, spec.zone, from);
        prop_assert_eq!(schedule.count(last, after), 0);
    }

    #[test]
    fn a8_any_text_is_a_schedule_or_an_error_with_its_place(text in "[-0-9*/,@#LWa-zA-Z \t?]{0,40}|\\PC{0,20}|([0-9*/,-]{1,6} ){4,5}[0-9*/,-]{1,6}") {
        match Schedule::parse(&text, "Europe/Berlin") {
            Ok(schedule) => {
                let now = Timestamp(1_790_000_000 * SECOND);
                if let Some(next) = schedule.after(now) {
                    prop_assert!(next > now && schedule.last_until(next) == Some(next));
                }
            }
            Err(error) => prop_assert!(error.position().is_some_and(|at| at <= text.chars().count()), "{error}"),
        }
    }
}
