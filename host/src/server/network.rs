//! What the host believes about where a request comes from and whom it is for. Pure.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, Request, Uri, header};
use ipnet::IpNet;

use crate::config::Config;

/// By which names the host is known, and whom it believes.
#[derive(Debug, Clone)]
pub struct Network {
    listen: IpAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
    proxies: Vec<IpNet>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// Whether it came over TLS to a proxy that is believed.
    pub(crate) https: bool,
}

impl Peer {
    /// Whose tries are counted together: an address, or the network that one subscriber has.
    pub(crate) fn counted_as(self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        }
    }
}

impl Network {
    /// What `config` says, for a host that listens on `listen`.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &Config, listen: SocketAddr) -> Result<Self, String> {
        let proxy = |text: &String| {
            let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            net.map_err(|_| format!("trusted_proxies: {text:?} is no address and no network such as 10.0.0.0/8"))
        };
        Ok(Self {
            listen: listen.ip(),
            hosts: config.allowed_hosts.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect(),
            origins: config.allowed_origins.iter().map(|o| o.trim_end_matches('/').to_ascii_lowercase()).collect(),
            proxies: config.trusted_proxies.iter().map(proxy).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a request is for this host. A page of another site can make a browser send requests here under its own
    /// name, once that name resolves to our address; what it cannot do is to send another name.
    pub(super) fn is_for_us<B>(&self, request: &Request<B>) -> bool {
        named_host(request).is_some_and(|host| self.knows(&host))
    }

    fn knows(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            let is_ours =
                address == self.listen || address.to_canonical().is_loopback() || self.listen.is_unspecified();
            return is_ours || self.hosts.contains(&name);
        }
        let allows = |allowed: &String| match allowed.strip_prefix('*') {
            Some(ending) => ending.starts_with('.') && name.ends_with(ending),
            None => *allowed == name,
        };
        name == "localhost" || name.ends_with(".localhost") || self.hosts.iter().any(allows)
    }

    /// Where a request on a connection from `address` comes from.
    pub(super) fn peer(&self, address: IpAddr, headers: &HeaderMap) -> Peer {
        let mut peer = Peer { address: address.to_canonical(), https: false };
        if !self.believes(peer.address) {
            return peer;
        }
        let last = |name: &str| headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next();
        peer.https = last("x-forwarded-proto").is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
        // Each proxy adds whom it heard at the end; what stands before the last one that is believed may be made up.
        let values: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            peer.address = hop.to_canonical();
            if !self.believes(peer.address) {
                break;
            }
        }
        peer
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(&address))
    }

    /// Whether connections from this address are those of many clients.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        self.believes(address.to_canonical())
    }

    /// Whether a request comes from a page of this host itself, or of an origin that is allowed; `None` where it does not
    /// say.
    pub(super) fn is_own_page<B>(&self, request: &Request<B>) -> Option<bool> {
        let mut values = request.headers().get_all(header::ORIGIN).iter();
        let value = values.next()?;
        let (Ok(origin), None) = (value.to_str(), values.next()) else { return Some(false) };
        let origin = origin.to_ascii_lowercase();
        let own = origin.parse::<Uri>().ok().and_then(|uri| {
            let scheme = uri.scheme_str()?.to_owned();
            Some((with_port(uri.authority()?.as_str(), &scheme), scheme))
        });
        let is_own = own.is_some_and(|(authority, scheme)| {
            named_host(request).is_some_and(|host| with_port(&host.to_ascii_lowercase(), &scheme) == authority)
        });
        Some(is_own || self.origins.contains(&origin))
    }
}

/// The host that a request names, in its line or its one `Host`.
fn named_host<B>(request: &Request<B>) -> Option<String> {
    let mut values = request.headers().get_all(header::HOST).iter();
    let (value, None) = (values.next(), values.next()) else { return None };
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => value?.to_str().ok()?,
    };
    let is_plain = !host.is_empty() && !host.contains(['@', '/', ' ', ',']);
    is_plain.then(|| host.to_owned())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// An authority whose port is said.
