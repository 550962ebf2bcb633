//! A host and a port, as URLs and operators name them.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The most bytes of a host's name.
const HOST_BYTES_MAX: usize = 253;

/// A host and a port: where a connection goes, or what an operator allows. Names are kept in small letters, without the
/// dot at the end and in ASCII, and every way to write an IPv4 address is the address, so that equal ones are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: Host<String>,
    port: u16,
}

/// Why a text names no host and port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "could not understand {text:?} as a host and a port: {reason}; write name:port, 10.0.0.5:8080 or [fd00::1]:8080"
)]
pub struct HostPortError {
    text: String,
    reason: &'static str,
}

impl HostPort {
    /// A host as people write it, a name or an address with or without brackets, and a port.
    ///
    /// # Errors
    /// The host is neither a name nor an address.
    pub fn new(host: &str, port: u16) -> Result<Self, HostPortError> {
        let wrong = |reason| HostPortError { text: format!("{host}:{port}"), reason };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Self::of_address(address, port));
        }
        if host.contains('*') {
            return Err(wrong("a star stands for nothing here"));
        }
        let host = Host::parse(host).map_err(|_| wrong("it is neither a name nor an address"))?;
        Self::of_host(host, port).ok_or_else(|| wrong("the name is empty or too long"))
    }

    /// Where a URL leads; `None` for one without a host or without a port that is known.
    #[must_use]
    pub fn of_url(url: &Url) -> Option<Self> {
        Self::of_host(url.host()?.to_owned(), url.port_or_known_default()?)
    }

    fn of_address(address: IpAddr, port: u16) -> Self {
        let host = match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        };
        Self { host, port }
    }

    fn of_host(host: Host<String>, port: u16) -> Option<Self> {
        let Host::Domain(name) = host else { return Some(Self { host, port }) };
        let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
        let is_name = !name.is_empty() && !name.ends_with('.') && name.len() <= HOST_BYTES_MAX;
        is_name.then_some(Self { host: Host::Domain(name), port })
    }

    /// The name or address; an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The name, if the host is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Domain(name) => Some(name),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// Whether the host is the same, whatever the port.
    pub(super) fn has_same_host(&self, other: &Self) -> bool {
        self.host == other.host
    }

    /// Whether the host is a name below another name.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        let (Some(name), Some(above)) = (self.name(), other.name()) else { return false };
        name.strip_suffix(above).and_then(|rest| rest.strip_suffix('.')).is_some_and(|labels| !labels.is_empty())
    }

    /// The host as URLs have it: an IPv6 address in brackets.
    pub(super) fn only_host(&self) -> &impl fmt::Display {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let wrong = |reason| HostPortError { text: text.to_owned(), reason };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(wrong("an IPv6 address stands in brackets"));
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0);
        Self::new(host, port.ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?)
            .map_err(|error| wrong(error.reason))
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;

    fn try_from(text: String) -> Result<Self, HostPortError> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(value: HostPort) -> Self {
        value.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_written_in_one_way() {
        let cases = [
            ("10.0.0.5:8080", "10.0.0.5:8080"),
            ("smtp.internal:25", "smtp.internal:25"),
            ("LocalHost.:11434", "localhost:11434"),
            ("[fd00::1]:443", "[fd00::1]:443"),
            ("[FD00:0:0::1]:443", "[fd00::1]:443"),
            ("0x7f.1:80", "127.0.0.1:80"),
            ("2130706433:80", "127.0.0.1:80"),
            ("127.0.0.1.:80", "127.0.0.1:80"),
            ("bücher.example:443", "xn--bcher-kva.example:443"),
            ("a。b:1", "a.b:1"),
        ];
        for (text, written) in cases {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused_with_a_reason() {
        let wrong = [
            "",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:x",
            ":80",
            ".:80",
            "a..:80",
            "fd00::1:80",
            "fd00::1",
            "[fd00::1]",
            "[fe80::1%lo]:80",
            "a b:80",
            "a/b:80",
            "u@h:80",
            "http://a:80",
            "*:80",
            "*.a:80",
            "256.0.0.1:80",
        ];
        for text in wrong {
            let parsed = text.parse::<HostPort>();
            assert!(parsed.is_err(), "{text}: {parsed:?}");
        }
        let long = format!("{}:80", "a".repeat(254));
        assert!(long.parse::<HostPort>().is_err());
    }
}
