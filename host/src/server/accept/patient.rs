//! A connection whose writes do not wait for ever for a client that does not read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// Whoever takes fewer bytes than this while patience lasts is stuck, even if some bytes go.
const PROGRESS_BYTES: usize = 16 * 1024;

/// A stream that gives up a client once a write has been stuck for as long as its patience lasts.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    stuck: Option<Stuck>,
}

struct Stuck {
    until: Pin<Box<Sleep>>,
    written: usize,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stuck: None }
    }

    /// What a write came to, of `wanted` bytes: an error once it has been stuck for too long.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
        wanted: usize,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(written)) => {
                if let Some(stuck) = &mut self.stuck {
                    stuck.written += written;
                    if written == wanted || stuck.written >= PROGRESS_BYTES {
                        self.stuck = None;
                    }
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = self.patience;
                let until = || Box::pin(tokio::time::sleep_until(Instant::now() + patience));
                let stuck = self.stuck.get_or_insert_with(|| Stuck { until: until(), written: 0 });
                ready!(stuck.until.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, result, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        let wanted = parts.iter().map(|part| part.len()).sum();
        self.judge(context, result, wanted)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a4_a_client_that_does_not_read_is_given_up() {
        let (near, _far) = tokio::io::duplex(1024);
        let began = Instant::now();
        let error = Patient::new(near, PATIENCE).write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn a4_a_client_that_reads_a_byte_now_and_then_is_given_up() {
        let (near, mut far) = tokio::io::duplex(1024);
        let reading = tokio::spawn(async move {
            let mut turns = tokio::time::interval(PATIENCE / 30);
            while far.read_u8().await.is_ok() {
                turns.tick().await;
            }
        });
        let error = Patient::new(near, PATIENCE).write_all(&vec![0; 1024 * 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        reading.abort();
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_gets_all() {
        let (near, mut far) = tokio::io::duplex(16 * 1024);
        let reading = tokio::spawn(async move {
            let (mut turns, mut read) = (tokio::time::interval(PATIENCE / 6), 0);
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = far.read(&mut buffer).await {
                read += count;
                turns.tick().await;
            }
            read
        });
        let mut near = Patient::new(near, PATIENCE);
        near.write_all(&vec![0; 512 * 1024]).await.unwrap();
        drop(near);
        assert_eq!(reading.await.unwrap(), 512 * 1024);
    }
}
