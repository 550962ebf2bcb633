//! TLS as a client: one configuration for all that leaves the host.

use std::{io, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{net::TcpStream, sync::OnceCell};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{EgressError, HostPort};

/// Whose certificates are trusted.
#[derive(Debug, Clone)]
pub enum Roots {
    /// Those that the machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
    Machine,
    /// Those below these certificates, in DER, and no others.
    Only(Vec<Vec<u8>>),
}

/// Makes the configuration when it is first needed: reading a machine's certificates takes some milliseconds.
#[derive(Debug)]
pub(super) struct Tls {
    roots: Roots,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, config: OnceCell::new() }
    }

    /// The one configuration of all that leaves the host.
    pub(super) async fn configuration(&self) -> io::Result<&Arc<ClientConfig>> {
        self.config.get_or_try_init(|| load(self.roots.clone())).await
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        target: &HostPort,
    ) -> Result<TlsStream<TcpStream>, EgressError> {
        let failed = |source| EgressError::Tls { target: target.clone(), source };
        let config = self.configuration().await.map_err(failed)?;
        let name = ServerName::try_from(target.host()).map_err(|e| failed(io::Error::other(e)))?;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(failed)
    }
}

async fn load(roots: Roots) -> io::Result<Arc<ClientConfig>> {
    tokio::task::spawn_blocking(move || configuration(store(roots))).await.map_err(io::Error::other)?
}

fn configuration(roots: RootCertStore) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

/// What cannot be read is left out: one broken file of a machine must not cost the trust in the others.
fn store(roots: Roots) -> RootCertStore {
    let certificates = match roots {
        Roots::Only(certificates) => certificates.into_iter().map(Into::into).collect(),
        Roots::Machine => machine_certificates(),
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    store
}

fn machine_certificates() -> Vec<rustls::pki_types::CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("could not read a trusted certificate: {error}");
    }
    if found.certs.is_empty() {
        tracing::warn!(
            "this machine trusts no certificate, so no TLS connection will come about: install its certificates"
        );
    }
    found.certs
}
