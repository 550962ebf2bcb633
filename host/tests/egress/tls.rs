//! Over TLS: only a certificate for the very host, signed by somebody who is trusted.

use std::sync::Arc;

use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;
use weir_host::egress::{Caller, ClientFailure, Egress, EgressConfig, EgressError, Policy, Roots};

use super::{Names, get};
use crate::peer::{self, Said};

/// A certificate for names, signed by itself, and a server that shows it.
pub(crate) fn acceptor(names: &[&str]) -> (TlsAcceptor, Vec<u8>) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let der = made.cert.der().clone();
    let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = versions.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![der.clone()], key.into()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), der.to_vec())
}

/// Serves over TLS and returns its port.
async fn serve(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let rule = |_: &str| Said::Once(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec());
            peer::exchange(&mut stream, &watch::Sender::default(), &rule).await.ok();
        }
    });
    port
}

fn guard(name: &str, port: u16, roots: Vec<Vec<u8>>) -> Egress {
    let config = EgressConfig { allow: vec![format!("{name}:{port}").parse().unwrap()], ..EgressConfig::default() };
    let names = Names::new(&[("a.test", &[&["127.0.0.1"]]), ("b.test", &[&["127.0.0.1"]])]);
    Egress::with(config, names, Roots::Only(roots))
}

async fn ask(name: &str, port: u16, roots: Vec<Vec<u8>>) -> Result<u16, EgressError> {
    let caller = Caller::new(Policy::any_public());
    let sent = guard(name, port, roots).send(&caller, get(&format!("https://{name}:{port}/"))).await;
    sent.map(|answer| answer.status.as_u16())
}

/// The same by the client that keeps connections.
async fn ask_kept(name: &str, port: u16, roots: Vec<Vec<u8>>) -> Result<u16, ClientFailure> {
    let client = guard(name, port, roots).client(&format!("{name}:{port}").parse().unwrap(), 4);
    client.send(get(&format!("https://{name}:{port}/")), 1024).await.map(|answer| answer.status.as_u16())
}

#[tokio::test]
async fn a_trusted_certificate_for_the_host_is_good_and_nothing_else_is() {
    let (acceptor, root) = acceptor(&["a.test", "127.0.0.1"]);
    let port = serve(acceptor).await;
    assert_eq!(ask("a.test", port, vec![root.clone()]).await.unwrap(), 200);
    assert_eq!(ask("127.0.0.1", port, vec![root.clone()]).await.unwrap(), 200);
    let other_host = ask("b.test", port, vec![root.clone()]).await.unwrap_err();
    assert!(matches!(other_host, EgressError::Tls { .. }), "{other_host}");
    let untrusted = ask("a.test", port, Vec::new()).await.unwrap_err();
    assert!(matches!(untrusted, EgressError::Tls { .. }), "{untrusted}");
    assert_eq!(ask_kept("a.test", port, vec![root.clone()]).await.unwrap(), 200);
    let other_host = ask_kept("b.test", port, vec![root]).await.unwrap_err();
    assert!(other_host.is_unsent && other_host.reason.contains("TLS"), "{other_host:?}");
    let (_, other_root) = self::acceptor(&["a.test"]);
    assert!(ask("a.test", port, vec![other_root]).await.is_err());
}

#[tokio::test]
async fn a_server_without_encryption_gets_nothing() {
    let peer = peer::Peer::saying("HTTP/1.1 200 OK\r\n\r\n").await;
    let error = ask("127.0.0.1", peer.address.port(), Vec::new()).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. } | EgressError::Timeout { .. }), "{error}");
    assert!(!peer.asked().iter().any(|asked| asked.contains("GET /")));
}

#[tokio::test]
async fn the_certificates_of_this_machine_can_be_read() {
    // Whether there are any is up to the machine; nobody of this test is among them.
    let (acceptor, _) = acceptor(&["127.0.0.1"]);
    let port = serve(acceptor).await;
    let guard = Egress::new(EgressConfig {
        allow: vec![format!("127.0.0.1:{port}").parse().unwrap()],
        ..EgressConfig::default()
    });
    let error = guard.send(&Caller::new(Policy::any_public()), get(&format!("https://127.0.0.1:{port}/"))).await;
    assert!(matches!(error, Err(EgressError::Tls { .. })));
}
