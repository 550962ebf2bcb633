//! How channels are set up.

use std::{fmt, path::PathBuf, str::FromStr};

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::{
    egress::{self, HostPort},
    vault,
    webhook_signature::SigningSecret,
};

/// The most people that one channel writes to.
const RECIPIENTS_MAX: usize = 50;

/// A way to reach people, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelConfig {
    /// The web app's inbox: nothing is sent.
    Ui,
    /// Mail over SMTP.
    Email(EmailChannel),
    /// A signed POST to anybody's URL.
    Webhook(WebhookChannel),
    /// An incoming webhook of Slack.
    Slack(SlackChannel),
}

/// Mail over SMTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailChannel {
    /// The mail server. If it is not public, `egress.allow` has to name it and the port.
    pub host: String,
    /// Its port; by default 587 with `starttls`, 465 with `implicit`, 25 with `none`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: EmailTls,
    /// Who signs in; nobody by default. Without encryption nobody can.
    #[serde(default)]
    pub username: Option<String>,
    /// The password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Who writes: `weir@example.com`, or `Weir <weir@example.com>`.
    pub from: EmailAddress,
    /// Who is written to.
    pub to: Vec<EmailAddress>,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailTls {
    /// By `STARTTLS`, without which nothing is sent.
    #[default]
    Starttls,
    /// From the first byte.
    Implicit,
    /// Not at all.
    None,
}

/// A signed POST to a URL, as Standard Webhooks has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookChannel {
    /// The URL. If its host is not public, `egress.allow` has to name it and the port.
    pub url: String,
    /// The secret that signs: `whsec_…`.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file whose first line is the secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
}

/// An incoming webhook of Slack, or of a program that understands the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackChannel {
    /// The URL, which is a secret: whoever knows it may write.
    #[serde(default)]
    pub url: Option<Secret>,
    /// A file whose first line is the URL.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
}

/// An address for mail, with or without a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(pub(super) Mailbox);

/// Why a channel cannot be used as it is set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ChannelError {
    reason: String,
}

impl ChannelConfig {
    /// The secrets that the channel uses, as far as they can be read now: those that are written down, those in files,
    /// and of a URL that is secret also what stands behind its host.
    #[must_use]
    pub fn secrets(&self) -> Vec<vault::Secret> {
        let (written, file) = match self {
            Self::Ui => return Vec::new(),
            Self::Email(email) => (&email.password, &email.password_file),
            Self::Webhook(webhook) => (&webhook.secret, &webhook.secret_file),
            Self::Slack(slack) => (&slack.url, &slack.url_file),
        };
        let from_file = || super::secret::read_now(file.as_deref()?);
        let Some(secret) = written.as_ref().map(|secret| secret.reveal().to_owned()).or_else(from_file) else {
            return Vec::new();
        };
        let path = url::Url::parse(&secret).ok().map(|url| vault::Secret::new(url.path()));
        path.into_iter().chain([vault::Secret::new(secret)]).collect()
    }
}

impl ChannelError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl ChannelConfig {
    /// Checks what can be checked without sending.
    ///
    /// # Errors
    /// Says which setting is wrong, and what it should be.
    pub fn check(&self) -> Result<(), ChannelError> {
        match self {
            Self::Ui => Ok(()),
            Self::Email(channel) => channel.check(),
            Self::Webhook(channel) => channel.check(),
            Self::Slack(channel) => channel.check(),
        }
    }
}

impl EmailChannel {
    /// Where the mail server is.
    ///
    /// # Errors
    /// The host is neither a name nor an address.
    pub fn target(&self) -> Result<HostPort, egress::HostPortError> {
        HostPort::new(&self.host, self.port.unwrap_or_else(|| self.tls.default_port()))
    }

    fn check(&self) -> Result<(), ChannelError> {
        self.target().map_err(|error| ChannelError::new(error.to_string()))?;
        if self.to.is_empty() || self.to.len() > RECIPIENTS_MAX {
            return Err(ChannelError::new(format!("to: name 1 to {RECIPIENTS_MAX} addresses")));
        }
        let has_password = self.password.is_some() || self.password_file.is_some();
        match (&self.username, self.tls) {
            (None, _) if has_password => Err(ChannelError::new("username: a password needs one")),
            (None, _) => Ok(()),
            (Some(_), EmailTls::None) => Err(ChannelError::new(
                "tls: a password is only sent over an encrypted connection: starttls or implicit",
            )),
            (Some(_), EmailTls::Starttls | EmailTls::Implicit) => {
                one_of("password", self.password.is_some(), self.password_file.is_some())
            }
        }
    }
}

