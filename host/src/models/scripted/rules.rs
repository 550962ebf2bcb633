//! The rules of a script, and which of them answers.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::models::{ChatRequest, Message, StopReason, Usage};

/// The most bytes of a script.
const BYTES_MAX: u64 = 1024 * 1024;
/// The most rules of a script.
const RULES_MAX: usize = 1000;
/// The longest delay.
const DELAY_MS_MAX: u64 = 600_000;

/// A script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

/// What is answered, and to what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default)]
    when: When,
    /// How long it takes, in milliseconds.
    #[serde(default)]
    pub(super) delay_ms: u64,
    #[serde(default)]
    answer: Option<Told>,
    #[serde(default)]
    fail: Option<Fails>,
}

/// The conditions of a rule; all of them must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct When {
    /// The last message is this.
    equals: Option<String>,
    /// The last message contains this.
    contains: Option<String>,
    /// The last message looks like this, where `*` stands for any text and `?` for any character.
    glob: Option<String>,
    /// The system text contains this.
    system_contains: Option<String>,
    /// It is the answer of this number in the conversation, from 1.
    turn: Option<usize>,
    /// Whether the last message is the answer of a tool.
    has_tool_result: Option<bool>,
}

/// An answer as the script tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) tool_calls: Vec<ToldCall>,
    pub(super) stop: Option<StopReason>,
    /// What is counted; bytes / 4 by default.
    pub(super) usage: Option<Usage>,
    /// Whether nothing is counted at all.
    pub(super) uncounted: bool,
}

/// A tool's call as the script tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToldCall {
    pub(super) tool: String,
    #[serde(default)]
    pub(super) input: Value,
}

/// A failure as the script tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fails {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) message: String,
}

impl Rules {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let size = std::fs::metadata(path).map_err(|e| format!("could not read {shown}: {e}"))?.len();
        if size > BYTES_MAX {
            return Err(format!("could not use {shown}: it has more than {BYTES_MAX} bytes"));
        }
        let text = std::fs::read_to_string(path).map_err(|e| format!("could not read {shown}: {e}"))?;
        Self::parse(&text).map_err(|reason| format!("could not understand {shown}: {reason}"))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rules: Self = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        if rules.rules.len() > RULES_MAX || rules.rules.iter().any(|rule| rule.delay_ms > DELAY_MS_MAX) {
            return Err(format!("a script has {RULES_MAX} rules at most, and no delay above {DELAY_MS_MAX} ms"));
        }
        if rules.rules.iter().any(|rule| rule.answer.is_some() == rule.fail.is_some()) {
            return Err("a rule has either an answer or a fail".to_owned());
        }
        Ok(rules)
    }

    /// The first rule whose conditions hold.
    pub(super) fn matching(&self, request: &ChatRequest) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.when.holds(request))
    }
}

impl Rule {
    /// What it does: an answer, or a failure as HTTP APIs have them.
    pub(super) fn outcome(&self) -> Result<&Told, &Fails> {
        match (&self.answer, &self.fail) {
            (_, Some(fails)) => Err(fails),
            (Some(told), None) => Ok(told),
            (None, None) => Ok(const { &Told::NOTHING }),
        }
    }
}

impl Told {
    const NOTHING: Self =
        Self { text: String::new(), tool_calls: Vec::new(), stop: None, usage: None, uncounted: false };
}

impl When {
    fn holds(&self, request: &ChatRequest) -> bool {
        let (text, is_tool) = last(request);
        let system = request.system.as_deref().unwrap_or_default();
        self.equals.as_ref().is_none_or(|equals| text == equals)
            && self.contains.as_ref().is_none_or(|part| text.contains(part.as_str()))
            && self.glob.as_ref().is_none_or(|glob| fits(glob, text))
            && self.system_contains.as_ref().is_none_or(|part| system.contains(part.as_str()))
            && self.turn.is_none_or(|turn| turn == super::answer::turn(request))
            && self.has_tool_result.is_none_or(|wanted| wanted == is_tool)
    }
}

/// The last message, and whether a tool wrote it.
pub(super) fn last(request: &ChatRequest) -> (&str, bool) {
    match request.messages.last() {
        None => ("", false),
        Some(Message::User { content } | Message::Assistant { content, .. }) => (content, false),
        Some(Message::Tool { content, .. }) => (content, true),
    }
}

/// Whether a text looks like a pattern with `*` and `?`. It remembers one star only, so it takes at most the product of
/// both lengths.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, here));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[here] => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                (at, here, star) = (after, from + 1, Some((after, from + 1)));
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text) in [("*", ""), ("a*c", "abc"), ("a*c", "ac"), ("?b*", "abc"), ("*b*b", "abab"), ("", "")] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("?", ""), ("*b", "abc"), ("a*c", "abd")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_a_script_does_not_know_is_refused() {
        for wrong in ["rules: [{when: {regex: a}, answer: {}}]", "rules: [{when: {}}]", "rules: [{answer: {txt: a}}]"] {
            assert!(Rules::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Rules::parse("rules: [{delay_ms: 600001, answer: {}}]").is_err());
    }
}
