//! Where spans go.

use std::{collections::BTreeMap, fmt};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize, Serializer};

use crate::egress::{
    check_url,
    header::{HeaderName, HeaderValue},
};

/// Where every collector takes spans.
const PATH: &str = "/v1/traces";

/// Where spans go, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtelConfig {
    /// The collector: `http://localhost:4318`, or with the whole path `…/v1/traces`. What is not public takes leave in
    /// `egress.allow`.
    pub endpoint: String,
    /// Headers of every request, for collectors that want to know who sends. Their values are not shown.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderText>,
    /// Which share of the executions is told of, from 0 to 1. An execution whose caller sends a `traceparent` is told of
    /// where that one says so.
    #[serde(default)]
    pub sample: Share,
    /// What this host is called.
    #[serde(default = "service_name")]
    pub service_name: String,
}

fn service_name() -> String {
    "weir".to_owned()
}

/// A header's value, which may be a key: it is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct HeaderText(String);

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderText(…)")
    }
}

impl Serialize for HeaderText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("********")
    }
}

/// A share from 0 to 1, kept in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(u32);

impl Share {
    /// Everything.
    pub const ALL: Self = Self(1_000_000);

    /// Whether something with this number, one of 2⁶⁴ that are all as likely, is part of it.
    pub(super) fn takes(self, number: u64) -> bool {
        number % u64::from(Self::ALL.0) < u64::from(self.0)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and a million")]
    fn try_from(share: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self((share * f64::from(Self::ALL.0)).round() as u32))
        } else {
            Err("a share is a number from 0 to 1")
        }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.0) / Self::from(Share::ALL.0)
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OtelConfigError(String);

impl OtelConfig {
    /// All spans to a collector.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        let (headers, sample) = (BTreeMap::new(), Share::ALL);
        Self { endpoint: endpoint.into(), headers, sample, service_name: service_name() }
    }

    /// These settings, overridden by what the environment variables of OpenTelemetry say: the endpoint, and headers as
    /// `name=value,name=value` with escapes as in URLs.
    #[must_use]
    pub fn overridden(config: Option<Self>, endpoint: Option<&str>, headers: Option<&str>) -> Option<Self> {
        let mut config = match (config, endpoint) {
            (Some(config), Some(endpoint)) => Self { endpoint: endpoint.to_owned(), ..config },
            (None, Some(endpoint)) => Self::new(endpoint),
            (config, None) => config?,
        };
        let pairs = headers.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        config.headers.extend(pairs.map(|(name, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
            (name.trim().to_owned(), HeaderText(value))
        }));
        Some(config)
    }

    /// Whether these settings can work.
    ///
    /// # Errors
    /// The endpoint is no URL, or a header is none; says which.
    pub fn check(&self) -> Result<(), OtelConfigError> {
        check_url(&self.endpoint).map_err(|e| OtelConfigError(format!("endpoint: {e}")))?;
        self.headers().map(drop)
    }

    /// The URL that spans are sent to.
    pub(super) fn url(&self) -> String {
        let base = self.endpoint.trim_end_matches('/');
        if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
    }

    /// The headers as they are sent.
    pub(super) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, OtelConfigError> {
        let header = |(name, text): (&String, &HeaderText)| {
            let wrong = || OtelConfigError(format!("headers: {name:?} or its value cannot be sent"));
            let mut value = HeaderValue::from_str(&text.0).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok((name.parse().map_err(|_| wrong())?, value))
        };
        self.headers.iter().map(header).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_stronger_and_headers_are_unescaped() {
        assert_eq!(OtelConfig::overridden(None, None, Some("a=b")), None);
        let file = OtelConfig { sample: Share(5), ..OtelConfig::new("http://file:4318") };
        let config =
            OtelConfig::overridden(Some(file), Some("http://env:4318/"), Some("api-key=a%20b, x = y,odd")).unwrap();
        assert_eq!((config.url().as_str(), config.sample), ("http://env:4318/v1/traces", Share(5)));
        let headers = config.headers().unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!((headers[0].0.as_str(), headers[0].1.to_str().unwrap()), ("api-key", "a b"));
        let whole = OtelConfig::new("https://c.example/in/v1/traces");
        assert_eq!(whole.url(), whole.endpoint);
    }

    #[test]
    fn d1_headers_are_not_shown() {
        let config = OtelConfig::overridden(Some(OtelConfig::new("http://a")), None, Some("key=hunter2")).unwrap();
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_cannot_work_is_said() {
        assert!(OtelConfig::new("localhost:4318").check().is_err());
        let odd = OtelConfig::overridden(Some(OtelConfig::new("http://a")), None, Some("a b=c")).unwrap();
        assert!(odd.check().unwrap_err().to_string().contains("a b"));
        assert!(Share::try_from(1.5).is_err() && Share::try_from(f64::NAN).is_err());
    }

    #[test]
    fn a_share_takes_about_so_much() {
        let share = Share::try_from(0.25).unwrap();
        let taken = (0..1_000_000_u64).filter(|n| share.takes(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).count();
        assert!((200_000..300_000).contains(&taken), "{taken}");
        assert!(Share::ALL.takes(u64::MAX) && !Share(0).takes(0));
    }
}
