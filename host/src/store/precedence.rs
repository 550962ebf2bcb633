//! Which of two versions is the newer one.

/// The order of semantic versions (2.0.0, section 11): numbers by value, a release above its pre-releases, build metadata
/// left out.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    core: Vec<u64>,
    released: bool,
    pre: Vec<Part>,
}

/// A part of a pre-release; numbers sort below words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Precedence {
    /// Of a version that was checked when its plugin was installed.
    #[must_use]
    pub fn of(version: &str) -> Self {
        let version = version.split('+').next().unwrap_or_default();
        let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
        let part = |part: &str| part.parse().map_or_else(|_| Part::Word(part.to_owned()), Part::Number);
        Self {
            core: core.split('.').map(|number| number.parse().unwrap_or_default()).collect(),
            released: pre.is_none(),
            pre: pre.map(|pre| pre.split('.').map(part).collect()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_semver_says() {
        let sorted = ["0.9.0", "0.10.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2"];
        let sorted = sorted.into_iter().chain(["1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "10.0.0"]);
        let keys: Vec<Precedence> = sorted.map(Precedence::of).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(Precedence::of("1.0.0+linux"), Precedence::of("1.0.0"));
    }
}
