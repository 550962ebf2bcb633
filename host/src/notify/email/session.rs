//! A connection to a mail server with an end to what the server may say.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that a server may say in a whole conversation.
const BYTES_MAX: usize = 256 * 1024;
/// What stands for the greeting that came before the encryption.
const GREETING: &[u8] = b"220 encrypted\r\n";

/// A connection that ends when the server talks too much.
#[derive(Debug)]
pub(super) struct Session<S> {
    stream: S,
    peer: SocketAddr,
    /// What is read before the first byte of the stream.
    before: &'static [u8],
    left: usize,
}

impl<S> Session<S> {
    /// A connection on which the server is going to greet.
    pub(super) fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, before: &[], left: BYTES_MAX }
    }

    /// A connection on which the server has greeted before it was encrypted: the greeting is read once more, since a
    /// conversation begins with one.
    pub(super) fn greeted(stream: S, peer: SocketAddr) -> Self {
        Self { before: GREETING, ..Self::new(stream, peer) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Session<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let (now, later) = self.before.split_at(self.before.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.before = later;
            return Poll::Ready(Ok(()));
        }
        let filled = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(left) = self.left.checked_sub(buffer.filled().len().saturating_sub(filled)) else {
            return Poll::Ready(Err(io::Error::other("the mail server says too much")));
        };
        self.left = left;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Session<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> AsyncTokioStream for Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
