//! The one way out: everything that the host sends to anybody passes here, and is denied unless it is harmless or an
//! operator allowed it.
//!
//! A connection goes to an address that was checked, not to a name: [`Egress::dial`] resolves, looks at **every** address
//! that the name has, and refuses if one of them is not public, since an honest name has no mixture. It then dials
//! exactly what it looked at, so that a name cannot change its mind in between. An operator's leave is for a host *as it
//! is written* and a port: who allows `10.0.0.5:8080` has not allowed a name that leads there.
//!
//! No environment variable names a proxy, nothing is unpacked, and no redirect is followed unless the caller's
//! [`Policy`] says so; each one is checked like the first request.

mod address;
mod client;
mod error;
mod host_port;
mod http;
mod policy;
mod redirect;
mod resolve;
mod tls;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

pub use self::{
    address::{Kind, kind},
    client::{ClientFailure, HttpClient},
    error::EgressError,
    host_port::{HostPort, HostPortError},
    http::{Answer, Request, Response, check_url},
    policy::{Caller, Grant, HostPattern, Hosts, Policy},
    resolve::{Resolve, SystemResolver},
    tls::Roots,
};
pub use hyper::{HeaderMap, Method, StatusCode, header};
pub use tokio_rustls::client::TlsStream;

/// How long the resolution of a name and a connection may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one of several addresses is tried before the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(4);
/// The most addresses of a name that are tried.
const ADDRESSES_TRIED_MAX: usize = 4;
/// The most requests under way in the whole host, unless an operator says otherwise.
const UNDER_WAY_MAX: u16 = 256;

/// What an operator allows beyond public addresses, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Hosts and ports that may be reached though they are not public: `10.0.0.5:8080`, `smtp.internal:25`,
    /// `localhost:11434`, `[fd00::1]:443`. An address is allowed as an address, a name as a name.
    pub allow: Vec<HostPort>,
    /// The most requests under way in the whole host; others wait within their own time. 256 by default.
    pub requests_max: u16,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self { allow: Vec::new(), requests_max: UNDER_WAY_MAX }
    }
}

/// The guard. Clones are the same guard.
#[derive(Debug, Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    allow: Vec<HostPort>,
    resolver: Box<dyn Resolve>,
    tls: tls::Tls,
    under_way: Arc<Semaphore>,
}

impl Egress {
    /// A guard that asks the machine's resolver and trusts the machine's certificates.
    #[must_use]
    pub fn new(config: EgressConfig) -> Self {
        Self::with(config, Box::new(SystemResolver), Roots::Machine)
    }

    /// A guard with a resolver and trust of its own.
    #[must_use]
    pub fn with(config: EgressConfig, resolver: Box<dyn Resolve>, roots: Roots) -> Self {
        let under_way = Arc::new(Semaphore::new(config.requests_max.max(1).into()));
        Self { inner: Arc::new(Inner { allow: config.allow, resolver, tls: tls::Tls::new(roots), under_way }) }
    }

    /// Connects to a host's port, if it is public or allowed.
    ///
    /// # Errors
    /// The host is refused, does not exist, or does not answer within 10 s.
    pub async fn dial(&self, target: &HostPort) -> Result<TcpStream, EgressError> {
        let late = |_| EgressError::Timeout { target: target.clone(), after: CONNECT_TIMEOUT };
        let dialled = async {
            let addresses = self.checked(target).await?;
            connect(target, &addresses).await
        };
        timeout(CONNECT_TIMEOUT, dialled).await.map_err(late)?
    }

    /// Agrees on TLS over a connection, as a client that wants to talk with the target.
    ///
    /// # Errors
    /// The other side shows no certificate for the target that is trusted, speaks no TLS, or takes more than 10 s.
    pub async fn encrypt(&self, stream: TcpStream, target: &HostPort) -> Result<TlsStream<TcpStream>, EgressError> {
        let late = |_| EgressError::Timeout { target: target.clone(), after: CONNECT_TIMEOUT };
        timeout(CONNECT_TIMEOUT, self.inner.tls.connect(stream, target)).await.map_err(late)?
    }

    /// The addresses that the target has, each one checked. These, and no others, may be dialled.
    ///
    /// # Errors
    /// The target is refused, or does not exist.
    pub async fn checked(&self, target: &HostPort) -> Result<Vec<SocketAddr>, EgressError> {
        let found = match target.address() {
            Some(address) => vec![address],
            None => self.resolved(target).await?,
        };
        for address in &found {
            self.check(target, *address)?;
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address.to_canonical(), target.port())).collect())
    }

    async fn resolved(&self, target: &HostPort) -> Result<Vec<IpAddr>, EgressError> {
        let failed = |source| EgressError::Resolve { target: target.clone(), source };
        let found = self.inner.resolver.addresses(&target.host()).await.map_err(failed)?;
        if found.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
        }
        Ok(found)
    }

    fn check(&self, target: &HostPort, address: IpAddr) -> Result<(), EgressError> {
        let kind = kind(address);
        let is_named = target.address().is_none();
        let covers = !is_named || kind.may_be_allowed_by_name();
        if kind == Kind::Public || covers && self.inner.allow.contains(target) {
            return Ok(());
        }
        Err(EgressError::Refused { target: target.clone(), kind })
    }
}

/// Tries the addresses in turn.
async fn connect(target: &HostPort, addresses: &[SocketAddr]) -> Result<TcpStream, EgressError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no address");
    for address in addresses.iter().take(ADDRESSES_TRIED_MAX) {
        match timeout(ADDRESS_TIMEOUT, TcpStream::connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "it did not answer"),
        }
    }
    Err(EgressError::Connect { target: target.clone(), source: last })
}
