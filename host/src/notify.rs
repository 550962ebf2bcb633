//! Notices to people: by mail, to Slack, or to anybody's webhook. This part sends one notice over one channel, once; what
//! is to be sent, and when it is tried again, stands in the store.
//!
//! A notice that cannot be sent fails nothing but itself. All that is sent passes [`crate::egress`].

mod channel;
mod email;
mod notice;
mod post;
mod retry;
mod secret;
mod slack;
mod webhook;

use std::time::Duration;

use weir_engine::id::Timestamp;

pub use self::{
    channel::{ChannelConfig, ChannelError, EmailAddress, EmailChannel, EmailTls, SlackChannel, WebhookChannel},
    notice::{Notice, NoticeApproval, NoticeKind},
    retry::{ATTEMPTS_MAX, delay_after},
    secret::Secret,
};
use crate::egress::{Egress, EgressError};

/// The most characters of what is said about a failure.
const REASON_CHARS_MAX: usize = 500;

/// Why a notice was not sent, or not for certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not send the notice: {reason}")]
pub struct SendError {
    /// Whether it may go well later. If not, only a person can help.
    pub is_retryable: bool,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    /// What went wrong, in one line without secrets.
    pub reason: String,
}

impl SendError {
    fn new(is_retryable: bool, reason: &str) -> Self {
        Self { is_retryable, retry_after: None, reason: one_line(reason, REASON_CHARS_MAX) }
    }

    /// What will not change by itself.
    fn lasting(reason: &str) -> Self {
        Self::new(false, reason)
    }
}

impl From<EgressError> for SendError {
    fn from(error: EgressError) -> Self {
        Self::new(error.is_retryable(), &with_sources(&error))
    }
}

/// Sends a notice over a channel. The notice's id travels with it, so that receivers know a notice that comes twice.
/// Takes a minute at most.
///
/// # Errors
/// The channel is set up wrongly, the egress guard refuses it, or the other side does not take the notice.
pub async fn send(
    egress: &Egress,
    channel: &ChannelConfig,
    notice: &Notice,
    sent_at: Timestamp,
) -> Result<(), SendError> {
    match channel {
        ChannelConfig::Ui => Ok(()),
        ChannelConfig::Email(channel) => email::send(egress, channel, notice, sent_at).await,
        ChannelConfig::Webhook(channel) => webhook::send(egress, channel, notice, sent_at).await,
        ChannelConfig::Slack(channel) => slack::send(egress, channel, notice).await,
    }
}

/// A text of foreign origin as one line: no control characters, and not too long.
fn one_line(text: &str, chars_max: usize) -> String {
    let visible = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    shortened(visible, chars_max)
}

/// As many characters as there is room for, with a sign if some are missing.
fn shortened(mut chars: impl Iterator<Item = char>, chars_max: usize) -> String {
    let mut kept: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        kept.push('…');
    }
    kept
}

/// An error and what it came from.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
