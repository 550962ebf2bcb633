//! A minimal keep-alive HTTP/1.1 client: the load generator shares two cores with the server, so every microsecond that
//! it spends is missing there. It knows only what the server under test sends: a status and a `content-length`.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One connection; requests go one after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What the server answered; the body lies in the connection's buffer.
pub(crate) struct Answer<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The whole body.
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Whether the body holds `text`.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let Some(&first) = text.as_bytes().first() else { return true };
        // Most windows differ in their first byte: this runs for every answer of a load.
        self.body.windows(text.len()).any(|window| window[0] == first && window == text.as_bytes())
    }

    /// The beginning of the answer, for messages.
    pub(crate) fn excerpt(&self) -> String {
        let start = &self.body[..self.body.len().min(600)];
        format!("status {}: {}", self.status, String::from_utf8_lossy(start))
    }
}

impl Connection {
    /// Connects without Nagle's delay.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("switching Nagle's delay off")?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends one whole request (see [`encode`]) and reads its answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await.context("sending a request")?;
        let head = self.read_head().await?;
        ensure!(head.body_bytes <= ANSWER_BYTES_MAX, "an answer of {} bytes is too long", head.body_bytes);
        let whole = head.bytes + head.body_bytes;
        while self.buffer.len() < whole {
            self.read_more().await?;
        }
        ensure!(self.buffer.len() == whole, "the server sent more than its content-length says");
        Ok(Answer { status: head.status, body: &self.buffer[head.bytes..whole] })
    }

    async fn read_head(&mut self) -> Result<Head> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return Head::parse(&self.buffer[..end]);
            }
            ensure!(self.buffer.len() < 64 << 10, "the head of an answer does not end");
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<()> {
        let n = self.stream.read_buf(&mut self.buffer).await.context("reading an answer")?;
        if n == 0 {
            bail!("the server closed the connection in the middle of an answer");
        }
        Ok(())
    }
}

struct Head {
    status: u16,
    /// With the empty line.
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// Reads a head without its final empty line.
    fn parse(head: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(head).context("reading the head of an answer")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("finding the status of an answer")?;
        let mut body_bytes = 0;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                body_bytes = value.trim().parse().context("reading a content-length")?;
            }
            ensure!(!name.eq_ignore_ascii_case("transfer-encoding"), "this client does not read chunked answers");
        }
        Ok(Self { status: status.parse().context("reading a status")?, bytes: head.len() + 4, body_bytes })
    }
}

/// The bytes of one request.
pub(crate) fn encode(method: &str, path: &str, token: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// The requests around a measurement: installing, asking, waiting.
#[derive(Clone)]
pub(crate) struct Api {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// The administrator's token.
    pub(crate) token: String,
}

impl Api {
    /// Bytes of a JSON request to this server.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        encode(method, path, &self.token, "application/json", body.as_bytes())
    }

    /// Gets a document.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.json(&self.request("GET", path, ""), path).await
    }

    /// Posts a document, and reads the one that answers it.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.json(&self.request("POST", path, &body.to_string()), path).await
    }

    /// Uploads a component, and grants it all that it asks for.
    pub(crate) async fn upload(&self, component: &[u8]) -> Result<Value> {
        let path = "/api/plugins?grant=all";
        self.json(&encode("POST", path, &self.token, "application/wasm", component), path).await
    }

    /// Whether the server says that it is ready.
    pub(crate) async fn ready(&self) -> bool {
        let request = self.request("GET", "/readyz", "");
        let Ok(mut connection) = Connection::open(self.address).await else { return false };
        connection.send(&request).await.is_ok_and(|answer| answer.status == 200)
    }

    async fn json(&self, request: &[u8], path: &str) -> Result<Value> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.send(request).await.with_context(|| format!("asking {path}"))?;
        ensure!((200..300).contains(&answer.status), "{path} answered {}", answer.excerpt());
        serde_json::from_slice(answer.body).with_context(|| format!("reading the answer of {path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_the_case_of_its_names() {
        let head = Head::parse(b"HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\nX-A: b").unwrap();
        assert_eq!((head.status, head.body_bytes), (202, 12));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked").is_err());
        assert!(Head::parse(b"nonsense").is_err());
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let text = String::from_utf8(encode("POST", "/x", "t", "application/json", b"{}")).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\n") && text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
    }
}
