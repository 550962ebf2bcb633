//! A client with connections that are kept, for one target that is asked often: a model's API.
//!
//! [`Egress::open`](super::Egress::open) takes a connection of its own for each request, which costs an agent a handshake
//! a turn. This client keeps connections, and is as narrow otherwise: it knows one target, the guard dials each connection,
//! it speaks HTTP/1.1, follows no redirect, asks no proxy, unpacks nothing.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Uri, header::HeaderValue};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tower::Service;
use url::Position;

use super::{
    Answer, Egress, EgressError, HostPort, Request,
    http::{HEADERS_MAX, Limits, check_headers, checked_url, unusable},
};

/// How long a connection that nobody uses is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most bytes of a request's or an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What requests say about who sends them.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("weir/", env!("CARGO_PKG_VERSION")));

/// Sends requests to one target, and to nobody else. Clones share the connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    target: HostPort,
    http: Client<Dialler, Full<Bytes>>,
}

impl Egress {
    /// A client for requests to `target`, and to nobody else. It keeps at most `idle_max` connections that are not used.
    #[must_use]
    pub fn client(&self, target: &HostPort, idle_max: usize) -> HttpClient {
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(idle_max)
            .http1_max_headers(HEADERS_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(Dialler(Arc::new((self.clone(), target.clone()))));
        HttpClient { target: target.clone(), http }
    }
}

impl HttpClient {
    /// Sends a request, and answers once the head of its answer is there. The body may have `bytes_max` bytes. How long it
    /// may take is for the caller to watch: whoever drops this, or the answer, ends the exchange.
    ///
    /// # Errors
    /// The request is for somebody else or cannot be sent, or no answer comes.
    pub async fn send(&self, request: Request, bytes_max: usize) -> Result<Answer, ClientFailure> {
        let refused = |error: EgressError| ClientFailure::of(&error);
        let url = request.url.clone();
        let message = self.message(request).map_err(refused)?;
        let (head, body) = self.http.request(message).await.map_err(|e| ClientFailure::of(&e))?.into_parts();
        let limits = Limits { target: self.target.clone(), bytes_max, head_bytes_max: HEAD_BYTES_MAX, time: None };
        Ok(Answer::kept(head, url, body, limits))
    }

    fn message(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>, EgressError> {
        let url = checked_url(None, &request.url)?;
        if HostPort::of_url(&url).as_ref() != Some(&self.target) {
            return Err(EgressError::NotGranted { target: self.target.clone() });
        }
        check_headers(&request.headers, &self.target, HEAD_BYTES_MAX)?;
        let uri: Uri = url[..Position::AfterQuery].parse().map_err(|_| unusable("its path is not one"))?;
        let mut message = hyper::Request::new(Full::new(request.body));
        *message.method_mut() = request.method;
        *message.uri_mut() = uri;
        *message.headers_mut() = request.headers;
        message.headers_mut().entry(hyper::header::USER_AGENT).or_insert(USER_AGENT);
        Ok(message)
    }
}

/// Makes a connection when none is free: to the one target, whatever it is asked for.
#[derive(Debug, Clone)]
struct Dialler(Arc<(Egress, HostPort)>);

impl Service<Uri> for Dialler {
    type Response = TokioIo<Dialled>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, EgressError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = Arc::clone(&self.0);
        Box::pin(async move {
            let (egress, target) = &*this;
            let stream = egress.dial(target).await?;
            // Small requests should leave at once; a socket that cannot do it is only slower.
            stream.set_nodelay(true).ok();
            let is_tls = uri.scheme_str() == Some("https");
            let stream = if is_tls {
                Dialled::Tls(Box::new(egress.encrypt(stream, target).await?))
            } else {
                Dialled::Plain(stream)
            };
            Ok(TokioIo::new(stream))
        })
    }
}

/// A connection that the guard made.
enum Dialled {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dialled {
    fn reader(self: Pin<&mut Self>) -> Pin<&mut dyn AsyncRead> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::<&mut TcpStream>::new(stream),
            Self::Tls(stream) => Pin::<&mut TlsStream<TcpStream>>::new(stream),
        }
    }

    fn writer(self: Pin<&mut Self>) -> Pin<&mut dyn AsyncWrite> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::<&mut TcpStream>::new(stream),
            Self::Tls(stream) => Pin::<&mut TlsStream<TcpStream>>::new(stream),
        }
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Dialled {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.reader().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// Why a request of a [`HttpClient`] came to nothing, in words without the URL.
#[derive(Debug)]
pub struct ClientFailure {
    /// Whether there was no connection, so that nothing was sent.
    pub is_unsent: bool,
    /// Whether a rule of ours stood in the way.
    pub is_refusal: bool,
    /// What happened.
    pub reason: String,
}

impl ClientFailure {
    /// What an error of the client comes down to.
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error| error.source());
        if let Some(ours) = chain().find_map(|error| error.downcast_ref::<EgressError>()) {
            return Self { is_unsent: true, is_refusal: ours.is_refusal(), reason: described(ours) };
        }
        // The client's own words say that a request failed; the innermost ones say what happened.
        let reason = chain().last().map_or_else(|| "it is not known why".to_owned(), ToString::to_string);
        Self { is_unsent: false, is_refusal: false, reason }
    }
}

fn described(error: &EgressError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
