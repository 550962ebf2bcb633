//! From the text of a schedule to its fields.

use super::{
    TEXT_BYTES_MAX,
    error::{CronError, Fault, Field},
    fields::{DayRule, Fields},
};

/// Schedules that have a name.
const ALIASES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A fault, and the byte where it is.
type Fallible<T> = Result<T, (usize, Fault)>;

/// A part of the text, and the byte where it begins.
#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    at: usize,
}

/// Reads a schedule.
pub(super) fn parse(text: &str) -> Result<Fields, CronError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(CronError::Text { at: 0, fault: Fault::TooLong });
    }
    let place = |byte: usize| text.get(..byte).map_or(byte, |before| before.chars().count());
    let words = words(text);
    let in_text = |(byte, fault)| CronError::Text { at: place(byte), fault };
    if let Some(alias) = words.first().filter(|word| word.text.starts_with('@')) {
        return parse(find_alias(*alias, &words).map_err(in_text)?);
    }
    let with_seconds = check_count(text, &words).map_err(in_text)?;
    let mut sets = [1; 6];
    for (word, (field, set)) in words.iter().zip(Field::ALL.into_iter().zip(&mut sets).skip(usize::from(!with_seconds)))
    {
        *set = list(field, *word).map_err(|(byte, fault)| CronError::Field { field, at: place(byte), fault })?;
    }
    let first = words.len() - 5;
    let starred = |index: usize| words.get(first + index).is_some_and(|word| word.text.starts_with('*'));
    let [seconds, minutes, hours, days, months, weekdays] = sets;
    Ok(Fields {
        seconds,
        minutes,
        hours,
        days,
        months,
        weekdays: (weekdays | weekdays >> 7) & 0x7f,
        day_rule: if starred(2) || starred(4) { DayRule::Both } else { DayRule::Either },
        fixed: !starred(0) && !starred(1),
    })
}

/// What blanks separate.
fn words(text: &str) -> Vec<Piece<'_>> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split([' ', '\t']).filter(|word| !word.is_empty()).map(|word| Piece { text: word, at: start(word) }).collect()
}

/// What a name stands for.
fn find_alias(alias: Piece<'_>, words: &[Piece<'_>]) -> Fallible<&'static str> {
    if let Some(second) = words.get(1) {
        return Err((second.at, Fault::FieldCount { found: words.len() }));
    }
    let known = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(alias.text));
    known.map(|(_, stands_for)| *stands_for).ok_or((alias.at, Fault::UnknownAlias))
}

/// Whether there are seconds too; an error if there are neither five nor six fields.
fn check_count(text: &str, words: &[Piece<'_>]) -> Fallible<bool> {
    match words.len() {
        0 => Err((0, Fault::Empty)),
        5 => Ok(false),
        6 => Ok(true),
        found => Err((words.get(6).map_or(text.len(), |word| word.at), Fault::FieldCount { found })),
    }
}

/// `item,item,…`
fn list(field: Field, word: Piece<'_>) -> Fallible<u64> {
    let (mut set, mut at) = (0, word.at);
    for text in word.text.split(',') {
        set |= item(field, Piece { text, at })?;
        at += text.len() + 1;
    }
    Ok(set)
}

/// `*`, `a` or `a-b`, each perhaps with `/step`; `a/step` goes on to the end of the field.
fn item(field: Field, piece: Piece<'_>) -> Fallible<u64> {
    let (span, step) = cut(piece, '/');
    let (first, last) = match cut(span, '-') {
        _ if span.text == "*" => field.bounds(),
        (first, Some(last)) => range(field, first, last)?,
        (only, None) => {
            let first = value(field, only)?;
            (first, if step.is_some() { field.bounds().1 } else { first })
        }
    };
    let step = step.map_or(Ok(1), |step| parse_step(field, step))?;
    Ok((first..=last).step_by(step).fold(0, |set, value| set | 1 << value))
}

/// What stands before and after the first `separator`.
fn cut(piece: Piece<'_>, separator: char) -> (Piece<'_>, Option<Piece<'_>>) {
    match piece.text.split_once(separator) {
        None => (piece, None),
        Some((before, after)) => {
            let rest = Piece { text: after, at: piece.at + before.len() + separator.len_utf8() };
            (Piece { text: before, at: piece.at }, Some(rest))
        }
    }
}

fn range(field: Field, first: Piece<'_>, last: Piece<'_>) -> Fallible<(u32, u32)> {
    let bounds = (value(field, first)?, value(field, last)?);
    if bounds.0 <= bounds.1 { Ok(bounds) } else { Err((first.at, Fault::Backwards)) }
}

/// A number of the field, or one of its names.
fn value(field: Field, piece: Piece<'_>) -> Fallible<u32> {
    if piece.text.is_empty() {
        return Err((piece.at, Fault::Missing));
    }
    if let Some(value) = field.named(piece.text) {
        return Ok(value);
    }
    if piece.text.bytes().all(|byte| byte.is_ascii_digit()) {
        let (least, most) = field.bounds();
        let number = number(piece.text).filter(|number| (least..=most).contains(number));
        return number.ok_or_else(|| (piece.at, Fault::OutOfRange { field, value: piece.text.to_owned() }));
    }
    if piece.text.bytes().all(|byte| byte.is_ascii_alphabetic()) && !is_extension(piece.text) {
        return Err((piece.at, Fault::UnknownName { field, name: piece.text.to_owned() }));
    }
    Err(strange(piece))
}

fn parse_step(field: Field, piece: Piece<'_>) -> Fallible<usize> {
    if piece.text.is_empty() {
        return Err((piece.at, Fault::Missing));
    }
    if !piece.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(strange(piece));
    }
    match number(piece.text) {
        Some(0) => Err((piece.at, Fault::BadStep)),
        Some(step) if step <= field.bounds().1 => Ok(step as usize),
        Some(_) | None => Err((piece.at, Fault::StepTooLarge { step: piece.text.to_owned() })),
    }
}

/// A number of decimal digits; none if it is far too great.
fn number(digits: &str) -> Option<u32> {
    digits.parse().ok()
}

/// Letters that mean something in other kinds of cron: last, nearest weekday, hashed.
fn is_extension(letters: &str) -> bool {
    ["L", "W", "LW", "H"].iter().any(|known| known.eq_ignore_ascii_case(letters))
}

/// What keeps a text from being a number or a name.
fn strange(piece: Piece<'_>) -> (usize, Fault) {
    let find = |belongs: fn(char) -> bool| piece.text.char_indices().find(|(_, c)| !belongs(*c));
    if let Some((offset, found)) = find(|c| !"?#%".contains(c)) {
        return (piece.at + offset, Fault::NotPosix { found });
    }
    let unknown = find(|c| c.is_ascii_alphanumeric() || c == '*');
    if let Some((offset, found)) = unknown.or_else(|| find(|c| c.is_ascii_alphanumeric())) {
        return (piece.at + offset, Fault::Unexpected { found });
    }
    let (offset, found) = find(|c| c.is_ascii_digit()).unwrap_or((0, ' '));
    let extension = piece.text.get(offset..).is_some_and(is_extension);
    (piece.at + offset, if extension { Fault::NotPosix { found } } else { Fault::Unexpected { found } })
}
