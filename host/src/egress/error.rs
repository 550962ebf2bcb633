//! Why something was not sent, or got no answer. No message holds a path, a query or a header: they may be secrets.

use std::{error::Error, io, time::Duration};

use super::{HostPort, HostPortError, Kind};

/// Why nothing was sent, or no answer came.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The URL is not one that is ever followed.
    #[error("could not use the URL: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// The host is neither a name nor an address.
    #[error(transparent)]
    Host(#[from] HostPortError),
    /// The target, or one of the addresses of its name, is not public, and no operator allowed it.
    #[error("refused to connect to {target}: it leads to {}; {}", kind.text(), advice(target, *kind))]
    Refused {
        /// Where it should have gone.
        target: HostPort,
        /// What kind of address it leads to.
        kind: Kind,
    },
    /// The caller's own policy does not name the host.
    #[error("refused to connect to {target}: the caller was not granted this host; grant it, or call another")]
    NotGranted {
        /// Where it should have gone.
        target: HostPort,
    },
    /// The caller's own policy does not name the method, or nobody may send it.
    #[error("refused to send {method} to {target}: the caller may not use this method")]
    Method {
        /// The method.
        method: String,
        /// Where it should have gone.
        target: HostPort,
    },
    /// A header that says how the message is carried, which only the host decides.
    #[error("refused to send the header {name} to {target}: the host sets it; leave it out")]
    Header {
        /// The header.
        name: String,
        /// Where it should have gone.
        target: HostPort,
    },
    /// The caller has used up its requests.
    #[error("refused to send a request to {target}: the caller has sent its {max} requests")]
    Requests {
        /// Where it should have gone.
        target: HostPort,
        /// How many it may send.
        max: u32,
    },
    /// Something is larger than it may be.
    #[error("broke off with {target}: {what} may have {max} bytes at most")]
    TooLarge {
        /// With whom.
        target: HostPort,
        /// What is too large.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// There are more redirects than the caller follows, or one leads from https to http.
    #[error("broke off with {target}: {reason}")]
    Redirect {
        /// Who redirected.
        target: HostPort,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name could not be resolved.
    #[error("could not resolve {target}")]
    Resolve {
        /// Where it should have gone.
        target: HostPort,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("could not connect to {target}")]
    Connect {
        /// Where it should have gone.
        target: HostPort,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no trustworthy connection.
    #[error("could not agree with {target} on TLS")]
    Tls {
        /// With whom.
        target: HostPort,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("gave up on {target} after {} ms", after.as_millis())]
    Timeout {
        /// Who was too slow.
        target: HostPort,
        /// How long it was given.
        after: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("could not get an answer from {target}")]
    Exchange {
        /// From whom.
        target: HostPort,
        /// Why.
        #[source]
        source: hyper::Error,
    },
}

fn advice(target: &HostPort, kind: Kind) -> String {
    if target.name().is_some() && !kind.may_be_allowed_by_name() {
        return "such an address is allowed only as an address, address:port, under egress.allow in the configuration"
            .to_owned();
    }
    format!("an operator can add \"{target}\" to egress.allow in the configuration")
}

impl EgressError {
    /// What happened in the end, without what it happened to.
    #[must_use]
    pub fn cause(&self) -> String {
        let mut cause: &dyn Error = self;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause.to_string()
    }

    /// Whether the same again may go well later: the other side or the network failed, and no rule of ours.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Exchange { .. } => true,
            Self::Url { .. }
            | Self::Host(_)
            | Self::Refused { .. }
            | Self::NotGranted { .. }
            | Self::Method { .. }
            | Self::Header { .. }
            | Self::Requests { .. }
            | Self::TooLarge { .. }
            | Self::Redirect { .. } => false,
        }
    }

    /// Whether a rule of ours stood in the way before anything was sent.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::Host(_)
            | Self::Refused { .. }
            | Self::NotGranted { .. }
            | Self::Method { .. }
            | Self::Header { .. }
            | Self::Requests { .. } => true,
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Exchange { .. }
            | Self::TooLarge { .. }
            | Self::Redirect { .. } => false,
        }
    }
}
