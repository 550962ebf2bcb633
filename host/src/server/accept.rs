//! Takes connections and speaks HTTP/1.1 on them, within limits of number and time.
//!
//! An own loop, because the framework's installs no timer, and without one hyper's header timeout does nothing: a client
//! that sends a byte a minute would hold its connection for ever.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody as _},
    http::{Request, Response},
};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::net::{TcpListener, TcpStream};

use self::{
    patient::Patient,
    places::{Busy, NoPlace, Place, Places},
};
use super::{network::Network, shutdown::Shutdown};

mod patient;
mod places;

/// The most connections at a time; more wait in the kernel's queue.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take for a request's head, and how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
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
    /// Answers one request of a connection from this address.
    fn handle(&self, request: Request<Incoming>, from: SocketAddr) -> impl Future<Output = Response<Body>> + Send;
}

/// How many connections there may be, beside [`CONNECTIONS_MAX`].
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// From one address.
    pub(crate) per_address: usize,
    /// Knows the proxies, which are not counted.
    pub(crate) network: Network,
}

/// Serves `listener` until the stop begins; then lets the requests under way end, for [`GRACE`] at most.
pub(crate) async fn serve<H: Handler>(listener: TcpListener, handler: H, limits: Limits, shutdown: Shutdown) {
    let places = Places::new(CONNECTIONS_MAX, limits.per_address);
    let graceful = GracefulShutdown::new();
    let protocol = protocol();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.begun() => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        let place = tokio::select! {
            place = place(&places, &limits.network, from.ip()) => place,
            () = shutdown.begun() => break,
        };
        // Where the address has too many, its newest connection is closed unanswered.
        if let Some(place) = place {
            let (handler, protocol, watcher) = (handler.clone(), protocol.clone(), graceful.watcher());
            tokio::spawn(connection((stream, from), handler, protocol, watcher, place));
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time, and are cut off");
    }
}

/// A place for a connection from this address, once there is one; `None` where the address has all of its own.
async fn place(places: &Places, network: &Network, address: IpAddr) -> Option<Place> {
    let counted = (!network.is_proxy(address)).then(|| address.to_canonical());
    loop {
        match places.enter(counted) {
            Ok(place) => return Some(place),
            Err(NoPlace::Address) => return None,
            Err(NoPlace::All) => places.freed().await,
        }
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
    (stream, from): (TcpStream, SocketAddr),
    handler: H,
    protocol: http1::Builder,
    watcher: Watcher,
    place: Place,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("could not set TCP_NODELAY: {error}");
    }
    let place = &place;
    let service = service_fn(|request| {
        let (handler, busy) = (handler.clone(), place.busy());
        async move { Ok::<_, Infallible>(kept(handler.handle(request, from).await, busy)) }
    });
    let connection =
        watcher.watch(protocol.serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service));
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!("a connection ended early: {error}");
        },
        () = place.dismissed() => {}
    }
}

/// A response that keeps its connection's place until it has ended. One whose length is known ends soon.
fn kept(response: Response<Body>, busy: Busy) -> Response<Body> {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &busy;
            frame
        }))
    })
}
