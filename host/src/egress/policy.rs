//! What one caller may do: which hosts and methods, and how much.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hyper::Method;

use super::{EgressError, HostPort, HostPortError};

/// What one caller may do. It narrows: what is not public is refused to everybody unless an operator allowed it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where it may connect.
    pub hosts: Hosts,
    /// What it may ask; empty for any method.
    pub methods: Vec<Method>,
    /// The most requests in all, redirects that are followed included.
    pub requests_max: u32,
    /// The most redirects that are followed for one request. With 0 a redirect is an answer like others.
    pub redirects_max: u32,
    /// The most bytes of a request's body.
    pub request_bytes_max: usize,
    /// The most bytes of an answer's body.
    pub response_bytes_max: usize,
    /// The most bytes of a request's or an answer's head.
    pub header_bytes_max: usize,
    /// How long a request may take, from the name's resolution to the answer's last byte.
    pub timeout: Duration,
}

/// Where a caller may connect.
#[derive(Debug, Clone)]
pub enum Hosts {
    /// Anywhere.
    Any,
    /// Where one of these says; nowhere if there is none.
    List(Vec<HostPattern>),
    /// Where somebody else says, request by request.
    Granted(Arc<dyn Grant>),
}

/// Says where a caller may send what. It is asked for every request, redirects that are followed included.
pub trait Grant: fmt::Debug + Send + Sync {
    /// Whether anything may be sent there.
    fn allows_host(&self, target: &HostPort) -> bool;

    /// Whether a request with this method may be sent there.
    fn allows(&self, method: &Method, target: &HostPort) -> bool;
}

/// Hosts that a caller was granted: `api.example.com`, `*.example.com` (every name below, not the name itself),
/// `10.0.0.5`, each with `:port` if it is not that of http or https.
#[derive(Debug, Clone)]
pub struct HostPattern {
    below: bool,
    /// Its port counts only where `port` is one.
    host: HostPort,
    /// `None` for the ports of http and https.
    port: Option<u16>,
}

impl Policy {
    /// Any public host, with little of everything and no redirects: for what an operator configured.
    #[must_use]
    pub fn any_public() -> Self {
        Self {
            hosts: Hosts::Any,
            methods: Vec::new(),
            requests_max: 1,
            redirects_max: 0,
            request_bytes_max: 256 * 1024,
            response_bytes_max: 64 * 1024,
            header_bytes_max: 16 * 1024,
            timeout: Duration::from_secs(15),
        }
    }
}

impl Hosts {
    fn allow(&self, target: &HostPort) -> bool {
        match self {
            Self::Any => true,
            Self::List(patterns) => patterns.iter().any(|pattern| pattern.matches(target)),
            Self::Granted(grant) => grant.allows_host(target),
        }
    }

    fn allow_method(&self, method: &Method, target: &HostPort) -> bool {
        match self {
            Self::Any | Self::List(_) => true,
            Self::Granted(grant) => grant.allows(method, target),
        }
    }
}

impl HostPattern {
    /// Whether a target is one of those meant.
    #[must_use]
    pub fn matches(&self, target: &HostPort) -> bool {
        let port_fits = self.port.map_or_else(|| is_port_of_http(target.port()), |port| port == target.port());
        port_fits && (if self.below { target.is_below(&self.host) } else { target.has_same_host(&self.host) })
    }

    /// Whether it names a port, rather than meaning those of http and https.
    #[must_use]
    pub fn names_port(&self) -> bool {
        self.port.is_some()
    }

    /// What both mean, if there is anything: a pattern that is within another is what both have in common.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<Self> {
        let port = match (self.port, other.port) {
            (None, None) => None,
            (Some(port), None) | (None, Some(port)) if is_port_of_http(port) => Some(port),
            (Some(a), Some(b)) if a == b => Some(a),
            (Some(_), Some(_) | None) | (None, Some(_)) => return None,
        };
        let narrower = if other.is_host_within(self) {
            other
        } else if self.is_host_within(other) {
            self
        } else {
            return None;
        };
        Some(Self { port, ..narrower.clone() })
    }

    /// Whether every host that is meant is meant by `other` as well, whatever the ports.
    fn is_host_within(&self, other: &Self) -> bool {
        let is_same = self.below == other.below && self.host.has_same_host(&other.host);
        is_same || (other.below && self.host.is_below(&other.host))
    }
}

impl PartialEq for HostPattern {
    fn eq(&self, other: &Self) -> bool {
        self.below == other.below && self.port == other.port && self.host.has_same_host(&other.host)
    }
}

impl Eq for HostPattern {}

fn is_port_of_http(port: u16) -> bool {
    matches!(port, 80 | 443)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        match self.port {
            Some(port) => write!(f, "{star}{}:{port}", self.host.only_host()),
            None => write!(f, "{star}{}", self.host.only_host()),
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let is_address = rest.ends_with(']') || rest.parse::<std::net::Ipv6Addr>().is_ok();
        if rest.contains(':') && !is_address {
            let host: HostPort = rest.parse()?;
            let port = Some(host.port());
            return Ok(Self { below, host, port });
        }
        Ok(Self { below, host: HostPort::new(rest, 443)?, port: None })
    }
}

