//! The client that keeps connections: it knows one target, and the guard looks at every connection.

use weir_host::egress::{ClientFailure, EgressConfig, HostPort};

use super::egress;
use crate::peer::Peer;

#[tokio::test]
async fn h24_a_name_that_changes_its_mind_between_connections_is_refused() {
    let peer = Peer::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let port = peer.address.port();
    let target: HostPort = format!("models.example:{port}").parse().unwrap();
    let config = EgressConfig { allow: vec![target.clone()], ..EgressConfig::default() };
    let leads: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"], &["93.184.216.34", "169.254.169.254"]];
    let guard = egress(config, &[("models.example", leads), ("other.example", leads)]);
    let client = guard.client(&target, 4).await.unwrap();
    let url = format!("http://models.example:{port}/");
    assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
    for lead in ["inside", "inside, among what is public"] {
        let failure = ClientFailure::of(&client.get(&url).send().await.unwrap_err());
        assert!(failure.is_refusal && failure.is_unsent, "{lead}: {failure:?}");
        assert!(failure.reason.contains("refused to connect"), "{failure:?}");
    }
    let other = client.get(format!("http://other.example:{port}/")).send().await.unwrap_err();
    assert!(ClientFailure::of(&other).is_refusal, "it knows one target");
    assert_eq!(peer.asked().len(), 1);
}

#[tokio::test]
async fn a_connection_is_kept() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = 0;
        let mut bytes = vec![0; 4096];
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
            asked += 1;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    let target: HostPort = address.to_string().parse().unwrap();
    let guard = egress(EgressConfig { allow: vec![target.clone()], ..EgressConfig::default() }, &[]);
    let client = guard.client(&target, 4).await.unwrap();
    for _ in 0..3 {
        let answer = client.get(format!("http://{address}/")).send().await.unwrap();
        assert_eq!(&*answer.bytes().await.unwrap(), b"ok");
    }
    drop(client);
    assert_eq!(serving.await.unwrap(), 3, "over one connection");
}
