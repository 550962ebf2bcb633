//! What in a text matches a pattern.

use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;
use weir_sdk::prelude::*;

/// What to find, and where.
#[derive(Deserialize, JsonSchema)]
pub struct ExtractInput {
    /// The text.
    pub text: String,
    /// Own patterns.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub patterns: Vec<Pattern>,
    /// Patterns for common things.
    #[serde(default)]
    pub presets: Vec<Preset>,
    /// The most matches of each pattern.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_matches: usize,
}

/// A regular expression with a name.
#[derive(Deserialize, JsonSchema)]
pub struct Pattern {
    /// The name under which its matches are answered.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// The expression, in the syntax of Rust's `regex` (like RE2: no look-around, no back-references). Named groups
    /// `(?<number>…)` are answered one by one.
    #[schemars(length(max = 1000))]
    pub regex: String,
    /// Whether capitals do not matter.
    #[serde(default)]
    pub ignore_case: bool,
}

/// A pattern for a common thing. It finds what looks like one, not what is one.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// E-mail addresses.
    Email,
    /// `http` and `https` addresses.
    Url,
    /// Telephone numbers of seven digits and more, with or without `+`, spaces, dashes, brackets.
    Phone,
    /// Dates: `2026-11-22`, `22.11.2026`, `11/22/2026`.
    Date,
    /// Amounts of money with a currency: `€ 12.50`, `1,200 USD`.
    Amount,
    /// UUIDs.
    Uuid,
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExtractOutput {
    /// The matches of each pattern, by the pattern's or preset's name.
    pub matches: BTreeMap<String, Vec<Found>>,
    /// How many matches there are in all.
    pub count: usize,
    /// Whether there are more matches than were asked for.
    pub truncated: bool,
}

/// A match.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// The text that matches.
    pub text: String,
    /// Where it begins, in characters.
    pub start: usize,
    /// Where it ends, in characters.
    pub end: usize,
    /// What the named groups matched; groups that took no part are missing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
}

const PATTERNS_MAX: usize = 20;
const PATTERN_BYTES_MAX: usize = 1000;
const MATCHES_MAX: usize = 1000;
/// The most memory of a compiled pattern, and of its cache.
const COMPILED_BYTES_MAX: usize = 1 << 20;
const NESTED_MAX: u32 = 50;

fn default_max() -> usize {
    100
}

/// Finds what matches patterns.
///
/// Takes own regular expressions with named groups, and presets for e-mail addresses, URLs, telephone numbers, dates,
/// amounts of money and UUIDs. No pattern takes exponential time: at worst, each match costs one pass over the text.
#[tool(idempotent, read_only)]
pub fn extract(input: ExtractInput) -> Result<ExtractOutput> {
    check(&input)?;
    let mut output = ExtractOutput { matches: BTreeMap::new(), count: 0, truncated: false };
    for preset in &input.presets {
        if output.matches.contains_key(preset.name()) {
            continue;
        }
        output.add(preset.name(), &compile(preset.regex(), false, preset.name())?, &input);
    }
    for pattern in &input.patterns {
        if output.matches.contains_key(&pattern.name) {
            return Err(Failure::invalid_input(format!("pattern {:?} is there twice", pattern.name)));
        }
        output.add(&pattern.name, &compile(&pattern.regex, pattern.ignore_case, &pattern.name)?, &input);
    }
    Ok(output)
}

fn check(input: &ExtractInput) -> Result<()> {
    crate::check_length(&input.text)?;
    if input.patterns.is_empty() && input.presets.is_empty() {
        return Err(Failure::invalid_input("there is nothing to find: give patterns or presets"));
    }
    if input.patterns.len() > PATTERNS_MAX {
        return Err(Failure::invalid_input(format!("there are more than {PATTERNS_MAX} patterns: use several steps")));
    }
    if !(1..=MATCHES_MAX).contains(&input.max_matches) {
        let message = format!("max_matches is {}, but must be 1 to {MATCHES_MAX}", input.max_matches);
        return Err(Failure::invalid_input(message));
    }
    Ok(())
}

fn compile(pattern: &str, ignore_case: bool, name: &str) -> Result<Regex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let message = format!("pattern {name:?} has {} bytes, the most is {PATTERN_BYTES_MAX}", pattern.len());
        return Err(Failure::invalid_input(message));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTED_MAX)
        .build()
        .map_err(|error| Failure::invalid_input(format!("pattern {name:?} is no regular expression: {error}")))
}

