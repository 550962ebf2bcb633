//! The client that keeps connections: it knows one target, and the guard looks at every connection.

use weir_host::egress::{Answer, ClientFailure, EgressConfig, EgressError, HostPort, HttpClient};

use super::{egress, get};
use crate::peer::{Peer, Said};

async fn ask(client: &HttpClient, url: &str) -> Result<Answer, ClientFailure> {
    client.send(get(url), 1024).await
}

#[tokio::test]
async fn h24_a_name_that_changes_its_mind_between_connections_is_refused() {
    let peer = Peer::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let port = peer.address.port();
    let target: HostPort = format!("models.example:{port}").parse().unwrap();
    let config = EgressConfig { allow: vec![target.clone()], ..EgressConfig::default() };
    let leads: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"], &["93.184.216.34", "169.254.169.254"]];
    let guard = egress(config, &[("models.example", leads), ("other.example", leads)]);
    let client = guard.client(&target, 4);
    let url = format!("http://models.example:{port}/");
    assert_eq!(ask(&client, &url).await.unwrap().status.as_u16(), 200);
    for lead in ["inside", "inside, among what is public"] {
        let failure = ask(&client, &url).await.unwrap_err();
        assert!(failure.is_refusal && failure.is_unsent, "{lead}: {failure:?}");
        assert!(failure.reason.contains("refused to connect"), "{failure:?}");
    }
    let other = ask(&client, &format!("http://other.example:{port}/")).await.unwrap_err();
    assert!(other.is_refusal, "it knows one target");
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
    let client = guard.client(&target, 4);
    for _ in 0..3 {
        let answer = ask(&client, &format!("http://{address}/")).await.unwrap();
        assert_eq!(&*answer.read().await.unwrap().body, b"ok");
    }
    drop(client);
    assert_eq!(serving.await.unwrap(), 3, "over one connection");
}

#[tokio::test]
async fn h24_an_answer_has_as_many_bytes_as_the_caller_says() {
    let peer = Peer::answering(|_| Said::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 4096])).await;
    let target: HostPort = peer.address.to_string().parse().unwrap();
    let client = egress(peer.allowed(), &[]).client(&target, 4);
    let answer = ask(&client, &peer.url("/")).await.unwrap();
    assert!(matches!(answer.read().await, Err(EgressError::TooLarge { max: 1024, .. })));
}
