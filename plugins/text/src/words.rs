//! Words, and the small words of each language that the tools have lists for.

mod stop;

use std::fmt;

/// A language that the tools have word lists for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listed {
    /// English.
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
}

impl Listed {
    /// All of them; earlier ones win ties.
    pub(crate) const ALL: [Self; 4] = [Self::En, Self::De, Self::Fr, Self::Es];

    /// The code of ISO 639-1.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
        }
    }

    /// The language of a code, where there are lists for it.
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// Whether the word (in lower case) is one that says little: an article, a pronoun, a preposition …
    pub(crate) fn is_stop(self, word: &str) -> bool {
        let list = match self {
            Self::En => stop::EN,
            Self::De => stop::DE,
            Self::Fr => stop::FR,
            Self::Es => stop::ES,
        };
        list.binary_search(&word).is_ok()
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// The words of a text in lower case: runs of letters and digits. An apostrophe ends a word.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|other: char| !other.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// How many small words of each language the text has, the most first.
pub(crate) fn count_stops(text: &str) -> [(Listed, usize); 4] {
    let mut counts = Listed::ALL.map(|language| (language, 0));
    for word in words(text) {
        for (language, count) in &mut counts {
            *count += usize::from(language.is_stop(&word));
        }
    }
    counts.sort_by_key(|(language, count)| (std::cmp::Reverse(*count), *language));
    counts
}

/// The language among those with lists whose small words the text has most of; English where it has none.
pub(crate) fn likeliest(text: &str) -> Listed {
    count_stops(text)[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_in_lower_case() {
        for list in [stop::EN, stop::DE, stop::FR, stop::ES] {
            for pair in list.windows(2) {
                assert!(pair[0] < pair[1], "{pair:?}");
            }
            assert!(list.iter().all(|word| word.to_lowercase() == **word));
        }
    }

    #[test]
    fn likeliest_language_goes_by_small_words() {
        assert_eq!(likeliest("Where is my order?"), Listed::En);
        assert_eq!(likeliest("Wo ist meine Bestellung?"), Listed::De);
        assert_eq!(likeliest("Où est ma commande ?"), Listed::Fr);
        assert_eq!(likeliest("¿Dónde está mi pedido?"), Listed::Es);
        assert_eq!(likeliest("…"), Listed::En);
    }
}
