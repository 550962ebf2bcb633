//! Which language a text is written in.

use crate::words::{Listed, count_stops};
use weir_sdk::prelude::*;
use whatlang::{Detector, Info, Lang};

/// What to look at.
#[derive(Deserialize, JsonSchema)]
pub struct DetectLanguageInput {
    /// The text; a sentence or more gives good answers.
    pub text: String,
    /// Only these languages come into question (ISO 639 codes of two or three letters). Helps much with short texts.
    #[serde(default)]
    #[schemars(length(max = 70))]
    pub among: Vec<String>,
}

/// The language that was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct DetectLanguageOutput {
    /// The language: its ISO 639-1 code (`en`), or `und` where the text has no words.
    pub code: String,
    /// Its ISO 639-3 code (`eng`), or `und`.
    pub iso639_3: String,
    /// Its name in English.
    pub name: String,
    /// How sure that is, from 0 to 1.
    pub confidence: f64,
    /// Whether to rely on it.
    pub reliable: bool,
}

/// Detects the language of a text.
///
/// Knows 70 languages by their scripts, letters and letter triples. Short texts in English, German, French and Spanish
/// are recognised by their small words too. A text without words has the language `und`.
#[tool(idempotent, read_only)]
pub fn detect_language(input: DetectLanguageInput) -> Result<DetectLanguageOutput> {
    crate::check_length(&input.text)?;
    let among = input.among.iter().map(|code| language_of(code)).collect::<Result<Vec<_>>>()?;
    let detector = if among.is_empty() { Detector::new() } else { Detector::with_allowlist(among.clone()) };
    // A script of its own (Greek, Korean …) decides alone, even for languages that were not asked for.
    let found = detector.detect(&input.text).filter(|info| among.is_empty() || among.contains(&info.lang()));
    let unsure = found.as_ref().is_none_or(|info| !info.is_reliable());
    let by_small_words = if unsure { by_small_words(&input.text, &among) } else { None };
    Ok(by_small_words.or(found.map(describe)).unwrap_or_else(undetermined))
}

/// Recognises a short text by the small words of the language, where those of one language clearly lead.
fn by_small_words(text: &str, among: &[Lang]) -> Option<DetectLanguageOutput> {
    let mut counts = count_stops(text).into_iter().filter_map(|(listed, count)| {
        let language = lang(listed);
        (among.is_empty() || among.contains(&language)).then_some((language, count))
    });
    let (language, first) = counts.next()?;
    let second = counts.next().map_or(0, |(_, count)| count);
    if first < 2 || first == second {
        return None;
    }
    // One word more than the next language is a hint, three more are as good as certain.
    let confidence = 1.0 - 0.5_f64.powi(i32::try_from(first - second).unwrap_or(i32::MAX));
    Some(output(language, round(confidence), first >= second + 3))
}

fn lang(listed: Listed) -> Lang {
    match listed {
        Listed::En => Lang::Eng,
        Listed::De => Lang::Deu,
        Listed::Fr => Lang::Fra,
        Listed::Es => Lang::Spa,
    }
}

fn describe(info: Info) -> DetectLanguageOutput {
    output(info.lang(), round(info.confidence()), info.is_reliable())
}

fn output(language: Lang, confidence: f64, reliable: bool) -> DetectLanguageOutput {
    let iso639_3 = language.code();
    let code = short_code(iso639_3).unwrap_or(iso639_3);
    let name = language.eng_name().into();
    DetectLanguageOutput { code: code.into(), iso639_3: iso639_3.into(), name, confidence, reliable }
}

fn undetermined() -> DetectLanguageOutput {
    let (code, iso639_3, name) = ("und".into(), "und".into(), "Undetermined".into());
    DetectLanguageOutput { code, iso639_3, name, confidence: 0.0, reliable: false }
}

/// Three decimals: more would only pretend.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn language_of(code: &str) -> Result<Lang> {
    let long = CODES.iter().find(|(_, short)| *short == code).map_or(code, |(long, _)| long);
    Lang::from_code(long).ok_or_else(|| {
        Failure::invalid_input(format!("among: language {code:?} is unknown: use ISO 639 codes such as \"en\""))
    })
}

fn short_code(long: &str) -> Option<&'static str> {
    CODES.iter().find(|(other, _)| *other == long).map(|(_, short)| *short)
}

