//! Which names are the same.

use unicode_normalization::UnicodeNormalization as _;

/// What names have in common that people take for the same: it differs neither in case, nor in the spaces around it, nor
/// in how Unicode composes its letters.
#[must_use]
pub fn folded(name: &str) -> String {
    let once =
        |name: &str| caseless::default_case_fold_str(&name.nfkc().collect::<String>()).nfkc().collect::<String>();
    // Folding may make what normalizes further, once: the second time nothing changes any more.
    once(&once(name.trim())).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a11_names_that_look_the_same_are_the_same() {
        let same = [
            ("Café", "cafe\u{301}"),
            ("ﬀ", "FF"),
            ("Straße", "STRASSE"),
            ("Ａｌｉｃｅ", "alice"),
            ("  alice ", "ALICE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{1E9E}", "ss"),
            ("K", "\u{212A}"),
            ("№1", "no1"),
            ("x\u{a0}", "x"),
        ];
        for (a, b) in same {
            assert_eq!(folded(a), folded(b), "{a} {b}");
        }
        for (a, b) in [("alice", "a1ice"), ("é", "e"), ("a b", "ab")] {
            assert_ne!(folded(a), folded(b), "{a} {b}");
        }
    }

    #[test]
    fn a11_folding_again_changes_nothing() {
        for c in (0..=0x1_ffff).filter_map(char::from_u32) {
            let name = folded(&format!("a{c}b\u{345}"));
            assert_eq!(folded(&name), name, "{c:?}");
        }
    }
}
