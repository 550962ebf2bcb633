//! What people are told, and how it reads.

use serde::{Deserialize, Serialize};
use weir_engine::id::Timestamp;

use super::{one_line, shortened};

/// The most characters of a title.
const TITLE_CHARS_MAX: usize = 200;
/// The most characters of a text.
const TEXT_CHARS_MAX: usize = 16_000;
/// The most options that are listed.
const OPTIONS_MAX: usize = 20;
/// The most characters of an option.
const OPTION_CHARS_MAX: usize = 100;

/// A notice to people about an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, the same each time that it is sent.
    pub id: String,
    /// What happened.
    pub kind: NoticeKind,
    /// When it happened.
    pub at: Timestamp,
    /// What it is about, in a few words.
    pub title: String,
    /// What a person has to know.
    pub text: String,
    /// Where to answer. Whoever has the link may be able to decide.
    pub link: Option<String>,
    /// The approval.
    pub approval: NoticeApproval,
}

/// What a notice tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A decision is needed.
    Requested,
    /// It still is.
    Reminded,
    /// It is now for others to decide.
    Reassigned,
    /// Somebody decided.
    Decided,
    /// Nobody decided in time.
    TimedOut,
}

/// The approval that a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeApproval {
    /// Its id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The execution that waits.
    pub execution_id: String,
    /// The step that waits.
    pub step_id: String,
    /// What can be chosen, as people see it.
    pub options: Vec<String>,
    /// Until when.
    pub due: Option<Timestamp>,
}

impl NoticeKind {
    /// The type of the event that receivers of webhooks get.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Requested => "weir.approval.requested",
            Self::Reminded => "weir.approval.reminded",
            Self::Reassigned => "weir.approval.reassigned",
            Self::Decided => "weir.approval.decided",
            Self::TimedOut => "weir.approval.timed_out",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Requested => "Decision needed",
            Self::Reminded => "Reminder, decision needed",
            Self::Reassigned => "Decision passed on to you",
            Self::Decided => "Decided",
            Self::TimedOut => "Not decided in time",
        }
    }

    /// Whether an answer is still wanted.
    fn is_open(self) -> bool {
        match self {
            Self::Requested | Self::Reminded | Self::Reassigned => true,
            Self::Decided | Self::TimedOut => false,
        }
    }
}

impl Notice {
    /// One line that says what happened and what it is about.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}: {}", self.kind.heading(), self.title_line())
    }

    /// The title as one line, and not too long.
    #[must_use]
    pub fn title_line(&self) -> String {
        one_line(&self.title, TITLE_CHARS_MAX)
    }

    /// The options, each as one line, and not too many.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        self.approval.options.iter().take(OPTIONS_MAX).map(|one| one_line(one, OPTION_CHARS_MAX)).collect()
    }

    /// The text, without what would upset a terminal or a mail program, and not too long.
    #[must_use]
    pub fn body(&self) -> String {
        shortened(self.text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')), TEXT_CHARS_MAX)
    }

    /// What else there is to say, one line each: the options, the deadline, the link, where it comes from.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        let approval = &self.approval;
        let mut lines = Vec::new();
        if self.kind.is_open() && !approval.options.is_empty() {
            lines.push(format!("Options: {}", self.options().join(", ")));
        }
        if let Some(due) = approval.due.filter(|_| self.kind.is_open()) {
            lines.push(format!("Answer until: {}", rfc3339(due)));
        }
        if let Some(link) = &self.link {
            lines.push(format!("Open: {}", one_line(link, 2000)));
        }
        let (workflow, step) = (one_line(&approval.workflow, 200), one_line(&approval.step_id, 200));
        lines.push(format!("Workflow {workflow}, step {step}, execution {}", one_line(&approval.execution_id, 100)));
        lines
    }
}

/// A time to the second, as people and machines read it.
pub(super) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |at| format!("{at:.0}"))
}

/// Whole seconds since 1970.
pub(super) fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

#[cfg(test)]
pub(super) fn sample() -> Notice {
    Notice {
        id: "0190c0de-0000-7000-8000-000000000001".to_owned(),
        kind: NoticeKind::Requested,
        at: Timestamp(1_790_000_000_000_000),
        title: "Refund order 7".to_owned(),
        text: "The customer wants 40 € back.\nIs that right?".to_owned(),
        link: Some("https://weir.example/a/x?token=t".to_owned()),
        approval: NoticeApproval {
            id: "approval-1".to_owned(),
            workflow: "refund".to_owned(),
            execution_id: "execution-1".to_owned(),
            step_id: "ask".to_owned(),
            options: vec!["Pay".to_owned(), "Refuse".to_owned()],
            due: Some(Timestamp(1_790_003_600_000_000)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_says_what_is_asked_until_when_and_where() {
        let notice = sample();
        assert_eq!(notice.subject(), "Decision needed: Refund order 7");
        let lines = [
            "Options: Pay, Refuse",
            "Answer until: 2026-09-21T15:13:20Z",
            "Open: https://weir.example/a/x?token=t",
            "Workflow refund, step ask, execution execution-1",
        ];
        assert_eq!(notice.details(), lines);
    }

    #[test]
    fn what_is_over_asks_for_nothing() {
        let notice = Notice { kind: NoticeKind::Decided, link: None, ..sample() };
        assert_eq!(notice.details(), ["Workflow refund, step ask, execution execution-1"]);
    }

    #[test]
    fn hostile_texts_stay_within_their_line_and_length() {
        let title = format!("a\r\nBcc: x@y\u{2028}\0{}", "z".repeat(9999));
        let notice = Notice { title, text: "\u{1b}[2J\ta\nb".to_owned(), ..sample() };
        let subject = notice.subject();
        assert!(!subject.contains(['\r', '\n', '\u{2028}', '\0']) && subject.chars().count() < 300, "{subject}");
        assert_eq!(notice.body(), "[2J\ta\nb");
    }
}