/// The codes of ISO 639-3 and ISO 639-1 for each language that has both.
#[rustfmt::skip]
static CODES: &[(&str, &str)] = &[
    ("afr", "af"), ("aka", "ak"), ("amh", "am"), ("ara", "ar"), ("aze", "az"), ("bel", "be"), ("ben", "bn"),
    ("bul", "bg"), ("cat", "ca"), ("ces", "cs"), ("cmn", "zh"), ("cym", "cy"), ("dan", "da"), ("deu", "de"),
    ("ell", "el"), ("eng", "en"), ("epo", "eo"), ("est", "et"), ("fin", "fi"), ("fra", "fr"), ("guj", "gu"),
    ("heb", "he"), ("hin", "hi"), ("hrv", "hr"), ("hun", "hu"), ("hye", "hy"), ("ind", "id"), ("ita", "it"),
    ("jav", "jv"), ("jpn", "ja"), ("kan", "kn"), ("kat", "ka"), ("khm", "km"), ("kor", "ko"), ("lat", "la"),
    ("lav", "lv"), ("lit", "lt"), ("mal", "ml"), ("mar", "mr"), ("mkd", "mk"), ("mya", "my"), ("nep", "ne"),
    ("nld", "nl"), ("nob", "nb"), ("ori", "or"), ("pan", "pa"), ("pes", "fa"), ("pol", "pl"), ("por", "pt"),
    ("ron", "ro"), ("rus", "ru"), ("sin", "si"), ("slk", "sk"), ("slv", "sl"), ("sna", "sn"), ("spa", "es"),
    ("srp", "sr"), ("swe", "sv"), ("tam", "ta"), ("tel", "te"), ("tgl", "tl"), ("tha", "th"), ("tuk", "tk"),
    ("tur", "tr"), ("ukr", "uk"), ("urd", "ur"), ("uzb", "uz"), ("vie", "vi"), ("yid", "yi"), ("zul", "zu"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(text: &str) -> DetectLanguageOutput {
        detect_language(DetectLanguageInput { text: text.into(), among: vec![] }).unwrap()
    }

    #[test]
    fn long_texts_are_reliable() {
        for (text, code) in [
            ("The delivery came two weeks late, and nobody in your shop could tell me where the parcel was.", "en"),
            ("Die Lieferung kam zwei Wochen zu spät, und niemand konnte mir sagen, wo das Paket geblieben ist.", "de"),
            ("La livraison est arrivée avec deux semaines de retard et personne ne savait où était le colis.", "fr"),
            ("El pedido llegó con dos semanas de retraso y nadie pudo decirme dónde estaba el paquete.", "es"),
            ("Η παράδοση καθυστέρησε δύο εβδομάδες και κανείς δεν ήξερε πού βρίσκεται το πακέτο.", "el"),
            ("配達が二週間遅れて、荷物がどこにあるのか誰も教えてくれませんでした。", "ja"),
        ] {
            let found = detect(text);
            assert_eq!(found.code, code, "{text}");
            assert!(found.reliable, "{text}: {found:?}");
        }
    }

    #[test]
    fn short_texts_go_by_small_words() {
        for (text, code) in [
            ("Where is my order?", "en"),
            ("Wo ist meine Bestellung?", "de"),
            ("Où est ma commande ?", "fr"),
            ("¿Dónde está mi pedido?", "es"),
        ] {
            assert_eq!(detect(text).code, code, "{text}");
        }
    }

    #[test]
    fn among_narrows_down() {
        let input = DetectLanguageInput { text: "Paket kaputt".into(), among: vec!["de".into(), "eng".into()] };
        assert_eq!(detect_language(input).unwrap().code, "de");
        let input = DetectLanguageInput { text: "안녕하세요".into(), among: vec!["de".into()] };
        assert_eq!(detect_language(input).unwrap().code, "und");
        let input = DetectLanguageInput { text: "x".into(), among: vec!["klingon".into()] };
        assert_eq!(detect_language(input).unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn no_words_no_language() {
        for text in ["", "  ", "12345", "🎉🎉", "\u{0}"] {
            assert_eq!(detect(text), undetermined(), "{text:?}");
        }
    }

    #[test]
    fn every_language_has_a_short_code() {
        for language in Lang::all() {
            assert!(short_code(language.code()).is_some(), "{language:?}");
        }
        assert_eq!(CODES.len(), Lang::all().len());
    }
}
