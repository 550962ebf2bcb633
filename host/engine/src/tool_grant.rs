//! Leave to call a tool, and on what terms: an administrator's word about what a plugin asks for, or an author's about
//! what an agent step lists.

use serde::{Deserialize, Serialize};

use crate::approvers::Approvers;

/// The longest that a person may have for an approval, in milliseconds: 366 days.
pub const APPROVAL_TIMEOUT_MS_MAX: u64 = 366 * 24 * 3_600_000;
/// How long a person has where nobody says otherwise, in milliseconds: a day.
pub const APPROVAL_TIMEOUT_MS: u64 = 24 * 3_600_000;
const MS_PER_MINUTE: f64 = 60_000.0;

/// Leave to call one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolGrant {
    /// The tool, as whoever calls it names it: `plugin.tool`, `tool`, either with `@version`.
    pub tool: String,
    /// Whether a person is asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ToolApproval>,
    /// Who may answer; every approver where nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Approvers>,
    /// How long the question stays open, in milliseconds; in documents in minutes, which may have fractions.
    #[serde(default, rename = "timeout_minutes", with = "minutes", skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Whether a person is asked before a tool is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolApproval {
    /// Before every call.
    Required,
}

impl ToolGrant {
    /// Leave without terms.
    #[must_use]
    pub fn new(tool: impl Into<String>) -> Self {
        Self { tool: tool.into(), approval: None, approvers: None, timeout_ms: None }
    }

    /// Whether a person is asked before each call.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.approval == Some(ToolApproval::Required)
    }
}

/// Minutes as milliseconds; `None` where that is below 0 or above [`APPROVAL_TIMEOUT_MS_MAX`].
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range that is checked")]
#[expect(clippy::cast_precision_loss, reason = "the most is far below 2^52")]
pub fn ms_of_minutes(minutes: f64) -> Option<u64> {
    let ms = (minutes * MS_PER_MINUTE).round();
    (0.0..=APPROVAL_TIMEOUT_MS_MAX as f64).contains(&ms).then_some(ms as u64)
}

mod minutes {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::cast_precision_loss, reason = "the most is far below 2^52")]
    #[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
    pub(super) fn serialize<S: Serializer>(timeout_ms: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match *timeout_ms {
            Some(ms) if ms % 60_000 == 0 => serializer.serialize_u64(ms / 60_000),
            Some(ms) => serializer.serialize_f64(ms as f64 / super::MS_PER_MINUTE),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let Some(minutes) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
        super::ms_of_minutes(minutes).map(Some).ok_or_else(|| D::Error::custom("must be from 0 minutes to 366 days"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn minutes_are_written_as_they_are_read() {
        for minutes in [json!(0), json!(5), json!(0.5), json!(527_040)] {
            let document = json!({ "tool": "text.count", "approval": "required", "timeout_minutes": minutes });
            let read: ToolGrant = serde_json::from_value(document.clone()).unwrap();
            assert!(read.needs_approval());
            assert_eq!(serde_json::to_value(&read).unwrap(), document);
        }
        for minutes in [json!(-1), json!(527_041), json!("5")] {
            let document = json!({ "tool": "text.count", "timeout_minutes": minutes });
            assert!(serde_json::from_value::<ToolGrant>(document).is_err(), "{minutes}");
        }
        assert_eq!(serde_json::to_value(ToolGrant::new("a")).unwrap(), json!({ "tool": "a" }));
    }
}
