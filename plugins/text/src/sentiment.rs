//! Whether a text sounds content or annoyed, by a lexicon.

mod lexicon;

use crate::words::{Listed, likeliest};
use weir_sdk::prelude::*;

/// What to look at.
#[derive(Deserialize, JsonSchema)]
pub struct SentimentInput {
    /// The text.
    pub text: String,
    /// Its language, as `detect_language` answers it. Without it, the small words of the text decide.
    #[serde(default)]
    pub language: Option<String>,
}

/// How the text sounds.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct SentimentOutput {
    /// From -1 (most negative) to 1 (most positive); 0 where nothing speaks for either.
    pub score: f64,
    /// The score in a word.
    pub label: Label,
    /// The language whose lexicon was used.
    pub language: String,
    /// The words that made the score, in the order of the text, at most 100.
    pub matched: Vec<Match>,
}

/// The score in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// -0.15 or less.
    Negative,
    /// Between.
    Neutral,
    /// 0.15 or more.
    Positive,
    /// There is no lexicon for the language.
    Unknown,
}

/// A word that counts.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Match {
    /// The word, as in the text but in lower case.
    pub word: String,
    /// What it counts, negation and amplifiers included; about -5 to 5.
    pub weight: f64,
}

/// A score from here on is not neutral.
const NOT_NEUTRAL: f64 = 0.15;
/// How many words back a negation reaches.
const NEGATION_REACH: usize = 3;
/// What a negation makes of a weight: "not good" is less bad than "bad".
const NEGATED: f64 = -0.74;
const AMPLIFIED: f64 = 1.4;
const DIMINISHED: f64 = 0.6;
/// Decides how quickly the score approaches 1.
const NORMAL: f64 = 15.0;
const MATCHES_MAX: usize = 100;

/// Rates the sentiment of a text.
///
/// A lexicon of English, German, French and Spanish words with weights; negations ("not good"), amplifiers ("very",
/// "sehr"), exclamation marks and common emoji count. It is quick and explains itself by the words that it matched, but
/// it does not understand irony, comparisons, or what the text is about.
#[tool(idempotent, read_only)]
pub fn sentiment(input: SentimentInput) -> Result<SentimentOutput> {
    crate::check_length(&input.text)?;
    let language = match &input.language {
        None => likeliest(&input.text),
        Some(code) => match Listed::from_code(code) {
            Some(language) => language,
            None => return Ok(unknown(code)),
        },
    };
    let (sum, matched) = weigh(&input.text, language);
    let score = round(sum / (sum * sum + NORMAL).sqrt());
    Ok(SentimentOutput { score, label: label(score), language: language.code().into(), matched })
}

fn unknown(language: &str) -> SentimentOutput {
    SentimentOutput { score: 0.0, label: Label::Unknown, language: language.into(), matched: Vec::new() }
}

fn label(score: f64) -> Label {
    if score >= NOT_NEUTRAL {
        Label::Positive
    } else if score <= -NOT_NEUTRAL {
        Label::Negative
    } else {
        Label::Neutral
    }
}

fn weigh(text: &str, language: Listed) -> (f64, Vec<Match>) {
    let lexicon = lexicon::of(language);
    let mut sum = 0.0;
    let mut matched = Vec::new();
    for sentence in text.split_inclusive(['.', '!', '?', ';', '\n']) {
        let emphasis = if sentence.ends_with('!') { 1.2 } else { 1.0 };
        let tokens = tokens(sentence);
        for (at, token) in tokens.iter().enumerate() {
            let Some(weight) = lexicon.weight(token) else { continue };
            let weight = round(weight * context(&tokens[at.saturating_sub(NEGATION_REACH)..at], lexicon) * emphasis);
            sum += weight;
            if matched.len() < MATCHES_MAX {
                matched.push(Match { word: token.clone(), weight });
            }
        }
    }
    (sum, matched)
}

