//! Names that may be meant by a name that is wrong.

/// How many letters may differ.
const DISTANCE_MAX: usize = 2;
/// The most bytes of a name that is compared.
const NAME_BYTES_MAX: usize = 64;

/// How much of a name counts for its distance to another.
const COMPARED_BYTES_MAX: usize = 128;

/// For how many wrong names one is looked for: each is compared with all that there are.
pub(super) const SUGGESTIONS_MAX: usize = 20;

/// Looks for what was meant, for the first few names that are wrong.
pub(super) struct Suggestions {
    left: usize,
}

impl Suggestions {
    pub(super) fn new() -> Self {
        Self { left: SUGGESTIONS_MAX }
    }

    /// The name that is most like `wrong`, if one is much like it.
    pub(super) fn find<'n>(&mut self, wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        self.left = self.left.checked_sub(1)?;
        similar(wrong, names)
    }
}

fn similar<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if wrong.len() > NAME_BYTES_MAX {
        return None;
    }
    let near = names.filter(|name| name.len().abs_diff(wrong.len()) <= DISTANCE_MAX);
    near.map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= DISTANCE_MAX && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// How many bytes must be put in, left out or changed to get from `a` to `b` (V. I. Levenshtein, 1966), of the first 128
/// of each; capitals and small letters, hyphens and underscores are the same.
#[must_use]
pub fn edit_distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|name| &name.as_bytes()[..name.len().min(COMPARED_BYTES_MAX)]);
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_'));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(!same(*from, *to));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_meant() {
        let names = ["scrape_url", "summarize", "review"];
        let similar = |wrong| similar(wrong, names.into_iter());
        assert_eq!(similar("scrape-url"), Some("scrape_url"));
        assert_eq!(similar("sumarise"), Some("summarize"));
        assert_eq!(similar("Review"), Some("review"));
        assert_eq!(similar("publish"), None);
        assert_eq!(similar(&"x".repeat(1_000)), None);
    }
}
