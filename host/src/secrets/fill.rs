//! Puts secrets into the headers of a request that leaves the host.

use url::Url;
use weir_engine::failure::{Failure, FailureCode};

use super::{Opened, Secrets};
use crate::egress::{
    HeaderMap, HostPattern, HostPort, check_url,
    header::{HeaderName, HeaderValue},
};

/// What a plugin writes before a secret's name, and after it.
const OPENS: &str = "{{secret:";
const CLOSES: &str = "}}";

impl Secrets {
    /// The headers of a request to `url`, with the secrets that their values name as `{{secret:NAME}}`. Only values are
    /// looked at: neither names, nor the URL, nor the body. A header with a secret is marked as sensitive, and a redirect
    /// to another origin leaves it out.
    ///
    /// # Errors
    /// [`FailureCode::Denied`] where a secret is not granted, does not exist, or is not bound to where the request goes;
    /// [`FailureCode::InvalidInput`] where the URL or a header is none.
    pub fn fill(
        &self,
        granted: impl Fn(&str) -> bool,
        url: &str,
        headers: &[(String, String)],
    ) -> Result<HeaderMap, Failure> {
        let to = Destination::of(url)?;
        let mut filled = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let wrong = |_| invalid(format!("could not send the header {name:?}: it is not one"));
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(wrong)?;
            filled.append(header, self.value(&granted, &to, name, value)?);
        }
        Ok(filled)
    }

    fn value(
        &self,
        granted: &impl Fn(&str) -> bool,
        to: &Destination,
        header: &str,
        value: &str,
    ) -> Result<HeaderValue, Failure> {
        let wrong = || invalid(format!("could not send the header {header:?}: its value is not one"));
        let (mut text, mut rest) = (zeroize::Zeroizing::new(String::new()), value);
        while let Some((before, behind)) = rest.split_once(OPENS) {
            let open = || invalid(format!("could not read the header {header:?}: a secret is {OPENS}NAME{CLOSES}"));
            let (name, after) = behind.split_once(CLOSES).filter(|(name, _)| super::is_name(name)).ok_or_else(open)?;
            text.push_str(before);
            text.push_str(self.sendable(granted, to, name)?.value.reveal());
            rest = after;
        }
        text.push_str(rest);
        let mut filled = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| wrong())?;
        filled.set_sensitive(rest.len() < value.len());
        Ok(filled)
    }

    /// A secret, if it may be sent there.
    fn sendable(
        &self,
        granted: &impl Fn(&str) -> bool,
        to: &Destination,
        name: &str,
    ) -> Result<std::sync::Arc<Opened>, Failure> {
        if !granted(name) {
            return Err(denied(format!(
                "secret {name:?} was not granted to this plugin; an administrator grants what its descriptor asks for"
            )));
        }
        let secret = self.opened().get(name).cloned();
        let secret = secret.ok_or_else(|| denied(format!("there is no secret {name:?}; an administrator sets it")))?;
        if secret.hosts.iter().any(|pattern| to.is_meant_by(pattern)) {
            return Ok(secret);
        }
        let advice = if to.encrypted { "bind it to this host" } else { "use https, or bind it to this host and port" };
        Err(denied(format!("secret {name:?} may not be sent to {}; {advice}, if that is meant", to.target)))
    }
}

/// Where a request goes.
struct Destination {
    target: HostPort,
    encrypted: bool,
}

impl Destination {
    fn of(url: &str) -> Result<Self, Failure> {
        check_url(url).map_err(|error| invalid(error.to_string()))?;
        // Read by the same rules as when it is sent.
        let url = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        let target =
            HostPort::of_url(&url).ok_or_else(|| invalid("could not use the URL: it names no host".to_owned()))?;
        Ok(Self { target, encrypted: url.scheme() == "https" })
    }

    /// Whether a secret that is bound so may be sent here. What goes unencrypted can be read on its way: it takes a
    /// binding that names the port.
    fn is_meant_by(&self, pattern: &HostPattern) -> bool {
        pattern.matches(&self.target) && (self.encrypted || pattern.names_port() && self.target.port() != 443)
    }
}

fn denied(message: String) -> Failure {
    Failure::new(FailureCode::Denied, message)
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureCode::InvalidInput, message)
}
