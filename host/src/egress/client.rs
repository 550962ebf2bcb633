//! A client with connections that are kept, for one target that is asked often: a model's API.
//!
//! [`Egress::open`](super::Egress::open) takes a connection of its own for each request, which costs an agent a handshake
//! a turn. This client keeps connections, and is as narrow otherwise: it knows one target, asks the guard for its
//! addresses, speaks HTTP/1.1, follows no redirect, asks no proxy, unpacks nothing.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

pub use reqwest::Client as HttpClient;
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::{CONNECT_TIMEOUT, Egress, EgressError, HostPort};

/// How long a connection that nobody uses is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

impl Egress {
    /// A client for requests to `target`, and to nobody else. It keeps at most `idle_max` connections that are not used.
    ///
    /// A name is resolved and checked by the guard whenever a connection is made. An address is not resolved, so whoever
    /// sends calls [`Egress::checked`] first.
    ///
    /// # Errors
    /// The machine's certificates cannot be read, or the client cannot be set up.
    pub async fn client(&self, target: &HostPort, idle_max: usize) -> Result<HttpClient, EgressError> {
        let failed = |source| EgressError::Tls { target: target.clone(), source };
        let tls = self.inner.tls.configuration().await.map_err(failed)?;
        let guard = Guard { egress: self.clone(), target: target.clone() };
        HttpClient::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(idle_max)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls.as_ref().clone())
            .dns_resolver(Arc::new(guard))
            .build()
            .map_err(|error| failed(io::Error::other(error)))
    }
}

/// Resolves one name, and answers only what the guard has looked at.
struct Guard {
    egress: Egress,
    target: HostPort,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, target) = (self.egress.clone(), self.target.clone());
        Box::pin(async move {
            if !target.name().is_some_and(|own| own.eq_ignore_ascii_case(name.as_str().trim_end_matches('.'))) {
                return Err(EgressError::NotGranted { target }.into());
            }
            let addresses: Vec<SocketAddr> = egress.checked(&target).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Why a request of a [`HttpClient`] came to nothing, in words without the URL.
#[derive(Debug)]
pub struct ClientFailure {
    /// Whether there was no connection, so that nothing was sent.
    pub is_unsent: bool,
    /// Whether a rule of ours stood in the way.
    pub is_refusal: bool,
    /// What happened.
    pub reason: String,
}

impl ClientFailure {
    /// What an error of the client, or of whoever uses it, comes down to.
    #[must_use]
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error| error.source());
        if let Some(ours) = chain().find_map(|error| error.downcast_ref::<EgressError>()) {
            let is_unsent = true;
            return Self { is_unsent, is_refusal: ours.is_refusal(), reason: described(ours) };
        }
        let is_unsent =
            chain().filter_map(|error| error.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_connect);
        // The client's own words hold the URL; the innermost ones say what happened.
        let reason = chain().last().map_or_else(|| "it is not known why".to_owned(), ToString::to_string);
        Self { is_unsent, is_refusal: false, reason }
    }
}

fn described(error: &EgressError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
