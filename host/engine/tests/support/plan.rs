//! What every call and every person will answer: a pure function of the seed and the place, so that neither the order
//! of things nor a crash changes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_engine::failure::FailureCode;

use super::dice::hash;

/// All the answers of one execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How many of a hundred attempts fail.
    pub(crate) failing_percent: u64,
}

/// Where something happens: the path, the failed attempts of the steps around, and of the step itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) path: &'a str,
    pub(crate) epoch: &'a str,
    pub(crate) failures: u32,
}

/// What a person will do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Who answers what, in order.
    Choose(Vec<(&'static str, Option<String>)>),
    Lapse,
}

/// Who agrees, in order.
const PEOPLE: [&str; 4] = ["pat", "sam", "alex", "robin"];
/// The steps with these ids are never answered.
pub(crate) const HANGING: &str = "hang";

const CODES: [FailureCode; 4] =
    [FailureCode::Failed, FailureCode::Unavailable, FailureCode::PluginTrap, FailureCode::InvalidInput];

impl Plan {
    pub(crate) fn call(&self, moment: Moment<'_>, input: &Value) -> Result<Value, FailureCode> {
        let seen = normal(input).to_string();
        let h = hash(self.seed, &[moment.path, moment.epoch, &moment.failures.to_string(), &seen]);
        if h % 100 < self.failing_percent {
            return Err(CODES[usize::try_from((h >> 8) % 4).unwrap()]);
        }
        let list: Vec<Value> = (0..(h >> 16) % 4).map(|v| json!({ "v": v, "n": (h >> 24) % 7 })).collect();
        Ok(json!({ "n": (h >> 20) % 100, "flag": h & 1 == 1, "list": list, "text": format!("t{}", h % 10) }))
    }

    pub(crate) fn answer(&self, moment: Moment<'_>, options: &[String], lapses: bool, quorum: u64) -> Answer {
        let h = hash(self.seed, &["answer", moment.path, moment.epoch]);
        if lapses && h.is_multiple_of(3) {
            return Answer::Lapse;
        }
        let count = u64::try_from(options.len()).unwrap();
        let chosen = (count > 0).then(|| options[usize::try_from((h >> 8) % count.max(1)).unwrap()].clone());
        let dissent =
            (quorum > 1 && h.is_multiple_of(5)).then(|| options.iter().find(|id| Some(*id) != chosen.as_ref()));
        let mut votes: Vec<_> = dissent.flatten().map(|id| ("kim", Some(id.clone()))).into_iter().collect();
        votes.extend(PEOPLE.iter().zip(0..quorum).map(|(person, _)| (*person, chosen.clone())));
        Answer::Choose(votes)
    }
}

/// A document with its members in order, and without the words of failures, which are for people and not predicted.
pub(crate) fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => {
            let failure = members.contains_key("code") && members.contains_key("message");
            let keep = |name: &String| !failure || (name != "message" && name != "details");
            let members: BTreeMap<&String, Value> =
                members.iter().filter(|(name, _)| keep(name)).map(|(name, v)| (name, normal(v))).collect();
            members.into_iter().map(|(name, v)| (name.clone(), v)).collect()
        }
        other => other.clone(),
    }
}
