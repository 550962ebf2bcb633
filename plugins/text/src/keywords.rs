//! What a text is about, by its words.

use crate::words::{Listed, likeliest};
use std::collections::BTreeMap;
use weir_sdk::prelude::*;

/// What to look at.
#[derive(Deserialize, JsonSchema)]
pub struct KeywordsInput {
    /// The text.
    pub text: String,
    /// How many keywords to answer.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1, max = 100))]
    pub count: usize,
    /// The text's language, as `detect_language` answers it. Without it, the small words of the text decide.
    #[serde(default)]
    pub language: Option<String>,
}

/// The keywords.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct KeywordsOutput {
    /// The best first.
    pub keywords: Vec<Keyword>,
}

/// A word, or up to three that stand together.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Keyword {
    /// The words, in lower case.
    pub text: String,
    /// How much it stands out, for comparison within this text.
    pub score: f64,
    /// How often it occurs.
    pub count: usize,
}

const COUNT_MAX: usize = 100;
/// Longer runs of words between small words are no keyword.
const PHRASE_WORDS_MAX: usize = 3;

fn default_count() -> usize {
    5
}

/// Finds the keywords of a text.
///
/// Rapid automatic keyword extraction: the runs of up to three words between small words and punctuation, rated by how
/// often their words occur and in what company. Knows the small words of English, German, French and Spanish; texts in
/// other languages are taken as English, with weaker results.
#[tool(idempotent, read_only)]
pub fn keywords(input: KeywordsInput) -> Result<KeywordsOutput> {
    crate::check_length(&input.text)?;
    if !(1..=COUNT_MAX).contains(&input.count) {
        return Err(Failure::invalid_input(format!("count is {}, but must be 1 to {COUNT_MAX}", input.count)));
    }
    let language = match &input.language {
        Some(code) => Listed::from_code(code).unwrap_or(Listed::En),
        None => likeliest(&input.text),
    };
    let text = input.text.to_lowercase();
    let phrases = phrases(&text, language);
    Ok(KeywordsOutput { keywords: rate(&phrases, input.count) })
}

/// The runs of words between small words and punctuation.
fn phrases(text: &str, language: Listed) -> Vec<Vec<&str>> {
    let mut phrases = Vec::new();
    for part in text.split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, ' ' | '\'' | '’' | '-'))) {
        let words = part.split([' ', '\'', '’']).map(|word| word.trim_matches('-')).filter(|word| !word.is_empty());
        let mut phrase = Vec::new();
        for word in words {
            if says_little(word, language) {
                phrases.push(std::mem::take(&mut phrase));
            } else {
                phrase.push(word);
            }
        }
        phrases.push(phrase);
    }
    phrases.retain(|phrase| (1..=PHRASE_WORDS_MAX).contains(&phrase.len()));
    phrases
}

fn says_little(word: &str, language: Listed) -> bool {
    word.chars().count() < 2 || word.chars().all(|letter| letter.is_ascii_digit()) || language.is_stop(word)
}

/// Rates each phrase by the sum of (words in the company of the word / occurrences of the word), times its own
/// occurrences; the earlier phrase wins a tie.
fn rate(phrases: &[Vec<&str>], count: usize) -> Vec<Keyword> {
    let mut words: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut found: BTreeMap<&[&str], (usize, usize)> = BTreeMap::new();
    for (at, phrase) in phrases.iter().enumerate() {
        for &word in phrase {
            let (occurrences, company) = words.entry(word).or_default();
            *occurrences += 1;
            *company += phrase.len();
        }
        found.entry(phrase).or_insert((at, 0)).1 += 1;
    }
    let mut rated: Vec<_> = found
        .into_iter()
        .map(|(phrase, (at, count))| {
            let sum: f64 =
                phrase.iter().filter_map(|word| words.get(word)).map(|&(n, company)| ratio(company, n)).sum();
            // The root keeps one word that is repeated often from hiding everything else.
            let score = (sum * ratio(count, 1).sqrt() * 1000.0).round() / 1000.0;
            (at, Keyword { text: phrase.join(" "), score, count })
        })
        .collect();
    rated.sort_by(|(at, one), (other_at, other)| other.score.total_cmp(&one.score).then(at.cmp(other_at)));
    rated.into_iter().take(count).map(|(_, keyword)| keyword).collect()
}

/// Counts are at most as many as the text has bytes, so `f64` holds them exactly.
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, count: usize) -> Vec<String> {
        let output = keywords(KeywordsInput { text: text.into(), count, language: None }).unwrap();
        output.keywords.into_iter().map(|keyword| keyword.text).collect()
    }

    #[test]
    fn finds_what_an_english_text_is_about() {
        let text = "My credit card was charged twice. Please refund the second charge to my credit card.";
        assert_eq!(find(text, 2), ["credit card", "charged twice"]);
    }

    #[test]
    fn finds_what_a_german_text_is_about() {
        let text = "Die Kaffeemaschine ist kaputt. Ich möchte die Kaffeemaschine zurückgeben und mein Geld zurück.";
        let found = find(text, 3);
        assert!(found.contains(&"kaffeemaschine".to_owned()) || found[0].contains("kaffeemaschine"), "{found:?}");
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(find("", 5).is_empty());
        assert!(find("it is the 12 of 34 …", 5).is_empty());
    }

    #[test]
    fn count_is_bounded() {
        let input = KeywordsInput { text: "x".into(), count: 101, language: None };
        assert_eq!(keywords(input).unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn same_text_same_keywords() {
        let text = "alpha beta, gamma delta; epsilon zeta. eta theta! iota kappa?";
        assert_eq!(find(text, 3), ["alpha beta", "gamma delta", "epsilon zeta"]);
    }
}