/// Whoever sends, with its policy and what it has used of it. One a step, or one a notice.
#[derive(Debug)]
pub struct Caller {
    policy: Policy,
    requests: Arc<AtomicU32>,
}

impl Caller {
    /// A caller that has sent nothing.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, requests: Arc::default() }
    }

    /// The same caller under another policy: what it has sent already counts.
    #[must_use]
    pub fn under(&self, policy: Policy) -> Self {
        Self { policy, requests: Arc::clone(&self.requests) }
    }

    /// Counts a request that was sent some other way.
    pub fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// What it may do.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Counts a request, if the policy lets it through.
    pub(super) fn admit(&self, method: &Method, target: &HostPort) -> Result<(), EgressError> {
        if !self.policy.hosts.allow(target) {
            return Err(EgressError::NotGranted { target: target.clone() });
        }
        let is_listed = self.policy.methods.is_empty() || self.policy.methods.contains(method);
        if !is_listed || !self.policy.hosts.allow_method(method, target) {
            return Err(EgressError::Method { method: method.to_string(), target: target.clone() });
        }
        if is_never_sent(method) {
            return Err(EgressError::Method { method: method.to_string(), target: target.clone() });
        }
        let max = self.policy.requests_max;
        let one_more = |sent: u32| (sent < max).then_some(sent + 1);
        let counted = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map(drop).map_err(|_| EgressError::Requests { target: target.clone(), max })
    }
}

/// Methods that turn the other side into a tunnel or a mirror; browsers do not send them either.
fn is_never_sent(method: &Method) -> bool {
    *method == Method::CONNECT || *method == Method::TRACE || method.as_str().eq_ignore_ascii_case("track")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, target: &str) -> bool {
        pattern.parse::<HostPattern>().unwrap().matches(&target.parse().unwrap())
    }

    #[test]
    fn a_pattern_means_a_host_on_the_ports_of_http() {
        assert!(matches("api.example.com", "api.example.com:443"));
        assert!(matches("API.example.com.", "api.example.com:80"));
        assert!(!matches("api.example.com", "api.example.com:8080"));
        assert!(matches("api.example.com:8080", "api.example.com:8080"));
        assert!(!matches("api.example.com:8080", "api.example.com:443"));
        assert!(matches("10.0.0.5", "10.0.0.5:80") && matches("[fd00::1]", "[fd00::1]:80"));
        assert!(matches("fd00::1", "[fd00::1]:80") && matches("[fd00::1]:81", "[fd00::1]:81"));
    }

    #[test]
    fn a_star_means_every_name_below_and_not_the_name_itself() {
        assert!(matches("*.example.com", "a.example.com:443") && matches("*.example.com", "a.b.example.com:443"));
        assert!(!matches("*.example.com", "example.com:443"));
        assert!(!matches("*.example.com", "badexample.com:443"));
        assert!(!matches("*.0.0.1", "127.0.0.1:80"), "addresses have no names below");
        for wrong in ["*", "a.*", "*.*.example.com", "a*.example.com", "*.", ""] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_two_patterns_have_in_common_is_the_narrower_one() {
        let common = |a: &str, b: &str| {
            let (a, b) = (a.parse::<HostPattern>().unwrap(), b.parse::<HostPattern>().unwrap());
            assert_eq!(a.common(&b), b.common(&a));
            a.common(&b).map(|common| common.to_string())
        };
        assert_eq!(common("*.a.example", "x.a.example").as_deref(), Some("x.a.example"));
        assert_eq!(common("*.a.example", "*.b.a.example").as_deref(), Some("*.b.a.example"));
        assert_eq!(common("*.a.example:443", "x.a.example").as_deref(), Some("x.a.example:443"));
        assert_eq!(common("[fd00::1]:80", "fd00::1").as_deref(), Some("[fd00::1]:80"));
        assert_eq!(common("*.a.example", "a.example"), None);
        assert_eq!(common("a.example:8080", "a.example"), None);
        assert_eq!(common("a.example:80", "a.example:443"), None);
        assert_eq!(common("a.example", "b.example"), None);
    }

    #[test]
    fn a_pattern_is_written_as_it_is_read() {
        for text in
            ["a.example", "*.a.example", "a.example:8080", "*.a.example:1", "[fd00::1]", "[fd00::1]:81", "10.0.0.5"]
        {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn h24_a_caller_sends_what_its_policy_grants_and_no_more() {
        let hosts = Hosts::List(vec!["a.example".parse().unwrap()]);
        let policy = Policy { hosts, methods: vec![Method::GET], requests_max: 2, ..Policy::any_public() };
        let caller = Caller::new(policy);
        let (granted, other) = ("a.example:443".parse().unwrap(), "b.example:443".parse().unwrap());
        assert!(matches!(caller.admit(&Method::GET, &other), Err(EgressError::NotGranted { .. })));
        assert!(matches!(caller.admit(&Method::PUT, &granted), Err(EgressError::Method { .. })));
        let anybody = Caller::new(Policy::any_public());
        assert!(matches!(anybody.admit(&Method::CONNECT, &granted), Err(EgressError::Method { .. })));
        caller.admit(&Method::GET, &granted).unwrap();
        caller.admit(&Method::GET, &granted).unwrap();
        assert!(matches!(caller.admit(&Method::GET, &granted), Err(EgressError::Requests { max: 2, .. })));
    }
}
