//! An agent without a model: it asks tools of the plugin `text` about a customer's message, and decides by rules that
//! anyone can read how urgent it is, what it is about, and whether a person should see it.

mod rules;

use rules::{CATEGORIES, Rule, URGENT};
use weir_sdk::prelude::*;

weir_sdk::plugin! {
    title: "Triage",
    agents: [triage],
}

/// A message.
#[derive(Deserialize, JsonSchema)]
pub struct TriageInput {
    /// The message.
    pub message: String,
    /// Its subject line.
    #[serde(default)]
    pub subject: Option<String>,
    /// Whether the customer is one whose messages come first.
    #[serde(default)]
    pub priority_customer: bool,
}

/// How the agent decides.
#[derive(Deserialize, JsonSchema)]
pub struct TriageConfig {
    /// A sentiment of this or less makes a message urgent, and one for a person.
    #[serde(default = "default_very_negative")]
    #[schemars(range(min = -1.0, max = 0.0))]
    pub very_negative: f64,
    /// The languages that the team answers in (ISO 639-1); a message in another one is for a person. Empty: any.
    #[serde(default)]
    pub languages: Vec<String>,
}

fn default_very_negative() -> f64 {
    -0.6
}

/// What to do with the message.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct TriageOutput {
    /// How soon to answer.
    pub urgency: Urgency,
    /// What it is about: `refund`, `delivery`, `damage`, `account`, `billing`, `cancellation`, `praise`, `question` or
    /// `other`.
    pub category: String,
    /// The language: an ISO 639-1 code, or `und`.
    pub language: String,
    /// The sentiment, -1 to 1.
    pub sentiment: f64,
    /// What stands out in the message.
    pub keywords: Vec<String>,
    /// Whether a person should see it before anything is answered.
    pub needs_human: bool,
    /// Why, one sentence for each rule that applied.
    pub reasons: Vec<String>,
}

/// How soon to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// When there is time.
    Low,
    /// In turn.
    Normal,
    /// At once.
    High,
}

/// The parts of the tools' answers that the rules look at.
#[derive(Deserialize)]
struct Language {
    code: String,
    reliable: bool,
}

#[derive(Deserialize)]
struct Sentiment {
    score: f64,
    label: String,
}

#[derive(Deserialize)]
struct Keywords {
    keywords: Vec<Keyword>,
}

#[derive(Deserialize)]
struct Keyword {
    text: String,
}

/// Triages a customer's message.
///
/// Asks `text.detect_language`, `text.sentiment` and `text.keywords`, then decides by rules: urgency, category, and
/// whether a person should see it, with the reasons. Knows English, German, French and Spanish words. No language model
/// is involved, so the same message always gets the same answer.
#[agent(idempotent, read_only, tools("text.detect_language", "text.sentiment", "text.keywords"))]
pub fn triage(input: TriageInput, config: TriageConfig) -> Result<TriageOutput> {
    let text = match &input.subject {
        Some(subject) => format!("{subject}\n{}", input.message),
        None => input.message.clone(),
    };
    if text.trim().is_empty() {
        return Err(Failure::invalid_input("message is empty: there is nothing to triage"));
    }
    let language: Language = tools::call("text.detect_language", &json!({ "text": text }))?;
    let about = json!({ "text": text, "language": language.code });
    let sentiment: Sentiment = tools::call("text.sentiment", &about)?;
    let found: Keywords = tools::call("text.keywords", &about)?;
    log::debug(format!("{} message, sentiment {} ({})", language.code, sentiment.score, sentiment.label));

    let mut decision = Decision::new();
    decision.by_words(&text);
    decision.by_sentiment(&sentiment, config.very_negative);
    decision.by_language(&language, &config.languages);
    decision.by_customer(input.priority_customer);
    let category = decision.category(&text, &sentiment);
    Ok(TriageOutput {
        urgency: decision.urgency,
        category,
        language: language.code,
        sentiment: sentiment.score,
        keywords: found.keywords.into_iter().map(|keyword| keyword.text).collect(),
        needs_human: decision.needs_human,
        reasons: decision.reasons,
    })
}

/// What is decided so far, and why.
struct Decision {
    urgency: Urgency,
    needs_human: bool,
    reasons: Vec<String>,
}

impl Decision {
    fn new() -> Self {
        Self { urgency: Urgency::Normal, needs_human: false, reasons: Vec::new() }
    }

    fn raise(&mut self, reason: String, needs_human: bool) {
        self.urgency = Urgency::High;
        self.needs_human |= needs_human;
        self.reasons.push(reason);
    }

    /// Words that make a message urgent whatever its tone.
    fn by_words(&mut self, text: &str) {
        for rule in URGENT {
            if let Some(word) = rule.word_in(text) {
                self.raise(format!("it speaks of {} (\"{word}\")", rule.name), true);
            }
        }
    }

    fn by_sentiment(&mut self, sentiment: &Sentiment, very_negative: f64) {
        if sentiment.label == "unknown" {
            self.reasons.push("its sentiment cannot be told in its language".into());
        } else if sentiment.score <= very_negative {
            self.raise(format!("it sounds very negative ({})", sentiment.score), true);
        } else if sentiment.label == "positive" && self.urgency == Urgency::Normal {
            self.urgency = Urgency::Low;
            self.reasons.push(format!("it sounds content ({})", sentiment.score));
        }
    }

    fn by_language(&mut self, language: &Language, spoken: &[String]) {
        if language.code == "und" {
            self.needs_human = true;
            self.reasons.push("its language cannot be told".into());
        } else if !spoken.is_empty() && !spoken.contains(&language.code) {
            self.needs_human = true;
            let doubt = if language.reliable { "" } else { ", it seems" };
            self.reasons.push(format!("it is written in {}{doubt}, which the team does not speak", language.code));
        }
    }

    fn by_customer(&mut self, priority: bool) {
        if priority {
            self.raise("the customer has priority".into(), false);
        }
    }

    /// The category whose words occur most; the earlier one wins a tie.
    fn category(&mut self, text: &str, sentiment: &Sentiment) -> String {
        let counted = CATEGORIES.iter().map(|rule| (rule.count_in(text), rule)).filter(|(count, _)| *count > 0);
        let best = counted.reduce(|best, other| if other.0 > best.0 { other } else { best });
        match best {
            Some((_, rule)) => {
                let word = rule.word_in(text).unwrap_or_default();
                self.reasons.push(format!("category {} by \"{word}\"", rule.name));
                rule.name.into()
            }
            None if sentiment.label == "positive" => "praise".into(),
            None if text.contains('?') => "question".into(),
            None => "other".into(),
        }
    }
}

impl Rule {
    /// The first word of the text that begins with one of the rule's stems.
    fn word_in(&self, text: &str) -> Option<String> {
        rules::words(text).find(|word| self.applies_to(word))
    }

    fn count_in(&self, text: &str) -> usize {
        rules::words(text).filter(|word| self.applies_to(word)).count()
    }

    fn applies_to(&self, word: &str) -> bool {
        self.stems.iter().any(|stem| match stem.strip_suffix('*') {
            Some(start) => word.starts_with(start),
            None => word == *stem,
        })
    }
}

#[cfg(test)]
mod tests;
