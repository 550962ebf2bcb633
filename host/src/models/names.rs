//! Tools' names as models' APIs take them: letters, digits, `_` and `-`, at most 64 of them.

use std::collections::BTreeMap;

use super::{ChatRequest, Message};
use crate::hex::sha256_hex;

/// The longest name that every API takes.
const BYTES_MAX: usize = 64;
/// How many digits of its hash tell a name from another that is spelt alike.
const HASH_DIGITS: usize = 8;

/// Both directions for the tools of one request: `text.count` is `text__count` on the wire.
#[derive(Debug, Clone, Default)]
pub(super) struct ToolNames {
    wire: BTreeMap<String, String>,
    own: BTreeMap<String, String>,
}

impl ToolNames {
    /// The names of a request's tools, and of those that its messages speak of.
    pub(super) fn of(request: &ChatRequest) -> Self {
        let mut names = Self::default();
        for tool in &request.tools {
            names.add(&tool.name);
        }
        for message in &request.messages {
            if let Message::Assistant { tool_calls, .. } = message {
                tool_calls.iter().for_each(|call| names.add(&call.tool));
            }
        }
        names
    }

    fn add(&mut self, own: &str) {
        if self.wire.contains_key(own) {
            return;
        }
        let spelt = spelling(own);
        let wire = if self.own.contains_key(&spelt) { hashed(&spelt, own) } else { spelt };
        self.own.insert(wire.clone(), own.to_owned());
        self.wire.insert(own.to_owned(), wire);
    }

    /// The name on the wire.
    pub(super) fn wire(&self, own: &str) -> String {
        self.wire.get(own).cloned().unwrap_or_else(|| spelling(own))
    }

    /// The tool's own name. A model may make one up: that one is read as it would have been written, so that whoever calls
    /// it is told that there is no such tool.
    pub(super) fn own(&self, wire: &str) -> String {
        self.own.get(wire).cloned().unwrap_or_else(|| wire.replacen("__", ".", 1))
    }
}

fn spelling(own: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let spelt: String = own.replace('.', "__").chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if spelt.is_empty() || spelt.len() > BYTES_MAX { hashed(&spelt, own) } else { spelt }
}

fn hashed(spelt: &str, own: &str) -> String {
    let kept = &spelt[..spelt.len().min(BYTES_MAX - HASH_DIGITS - 1)];
    format!("{kept}_{}", &sha256_hex(own.as_bytes())[..HASH_DIGITS])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::models::ToolSpec;

    fn names(tools: &[String]) -> ToolNames {
        let spec = |name: &String| ToolSpec {
            name: name.clone(),
            description: None,
            input_schema: weir_engine::json::Json::null(),
        };
        ToolNames::of(&ChatRequest { tools: tools.iter().map(spec).collect(), ..ChatRequest::question("a", "b") })
    }

    #[test]
    fn a_dot_is_two_underscores() {
        let names = names(&["text.count".to_owned()]);
        assert_eq!(names.wire("text.count"), "text__count");
        assert_eq!(names.own("text__count"), "text.count");
        assert_eq!(names.own("other__tool"), "other.tool", "what a model makes up");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(tools in prop::collection::vec("[a-c._ é-]{0,4}|[a.]{60,80}", 1..20)) {
            let names = names(&tools);
            for tool in &tools {
                let wire = names.wire(tool);
                prop_assert!((1..=BYTES_MAX).contains(&wire.len()), "{wire}");
                prop_assert!(wire.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{wire}");
                prop_assert_eq!(&names.own(&wire), tool);
            }
        }
    }
}
