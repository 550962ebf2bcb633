//! Expressions by chance.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

const BOUNDS: [(u32, u32); 6] = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MONTHS: [&str; 12] = ["JAN", "feb", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"];

/// A schedule of five fields, sometimes of six.
pub(super) fn any(rng: &mut StdRng) -> String {
    if rng.random_bool(0.002) {
        let (day, weekday) = (rng.random_range(28..32), rng.random_range(4..8));
        return format!("0 12 {day} 2 */{weekday}");
    }
    let first = usize::from(rng.random_bool(0.8));
    let fields: Vec<_> = (first..6).map(|index| field(index, rng)).collect();
    fields.join(" ")
}

fn field(index: usize, rng: &mut StdRng) -> String {
    // Days and months are mostly left open, as people do; else hardly anything would ever happen.
    if rng.random_bool(if index >= 3 { 0.5 } else { 0.2 }) {
        return "*".to_owned();
    }
    let items = if rng.random_bool(0.7) { 1 } else { rng.random_range(2..5) };
    (0..items).map(|_| item(index, rng)).collect::<Vec<_>>().join(",")
}

fn item(index: usize, rng: &mut StdRng) -> String {
    let (least, most) = BOUNDS[index];
    let mut some = || rng.random_range(least..=most);
    let (a, b) = (some(), some());
    let (low, high) = (a.min(b), a.max(b));
    // One more than makes sense, to see it refused.
    let excess = if rng.random_bool(0.97) { 0 } else { 9 };
    let step = rng.random_range(1..=most + excess);
    match rng.random_range(0..200) {
        0..10 => "*".to_owned(),
        10..40 => format!("*/{step}"),
        40..100 => value(index, low, rng),
        100..110 => format!("{low}/{step}"),
        110..150 => format!("{}-{}", value(index, low, rng), value(index, high, rng)),
        150..190 => format!("{low}-{high}/{step}"),
        190..198 => format!("0{low}"),
        _ if low == high => value(index, low, rng),
        _ => format!("{high}-{low}"),
    }
}

/// A number, or a name where there are names.
fn value(index: usize, value: u32, rng: &mut StdRng) -> String {
    let named = rng.random_bool(0.3);
    let name = match index {
        4 => MONTHS.get(value as usize - 1),
        5 => WEEKDAYS.get(value as usize),
        _ => None,
    };
    let number = [value.to_string(), format!("{value:02}")].choose(rng).cloned().unwrap_or_default();
    name.filter(|_| named).map_or(number, |name| (*name).to_owned())
}
