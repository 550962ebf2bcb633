//! Another side to talk to: a listener on this machine that remembers what it was asked.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use weir_host::egress::EgressConfig;

/// What a peer answers.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// These bytes, and the end.
    Once(Vec<u8>),
    /// The first bytes, and then the second ones again and again for as long as anybody listens.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes piece by piece, and the end.
    Pieces(Vec<Vec<u8>>),
    /// These bytes, and then nothing for as long as anybody listens.
    Silent(Vec<u8>),
}

/// A listener that answers every request by a rule.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    asked: Arc<watch::Sender<Vec<String>>>,
    /// How many connections have ended.
    ended: watch::Receiver<usize>,
}

impl Peer {
    /// Listens on a free port; `rule` makes an answer of a request.
    pub(crate) async fn answering(rule: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, ended) = watch::channel(0);
        let peer = Self { address, asked: Arc::default(), ended };
        let (asked, rule, count) = (Arc::clone(&peer.asked), Arc::new(rule), Arc::new(count));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, rule, count) = (Arc::clone(&asked), Arc::clone(&rule), Arc::clone(&count));
                tokio::spawn(async move {
                    serve(stream, &asked, &*rule).await;
                    count.send_modify(|ended| *ended += 1);
                });
            }
        });
        peer
    }

    /// Answers everything with these bytes.
    pub(crate) async fn saying(answer: &str) -> Self {
        let answer = answer.as_bytes().to_vec();
        Self::answering(move |_| Said::Once(answer.clone())).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A configuration that allows this peer and nothing else.
    pub(crate) fn allowed(&self) -> EgressConfig {
        EgressConfig { allow: vec![self.address.to_string().parse().unwrap()], ..EgressConfig::default() }
    }

    /// The requests, head and body, in their order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// Waits until there have been so many requests.
    pub(crate) async fn asked_times(&self, requests: usize) {
        self.asked.subscribe().wait_for(|asked| asked.len() >= requests).await.unwrap();
    }

    /// Waits until so many connections have ended.
    pub(crate) async fn ended(&mut self, connections: usize) {
        self.ended.wait_for(|ended| *ended >= connections).await.unwrap();
    }
}

/// One request and its answer.
async fn serve(mut stream: TcpStream, asked: &watch::Sender<Vec<String>>, rule: &(dyn Fn(&str) -> Said + Sync)) {
    exchange(&mut stream, asked, rule).await.ok();
}

/// One request and its answer over any stream. Broken connections are for the other side to notice.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    asked: &watch::Sender<Vec<String>>,
    rule: &(dyn Fn(&str) -> Said + Sync),
) -> std::io::Result<()> {
    let request = request(stream).await?;
    asked.send_modify(|asked| asked.push(request.clone()));
    match rule(&request) {
        Said::Once(answer) => {
            stream.write_all(&answer).await?;
            stream.shutdown().await
        }
        Said::Pieces(pieces) => {
            for piece in pieces {
                stream.write_all(&piece).await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
            stream.shutdown().await
        }
        Said::Endless(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
            }
        }
        Said::Silent(answer) => {
            stream.write_all(&answer).await?;
            stream.read_to_end(&mut Vec::new()).await.map(drop)
        }
    }
}

/// One request, head and body; nothing where the connection ends.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !is_whole(&bytes) {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A head and as much body as it announces; or the first words of TLS, which nobody here understands.
fn is_whole(bytes: &[u8]) -> bool {
    if bytes.first() == Some(&0x16) {
        return true;
    }
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