impl EmailTls {
    fn default_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

impl WebhookChannel {
    fn check(&self) -> Result<(), ChannelError> {
        check_url(&self.url)?;
        one_of("secret", self.secret.is_some(), self.secret_file.is_some())?;
        let Some(secret) = &self.secret else { return Ok(()) };
        SigningSecret::parse(secret.reveal()).map(drop).map_err(|error| ChannelError::new(format!("secret: {error}")))
    }
}

impl SlackChannel {
    fn check(&self) -> Result<(), ChannelError> {
        one_of("url", self.url.is_some(), self.url_file.is_some())?;
        self.url.as_ref().map_or(Ok(()), |url| check_url(url.reveal()))
    }
}

fn check_url(url: &str) -> Result<(), ChannelError> {
    egress::check_url(url).map_err(|error| ChannelError::new(format!("url: {error}")))
}

fn one_of(field: &str, written: bool, in_file: bool) -> Result<(), ChannelError> {
    if written == in_file {
        return Err(ChannelError::new(format!("{field}: set either {field} or {field}_file")));
    }
    Ok(())
}

impl FromStr for EmailAddress {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let wrong = || ChannelError::new(format!("{text:?} is not an address: write name@example.com"));
        if text.chars().any(char::is_control) {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = ChannelError;

    fn try_from(text: String) -> Result<Self, ChannelError> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(config: Value) -> Result<(), String> {
        let config: ChannelConfig = serde_json::from_value(config).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())
    }

    fn email(change: Value) -> Value {
        let mut email = json!({"host": "smtp.example.com", "from": "Weir <w@example.com>", "to": ["a@example.com"]});
        email.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"email": email})
    }

    #[test]
    fn channels_that_can_work_are_taken() {
        let secret = SigningSecret::from_bytes(&[1; 32]).unwrap().reveal();
        let good = [
            json!("ui"),
            email(json!({})),
            email(json!({"tls": "none", "port": 2525})),
            email(json!({"username": "u", "password": "p"})),
            email(json!({"tls": "implicit", "username": "u", "password_file": "/run/password"})),
            json!({"webhook": {"url": "https://hooks.example/x", "secret": secret}}),
            json!({"webhook": {"url": "https://hooks.example/x", "secret_file": "/run/secret"}}),
            json!({"slack": {"url": "https://hooks.example/services/x"}}),
            json!({"slack": {"url_file": "/run/slack"}}),
        ];
        for config in good {
            assert_eq!(check(config.clone()), Ok(()), "{config}");
        }
    }

    #[test]
    fn channels_that_cannot_work_are_refused_with_the_setting() {
        let bad = [
            (email(json!({"to": []})), "to:"),
            (email(json!({"to": ["a"]})), "not an address"),
            (email(json!({"from": "a@b.example\r\nBcc: x@y.example"})), "not an address"),
            (email(json!({"host": "a b"})), "host and a port"),
            (email(json!({"username": "u"})), "password:"),
            (email(json!({"password": "p"})), "username:"),
            (email(json!({"username": "u", "password": "p", "password_file": "f"})), "password:"),
            (email(json!({"username": "u", "password": "p", "tls": "none"})), "tls:"),
            (email(json!({"tls": "maybe"})), "maybe"),
            (email(json!({"pasword": "p"})), "pasword"),
            (json!({"webhook": {"url": "https://a.example"}}), "secret:"),
            (json!({"webhook": {"url": "https://a.example", "secret": "x"}}), "whsec_"),
            (json!({"webhook": {"url": "https://u:p@a.example", "secret_file": "f"}}), "url:"),
            (json!({"slack": {"url": "ftp://a.example"}}), "url:"),
            (json!({"slack": {}}), "url:"),
            (json!("fax"), "fax"),
        ];
        for (config, part) in bad {
            let refused = check(config.clone()).unwrap_err();
            assert!(refused.contains(part), "{config}: {refused}");
        }
    }

    #[test]
    fn the_port_follows_the_encryption() {
        let target = |change| {
            let Ok(ChannelConfig::Email(channel)) = serde_json::from_value(email(change)) else { panic!("not mail") };
            channel.target().unwrap().to_string()
        };
        assert_eq!(target(json!({})), "smtp.example.com:587");
        assert_eq!(target(json!({"tls": "implicit"})), "smtp.example.com:465");
        assert_eq!(target(json!({"tls": "none"})), "smtp.example.com:25");
        assert_eq!(target(json!({"port": 26})), "smtp.example.com:26");
    }
}
