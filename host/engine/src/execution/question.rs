//! A question that waits for people, as others see it.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use crate::{
    approvers::{Approvers, person},
    definition::hex_digest,
    event::Decision,
    id::Timestamp,
    json::Json,
};

/// A question that waits for people.
#[derive(Debug, Clone)]
pub struct Question<'e> {
    /// The step's path.
    pub path: &'e Arc<str>,
    /// What is shown.
    pub request: &'e Json,
    /// When it lapses.
    pub due: Option<Timestamp>,
    /// Who may decide now.
    pub approvers: Cow<'e, Approvers>,
    /// The answers so far, none of which decided.
    pub votes: &'e [Decision],
}

impl Question<'_> {
    /// SHA-256 of the text that is shown, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        hex_digest(self.request.text())
    }

    /// Whether an answer may choose this. Where nothing is offered, every answer will do.
    #[must_use]
    pub fn offers(&self, option_id: Option<&str>) -> bool {
        let options = self.request.value().get("options").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        options.is_empty() || options.iter().any(|option| option["id"].as_str().is_some_and(|id| Some(id) == option_id))
    }

    /// The answer that this person gave already. Whoever answers through a link is the person that it was made for.
    #[must_use]
    pub fn vote_of(&self, actor: &str) -> Option<&Decision> {
        self.votes.iter().find(|vote| person(&vote.decided_by) == person(actor))
    }
}
