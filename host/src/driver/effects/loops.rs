//! Notices an agent that goes round in circles: the same tool with the same arguments, and the same answer, again and
//! again.

use std::collections::HashMap;

use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

use crate::hex::sha256_hex;

/// How often the same may happen before the agent is told.
const NUDGE_AT: u32 = 3;
/// How often the same may happen before the agent is stopped.
const STOP_AT: u32 = 6;

/// What an agent's tools were asked, and what they answered.
#[derive(Debug, Default)]
pub(super) struct Loops {
    seen: HashMap<String, u32>,
    nudge: Option<String>,
}

impl Loops {
    /// Notes a call of a tool and its answer.
    ///
    /// # Errors
    /// [`FailureCode::LoopDetected`] where the same has happened too often.
    pub(super) fn note(&mut self, tool: &str, input: &Json, result: &Result<Json, Failure>) -> Result<(), Failure> {
        let answer = match result {
            Ok(answer) => canonical(answer),
            Err(failure) => format!("{}: {}", failure.code.as_str(), failure.message),
        };
        let key = sha256_hex(format!("{tool}\n{}\n{answer}", canonical(input)).as_bytes());
        let count = self.seen.entry(key).or_default();
        *count += 1;
        if *count >= STOP_AT {
            let message = format!(
                "the agent called {tool} {STOP_AT} times with the same arguments and got the same answer: change its \
                 instructions, or the tool"
            );
            return Err(Failure::new(FailureCode::LoopDetected, message));
        }
        if *count == NUDGE_AT {
            self.nudge = Some(format!(
                "You have called {tool} {NUDGE_AT} times with the same arguments and got the same answer. Do not call it \
                 with them again: use what you have, try something else, or give your final answer."
            ));
        }
        Ok(())
    }

    /// What the model is to be told with the next request, once.
    pub(super) fn take_nudge(&mut self) -> Option<String> {
        self.nudge.take()
    }
}

/// A document with the members of its objects in the order of their names.
fn canonical(document: &Json) -> String {
    let mut value = document.value().clone();
    value.sort_all_objects();
    value.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_again_and_again_is_a_nudge_first_and_a_failure_then() {
        let mut loops = Loops::default();
        let (input, again) = (Json::from_value(json!({ "a": 1, "b": 2 })), Json::from_value(json!({ "b": 2, "a": 1 })));
        let answer = Ok(Json::from_value(json!("no")));
        for round in 1..STOP_AT {
            loops.note("t.search", if round % 2 == 0 { &input } else { &again }, &answer).unwrap();
            assert_eq!(loops.take_nudge().is_some(), round == NUDGE_AT, "round {round}");
        }
        assert_eq!(loops.note("t.search", &input, &answer).unwrap_err().code, FailureCode::LoopDetected);
    }

    #[test]
    fn another_answer_is_no_loop() {
        let mut loops = Loops::default();
        for n in 0..20 {
            loops.note("t.poll", &Json::null(), &Ok(Json::from_value(json!(n)))).unwrap();
        }
        assert!(loops.take_nudge().is_none());
    }
}
