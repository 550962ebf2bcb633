//! Takes connections and speaks HTTP/1.1 on them, within limits of number and time.
//!
//! An own loop, because the framework's installs no timer, and without one hyper's header timeout does nothing: a client
//! that sends a byte a minute would hold its connection for ever.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::shutdown::Shutdown;

/// The most connections at a time; more wait in the kernel's queue.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take for a request's head, and how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most header lines of a request.
const HEADERS_MAX: usize = 64;
/// How long requests may go on once the host stops.
const GRACE: Duration = Duration::from_secs(5);
/// Wait after a failed accept (out of file handles, mostly) before the next one.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Answers requests; cloned for each connection.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves `listener` until the stop begins; then lets the requests under way end, for [`GRACE`] at most.
pub(crate) async fn serve<H: Handler>(listener: TcpListener, handler: H, shutdown: Shutdown) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let protocol = protocol();
    loop {
        let next = async { (Arc::clone(&slots).acquire_owned().await, listener.accept().await) };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            () = shutdown.begun() => break,
        };
        let Ok(slot) = slot else { break };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, handler.clone(), protocol.clone(), graceful.watcher(), slot));
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time, and are cut off");
    }
}

fn protocol() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .pipeline_flush(true)
        .keep_alive(true);
    builder
}

/// A client that went away between connect and accept is no trouble of ours; anything else is worth a breath.
async fn pause(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!("could not accept a connection: {error}");
        tokio::time::sleep(ACCEPT_RETRY).await;
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    handler: H,
    protocol: http1::Builder,
    watcher: Watcher,
    slot: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("could not set TCP_NODELAY: {error}");
    }
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.handle(request).await) }
    });
    let connection = protocol.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("a connection ended early: {error}");
    }
    drop(slot);
}