impl ExtractOutput {
    fn add(&mut self, name: &str, regex: &Regex, input: &ExtractInput) {
        let mut found = Vec::new();
        // Characters are counted once over all matches, not from the start for each.
        let (mut bytes, mut characters) = (0, 0);
        let mut position = |at: usize| {
            characters += input.text[bytes..at].chars().count();
            bytes = at;
            characters
        };
        for captures in regex.captures_iter(&input.text) {
            if found.len() == input.max_matches {
                self.truncated = true;
                break;
            }
            let Some(whole) = captures.get(0) else { continue };
            let groups = regex
                .capture_names()
                .flatten()
                .filter_map(|group| Some((group.to_owned(), captures.name(group)?.as_str().to_owned())));
            let groups = groups.collect();
            let (start, end) = (position(whole.start()), position(whole.end()));
            found.push(Found { text: whole.as_str().to_owned(), start, end, groups });
        }
        self.count += found.len();
        self.matches.insert(name.to_owned(), found);
    }
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Url => "url",
            Self::Phone => "phone",
            Self::Date => "date",
            Self::Amount => "amount",
            Self::Uuid => "uuid",
        }
    }

    /// The expression: in ASCII, which compiles many times faster than in Unicode.
    fn regex(self) -> &'static str {
        match self {
            Self::Email => {
                r"(?-u:\b)[A-Za-z0-9._%+-]{1,64}@(?<domain>(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?-u:\b)"
            }
            Self::Url => {
                r#"https?://(?<host>[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:[/?#][^ \t\r\n<>"'\])}]*[^ \t\r\n<>"'\])}.,;:!?]|/)?"#
            }
            Self::Phone => r"(?:\+|(?-u:\b))[0-9](?:[ ()/-]{0,2}[0-9]){6,14}(?-u:\b)",
            Self::Date => concat!(
                r"(?-u:\b)(?:[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])",
                r"|(?:0?[1-9]|[12][0-9]|3[01])\.(?:0?[1-9]|1[0-2])\.[0-9]{4}",
                r"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12][0-9]|3[01])/[0-9]{4})(?-u:\b)",
            ),
            Self::Amount => concat!(
                r"(?:[€$£¥] ?|(?-u:\b)(?:EUR|USD|GBP|CHF|JPY) )(?:[0-9]{1,3}(?:[.,' ][0-9]{3})+|[0-9]{1,12})(?:[.,][0-9]{2}(?-u:\b))?",
                r"|(?-u:\b)(?:[0-9]{1,3}(?:[.,' ][0-9]{3})+|[0-9]{1,12})(?:[.,][0-9]{2})? ?(?:[€$£¥]|(?:EUR|USD|GBP|CHF|JPY|[Ee]uro|[Dd]ollars?)(?-u:\b))",
            ),
            Self::Uuid => r"(?-u:\b)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?-u:\b)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_presets(text: &str, presets: &[Preset]) -> BTreeMap<String, Vec<String>> {
        let input = ExtractInput { text: text.into(), patterns: vec![], presets: presets.to_vec(), max_matches: 100 };
        let matches = extract(input).unwrap().matches;
        matches.into_iter().map(|(name, found)| (name, found.into_iter().map(|found| found.text).collect())).collect()
    }

    #[test]
    fn a_preset_that_is_listed_twice_is_looked_for_once() {
        let input = |presets: &[Preset]| ExtractInput {
            text: "a@example.com".into(),
            patterns: vec![],
            presets: presets.to_vec(),
            max_matches: 100,
        };
        assert_eq!(extract(input(&[Preset::Email, Preset::Email])).unwrap().count, 1);
    }

    fn with_pattern(text: &str, regex: &str, max_matches: usize) -> Result<ExtractOutput> {
        let patterns = vec![Pattern { name: "it".into(), regex: regex.into(), ignore_case: true }];
        extract(ExtractInput { text: text.into(), patterns, presets: vec![], max_matches })
    }

    #[test]
    fn presets_find_common_things() {
        use Preset::*;
        let text = "Mail a.b+c@shop.example.com or see (https://shop.example.com/orders/7?x=1). Call +49 30 1234567 by \
                    2026-11-22, 3.12.2026 or 12/24/2026; it costs € 1,250.00 or 99 USD, \
                    id 0198c0de-0000-7000-8000-0123456789ab.";
        let found = with_presets(text, &[Email, Url, Phone, Date, Amount, Uuid]);
        assert_eq!(found["email"], ["a.b+c@shop.example.com"]);
        assert_eq!(found["url"], ["https://shop.example.com/orders/7?x=1"]);
        assert_eq!(found["phone"][0], "+49 30 1234567");
        assert_eq!(found["date"], ["2026-11-22", "3.12.2026", "12/24/2026"]);
        assert_eq!(found["amount"], ["€ 1,250.00", "99 USD"]);
        assert_eq!(found["uuid"], ["0198c0de-0000-7000-8000-0123456789ab"]);
    }

    #[test]
    fn named_groups_and_character_positions() {
        let output = with_pattern("Größe: ORDER-42 und order-7", r"order-(?<number>\d+)", 100).unwrap();
        let found = &output.matches["it"];
        assert_eq!((found[0].start, found[0].end), (7, 15));
        assert_eq!(found[0].groups["number"], "42");
        assert_eq!(found[1].groups["number"], "7");
        assert_eq!((output.count, output.truncated), (2, false));
    }

    #[test]
    fn matches_are_bounded() {
        let output = with_pattern("aaaa", "a", 3).unwrap();
        assert_eq!((output.count, output.truncated), (3, true));
        assert!(!with_pattern("aaa", "a", 3).unwrap().truncated);
    }

    #[test]
    fn bad_patterns_are_refused() {
        for regex in ["(", "(?=x)", r"\w{1000}{1000}", &"(".repeat(60), &"a".repeat(2000)] {
            let failure = with_pattern("x", regex, 10).unwrap_err();
            assert_eq!(failure.code(), "invalid_input");
            assert!(failure.message().contains("pattern \"it\""), "{failure}");
        }
    }
}