/// What the words before a word make of its weight.
fn context(before: &[String], lexicon: &lexicon::Lexicon) -> f64 {
    let negated = before.iter().any(|word| lexicon.negates(word));
    let degree = match before.last() {
        Some(word) if lexicon.amplifies(word) => AMPLIFIED,
        Some(word) if lexicon.diminishes(word) => DIMINISHED,
        _ => 1.0,
    };
    if negated { NEGATED * degree } else { degree }
}

/// Words in lower case, and single emoji. What stands after an apostrophe is a word of its own: `don't` ends in `t`.
fn tokens(sentence: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for letter in sentence.chars() {
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if lexicon::emoji(letter).is_some() {
            tokens.push(letter.to_string());
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

fn round(number: f64) -> f64 {
    // Adding zero makes -0 a plain 0.
    (number * 1000.0).round() / 1000.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> SentimentOutput {
        sentiment(SentimentInput { text: text.into(), language: None }).unwrap()
    }

    #[test]
    fn labels_fit_the_text() {
        for (text, label) in [
            ("Great service, I am very happy with it. Thank you!", Label::Positive),
            ("This is the worst shop ever. The parcel arrived broken and nobody helps me!", Label::Negative),
            ("When do you open on Saturday?", Label::Neutral),
            ("Der Kundendienst war sehr freundlich, alles hat wunderbar geklappt.", Label::Positive),
            ("Ich bin sehr enttäuscht: die Lieferung ist beschädigt und ich will mein Geld zurück!", Label::Negative),
            ("Wann haben Sie am Samstag geöffnet?", Label::Neutral),
            ("Je suis très content, le service est excellent.", Label::Positive),
            ("Le colis est arrivé cassé, c'est inacceptable.", Label::Negative),
            ("Estoy muy contento, el servicio es excelente.", Label::Positive),
            ("El paquete llegó roto, es una vergüenza.", Label::Negative),
            ("El café es muy caro.", Label::Negative),
            // Words that begin as others do that weigh something.
            ("Je cherche le numéro de la commande.", Label::Neutral),
            ("La carta de Carlos y la rotación del cargo.", Label::Neutral),
            ("Le numéro est mentionné sur le panneau; les frais sont dans la facture.", Label::Neutral),
            ("J'ai une impression des lentilles.", Label::Neutral),
            ("Espero las impresiones y las lentes.", Label::Neutral),
            ("Der Betrag ist netto.", Label::Neutral),
        ] {
            let rated = rate(text);
            assert_eq!(rated.label, label, "{text}: {rated:?}");
        }
    }

    #[test]
    fn negation_turns_and_softens() {
        let (good, bad, not_good) =
            (rate("It is good.").score, rate("It is bad.").score, rate("It is not good.").score);
        assert!(good > 0.0 && not_good < 0.0 && not_good > bad, "{good} {bad} {not_good}");
        assert!(rate("I don't like it.").score < 0.0);
        assert!(rate("Das ist nicht gut.").score < 0.0);
        assert!(rate("No es bueno y no estoy contento con el pedido").score < 0.0);
    }

    #[test]
    fn amplifiers_and_exclamation_marks_count() {
        assert!(rate("It is very good.").score > rate("It is good.").score);
        assert!(rate("It is slightly bad.").score > rate("It is bad.").score);
        assert!(rate("It is bad!").score < rate("It is bad.").score);
    }

    #[test]
    fn emoji_count() {
        assert_eq!(rate("😡").label, Label::Negative);
        assert_eq!(rate("ok 👍👍").label, Label::Positive);
    }

    #[test]
    fn an_unknown_language_says_so() {
        let rated = sentiment(SentimentInput { text: "Ottimo!".into(), language: Some("it".into()) }).unwrap();
        assert_eq!(rated, unknown("it"));
    }

    #[test]
    fn score_stays_within_one_and_matches_are_bounded() {
        let rated = rate(&"terrible ".repeat(10_000));
        assert!((-1.0..-0.99).contains(&rated.score), "{}", rated.score);
        assert_eq!(rated.matched.len(), MATCHES_MAX);
        assert_eq!(rate("").score, 0.0);
    }
}