fn with_port(authority: &str, scheme: &str) -> String {
    let name = without_port(authority);
    let port = authority.get(name.len() + 1..).filter(|port| !port.is_empty());
    format!("{name}:{}", port.unwrap_or(if scheme == "https" { "443" } else { "80" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(listen: &str) -> Network {
        let config = Config {
            allowed_hosts: vec!["weir.example".into(), "*.apps.example".into()],
            allowed_origins: vec!["https://ui.example".into()],
            trusted_proxies: vec!["10.0.0.0/8".into(), "192.0.2.7".into()],
            ..Config::default()
        };
        Network::new(&config, SocketAddr::new(listen.parse().unwrap(), 8787)).unwrap()
    }

    fn request(host: &str, headers: &[(&str, &str)]) -> Request<()> {
        let all =
            headers.iter().fold(Request::builder().header("host", host), |r, (name, value)| r.header(*name, *value));
        all.body(()).unwrap()
    }

    #[test]
    fn a12_only_our_names_are_for_us() {
        let network = network("127.0.0.1");
        let ours = [
            "localhost",
            "LOCALHOST:1",
            "app.localhost:8787",
            "127.0.0.1:8787",
            "[::1]:8787",
            "[::1]",
            "weir.example",
            "weir.example.:80",
            "a.apps.example",
        ];
        for host in ours {
            assert!(network.is_for_us(&request(host, &[])), "{host}");
        }
        let foreign = [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:8787",
            "127.0.0.1.evil.example",
            "10.1.2.3",
            "169.254.169.254",
            "apps.example",
            "xapps.example",
            "localhost@evil.example",
            "weir.example, evil.example",
            "notlocalhost",
            "[::2]",
        ];
        for host in foreign {
            assert!(!network.is_for_us(&request(host, &[])), "{host}");
        }
        assert!(!network.is_for_us(&request("localhost", &[("host", "localhost")])), "two of them");
        assert!(!network.is_for_us(&Request::new(())), "none of them");
    }

    #[test]
    fn a12_a_host_that_listens_everywhere_is_known_by_every_address() {
        let network = network("0.0.0.0");
        assert!(network.is_for_us(&request("10.1.2.3:80", &[])));
        assert!(!network.is_for_us(&request("evil.example", &[])));
    }

    #[test]
    fn a12_only_trusted_proxies_say_who_asks() {
        let network = network("127.0.0.1");
        let address = |from: &str, forwarded: &[&str]| {
            let headers = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect::<Vec<_>>();
            network.peer(from.parse().unwrap(), request("x", &headers).headers()).address.to_string()
        };
        assert_eq!(address("198.51.100.1", &["1.1.1.1"]), "198.51.100.1");
        assert_eq!(address("10.1.1.1", &["1.1.1.1, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(address("10.1.1.1", &["1.1.1.1", "2.2.2.2, 192.0.2.7"]), "2.2.2.2");
        assert_eq!(address("::ffff:10.1.1.1", &["2.2.2.2"]), "2.2.2.2");
        assert_eq!(address("10.1.1.1", &["1.1.1.1, nonsense"]), "10.1.1.1");
        assert_eq!(address("10.1.1.1", &[]), "10.1.1.1");
        assert_eq!(address("10.1.1.1", &["1.1.1.1, 10.2.2.2"]), "1.1.1.1");
        let https = [("x-forwarded-proto", "https")];
        assert!(network.peer("10.1.1.1".parse().unwrap(), request("x", &https).headers()).https);
        assert!(!network.peer("1.1.1.1".parse().unwrap(), request("x", &https).headers()).https);
    }

    #[test]
    fn pages_of_other_origins_are_told_apart() {
        let network = network("127.0.0.1");
        let own = |host: &str, origin: &str| network.is_own_page(&request(host, &[("origin", origin)]));
        assert_eq!(own("localhost:8787", "http://localhost:8787"), Some(true));
        assert_eq!(own("weir.example", "https://WEIR.example"), Some(true));
        assert_eq!(own("weir.example:443", "https://weir.example"), Some(true));
        assert_eq!(own("localhost:8787", "https://ui.example"), Some(true));
        for origin in ["null", "", "http://localhost", "http://localhost:8788", "http://localhost:8787.evil", "evil"] {
            assert_eq!(own("localhost:8787", origin), Some(false), "{origin}");
        }
        assert_eq!(network.is_own_page(&request("localhost", &[])), None);
    }

    #[test]
    fn a_wrong_proxy_is_named() {
        let config = Config { trusted_proxies: vec!["10.0.0.0/33".into()], ..Config::default() };
        assert!(Network::new(&config, config.listen).unwrap_err().contains("10.0.0.0/33"));
    }

    #[test]
    fn a13_an_ipv6_subscriber_counts_once() {
        let peer = |address: &str| Peer { address: address.parse().unwrap(), https: false }.counted_as();
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }
}
