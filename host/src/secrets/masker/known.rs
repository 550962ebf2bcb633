//! The forms of all secrets, and where they stand in a text.

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use zeroize::{Zeroize as _, Zeroizing};

/// The bytes by which a form is found; no form is shorter.
const GRAM: usize = super::MASKED_BYTES_MIN;
/// Bits of the table for each form, so that few other texts are looked at closely.
const BITS_A_FORM: usize = 64;

/// Every form of every secret.
#[derive(Default)]
pub(super) struct Known {
    forms: BTreeMap<Form, Vec<Arc<str>>>,
    /// Bytes of the longest form that there ever was.
    longest: usize,
    grams: Grams,
}

/// A form's bytes, wiped when they are let go.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Form(Box<[u8]>);

impl Borrow<[u8]> for Form {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Where a secret stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) name: &'a str,
}

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    pub(super) fn insert(&mut self, name: &Arc<str>, forms: Vec<Zeroizing<String>>) {
        for form in forms.iter().filter(|form| form.len() >= GRAM) {
            self.longest = self.longest.max(form.len());
            let names = self.forms.entry(Form(form.as_bytes().into())).or_default();
            if !names.contains(name) {
                names.push(Arc::clone(name));
            }
        }
        let keys = self.forms.keys().map(|form| &*form.0);
        if self.grams.is_crowded(self.forms.len()) {
            self.grams = Grams::of(keys, self.forms.len());
        } else {
            forms.iter().for_each(|form| self.grams.add(form.as_bytes()));
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.forms.retain(|_, names| {
            names.retain(|known| &**known != name);
            !names.is_empty()
        });
    }

    /// Every stretch of secrets in a text, in order; those that overlap are one.
    pub(super) fn spans(&self, text: &[u8]) -> Vec<Span<'_>> {
        let mut spans: Vec<Span<'_>> = Vec::new();
        let mut from = 0;
        while let Some(found) = self.next(text, from) {
            from = found.start + 1;
            match spans.last_mut() {
                Some(last) if found.start < last.end => last.end = last.end.max(found.end),
                _ => spans.push(found),
            }
        }
        spans
    }

    /// The first secret that begins at `from` or later, as long as it can be.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<Span<'_>> {
        if self.is_empty() {
            return None;
        }
        let rest = text.get(from..)?;
        rest.windows(GRAM).enumerate().filter(|(_, gram)| self.grams.may_hold(gram)).find_map(|(at, _)| {
            let (length, name) = self.longest_at(&rest[at..])?;
            Some(Span { start: from + at, end: from + at + length, name })
        })
    }

    /// The longest form that the text begins with. Whatever lies between it and the text in order begins with it, so a
    /// look to the left finds it, or says how much of the text is still worth a look.
    fn longest_at(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut text = &text[..text.len().min(self.longest)];
        while text.len() >= GRAM {
            let (form, names) = self.forms.range::<[u8], _>((Unbounded, Included(text))).next_back()?;
            let common = common_prefix(&form.0, text);
            if common == form.0.len() {
                return Some((common, names.first()?));
            }
            text = &text[..common];
        }
        None
    }

    /// Where the end of a text begins that could go on as a secret.
    pub(super) fn begun(&self, text: &[u8]) -> Option<(usize, &str)> {
        let earliest = text.len().saturating_sub(self.longest.saturating_sub(1));
        (earliest..text.len()).find_map(|start| {
            let end = &text[start..];
            let (form, names) = self.forms.range::<[u8], _>((Excluded(end), Unbounded)).next()?;
            let name = names.first()?;
            form.0.starts_with(end).then_some((start, &**name))
        })
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Which eight bytes some form begins with: surely not, or perhaps.
#[derive(Default)]
struct Grams {
    bits: Vec<u64>,
    shift: u32,
}

impl Grams {
    fn of<'a>(forms: impl Iterator<Item = &'a [u8]>, count: usize) -> Self {
        let bits = (2 * count * BITS_A_FORM).next_power_of_two().max(1024);
        let mut grams = Self { bits: vec![0; bits / 64], shift: 64 - bits.ilog2() };
        forms.for_each(|form| grams.add(form));
        grams
    }

    fn is_crowded(&self, count: usize) -> bool {
        self.bits.len() * 64 < count * BITS_A_FORM
    }

    fn add(&mut self, form: &[u8]) {
        if let Some((word, bit)) = form.get(..GRAM).and_then(|gram| self.place(gram)) {
            self.bits[word] |= bit;
        }
    }

    fn may_hold(&self, gram: &[u8]) -> bool {
        self.place(gram).is_some_and(|(word, bit)| self.bits[word] & bit != 0)
    }

    fn place(&self, gram: &[u8]) -> Option<(usize, u64)> {
        let number = u64::from_le_bytes(gram.try_into().ok()?);
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        Some((usize::try_from(hash / 64).ok()?, 1 << (hash % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(values: &[(&str, &str)]) -> Known {
        let mut known = Known::default();
        for (name, value) in values {
            known.insert(&(*name).into(), vec![Zeroizing::new((*value).to_owned())]);
        }
        known
    }

    fn found(known: &Known, text: &str) -> Vec<(usize, usize, String)> {
        known.spans(text.as_bytes()).into_iter().map(|span| (span.start, span.end, span.name.to_owned())).collect()
    }

    #[test]
    fn the_longest_form_counts_also_where_a_longer_one_fails() {
        let known = known(&[("a", "abcdefgh"), ("b", "abcdefghijklmnop"), ("c", "abcdefghijklmnopqrst!")]);
        assert_eq!(found(&known, "xabcdefghi"), [(1, 9, "a".to_owned())]);
        assert_eq!(found(&known, "abcdefghijklmnopqrst?"), [(0, 16, "b".to_owned())]);
        assert_eq!(found(&known, "abcdefghijklmnopqrst!"), [(0, 21, "c".to_owned())]);
        assert_eq!(found(&known, "abcdefg"), []);
    }

    #[test]
    fn what_overlaps_is_one_stretch() {
        let known = known(&[("a", "aaaabbbb"), ("b", "bbbbcccc")]);
        assert_eq!(found(&known, "-aaaabbbbcccc-bbbbcccc"), [(1, 13, "a".to_owned()), (14, 22, "b".to_owned())]);
    }

    #[test]
    fn a_value_of_two_names_stays_known_while_one_has_it() {
        let mut known = known(&[("a", "12345678"), ("b", "12345678")]);
        known.remove("a");
        assert_eq!(found(&known, "12345678"), [(0, 8, "b".to_owned())]);
        known.remove("b");
        assert!(found(&known, "12345678").is_empty() && known.is_empty());
    }

    #[test]
    fn the_table_grows_with_the_forms() {
        let values: Vec<String> = (0..3000).map(|n| format!("{n:08}-value")).collect();
        let mut known = Known::default();
        for value in &values {
            known.insert(&"n".into(), vec![Zeroizing::new(value.clone())]);
        }
        assert!(values.iter().all(|value| found(&known, value).len() == 1));
        assert!(!known.grams.is_crowded(known.forms.len()));
    }
}
