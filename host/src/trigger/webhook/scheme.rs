//! The ways in which senders of webhooks prove who they are.

use serde::{Deserialize, Serialize};

/// How a sender proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Standard Webhooks: HMAC-SHA256 over id, time and body.
    StandardWebhooks,
    /// GitHub: HMAC-SHA256 over the body.
    Github,
    /// Stripe: HMAC-SHA256 over time and body.
    Stripe,
    /// The secret itself, as a bearer token.
    Bearer,
    /// Not at all: whoever knows the path may send.
    None,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 5] = [Self::StandardWebhooks, Self::Github, Self::Stripe, Self::Bearer, Self::None];

    /// The scheme as authors write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard_webhooks",
            Self::Github => "github",
            Self::Stripe => "stripe",
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }

    /// The scheme with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }
}
