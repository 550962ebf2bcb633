//! Requests over HTTP/1.1: one connection each, every size and time bounded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    body::{Body as _, Incoming},
    client::conn::http1,
    header::{self, HeaderName, HeaderValue},
    http::response,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use url::{Position, Url};

use super::{Caller, Egress, EgressError, HostPort, redirect::Hop};

/// The most bytes of a URL.
const URL_BYTES_MAX: usize = 8 * 1024;
/// The most headers of a request or an answer.
pub(super) const HEADERS_MAX: usize = 100;
/// The smallest buffer for an answer's head that hyper takes.
const HEAD_BUFFER_MIN: usize = 8 * 1024;
/// What says how a message is carried and to whom: only the host decides it.
const OURS: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// An absolute URL, http or https, without a user.
    pub url: String,
    /// Headers, without those that say how the message is carried (`Host`, `Connection`, `Content-Length`, …).
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Where it came from, after redirects.
    pub url: String,
    /// The body as it came: nothing is unpacked.
    pub body: Bytes,
}

/// An answer whose body is still to be read, within the caller's limits. Dropping it closes the connection.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Where it came from, after redirects.
    pub url: String,
    body: Incoming,
    received: usize,
    limits: Limits,
    /// A connection of its own lives as long as the answer.
    _connection: JoinSet<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// What one answer may cost, and who gives it.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) target: HostPort,
    pub(super) bytes_max: usize,
    pub(super) head_bytes_max: usize,
    /// When it must be over, and how long that is from its beginning; `None` if somebody else watches that.
    pub(super) time: Option<(Instant, Duration)>,
}

impl Limits {
    async fn within<T>(&self, work: impl Future<Output = Result<T, EgressError>>) -> Result<T, EgressError> {
        let Some((deadline, after)) = self.time else { return work.await };
        timeout_at(deadline, work).await.map_err(|_| EgressError::Timeout { target: self.target.clone(), after })?
    }

    fn too_large(&self) -> EgressError {
        EgressError::TooLarge { target: self.target.clone(), what: "the answer", max: self.bytes_max }
    }

    fn broken(&self, source: hyper::Error) -> EgressError {
        let target = self.target.clone();
        if source.is_parse_too_large() {
            return EgressError::TooLarge { target, what: "the answer's head", max: self.head_bytes_max };
        }
        EgressError::Exchange { target, source }
    }
}

impl Answer {
    /// An answer over a connection that is kept.
    pub(super) fn kept(head: response::Parts, url: String, body: Incoming, limits: Limits) -> Self {
        Self::new(head, url, body, limits, JoinSet::new(), None)
    }

    fn new(
        head: response::Parts,
        url: String,
        body: Incoming,
        limits: Limits,
        connection: JoinSet<()>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let response::Parts { status, headers, .. } = head;
        Self { status, headers, url, body, received: 0, limits, _connection: connection, _permit: permit }
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// The answer is larger, or takes longer, than the caller's policy allows, or breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        loop {
            let body = &mut self.body;
            let frame = self.limits.within(async { Ok(body.frame().await) }).await?;
            let Some(frame) = frame else { return Ok(None) };
            let Ok(data) = frame.map_err(|e| self.limits.broken(e))?.into_data() else { continue };
            self.received = self.received.saturating_add(data.len());
            if self.received > self.limits.bytes_max {
                return Err(self.limits.too_large());
            }
            return Ok(Some(data));
        }
    }

    /// Whether nothing more can come, as far as that is known without waiting.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The whole answer.
    ///
    /// # Errors
    /// As for [`Answer::chunk`].
    pub async fn read(mut self) -> Result<Response, EgressError> {
        let announced = self.body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |bytes| bytes > self.limits.bytes_max) {
            return Err(self.limits.too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: self.status, headers: self.headers, url: self.url, body: body.freeze() })
    }
}

impl Egress {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The request is refused, or no answer comes within the caller's limits.
    pub async fn send(&self, caller: &Caller, request: Request) -> Result<Response, EgressError> {
        self.open(caller, request).await?.read().await
    }

    /// Sends a request and follows redirects as far as the caller's policy says, up to an answer's head.
    ///
    /// # Errors
    /// As for [`Egress::send`].
    pub async fn open(&self, caller: &Caller, request: Request) -> Result<Answer, EgressError> {
        let policy = caller.policy();
        let deadline = Instant::now() + policy.timeout;
        let url = checked_url(None, &request.url)?;
        let mut hop = Hop { method: request.method, url, headers: request.headers, body: request.body };
        let mut followed = 0;
        loop {
            let (target, answer) = self.exchange(caller, &hop, deadline).await?;
            if policy.redirects_max == 0 {
                return Ok(answer);
            }
            let refused = |reason| EgressError::Redirect { target: target.clone(), reason };
            let Some(next) = hop.next(answer.status, &answer.headers).map_err(refused)? else { return Ok(answer) };
            if followed == policy.redirects_max {
                return Err(refused("it redirects once more than is followed"));
            }
            followed += 1;
            hop = next;
        }
    }

    /// One request and the head of its answer, over a connection of its own.
    async fn exchange(&self, caller: &Caller, hop: &Hop, deadline: Instant) -> Result<(HostPort, Answer), EgressError> {
        let target = HostPort::of_url(&hop.url).ok_or_else(|| unusable("it names no host"))?;
        let policy = caller.policy();
        let limits = Limits {
            target: target.clone(),
            bytes_max: policy.response_bytes_max,
            head_bytes_max: policy.header_bytes_max.max(HEAD_BUFFER_MIN),
            time: Some((deadline, policy.timeout)),
        };
        caller.admit(&hop.method, &target)?;
        let message = message(hop, &target, policy.header_bytes_max, policy.request_bytes_max)?;
        let answer = limits.within(self.connect_and_send(&hop.url, message, &limits)).await?;
        Ok((target, answer))
    }

    async fn connect_and_send(
        &self,
        url: &Url,
        message: hyper::Request<Full<Bytes>>,
        limits: &Limits,
    ) -> Result<Answer, EgressError> {
        let permit = self.inner.under_way.clone().acquire_owned().await.ok();
        let stream = self.dial(&limits.target).await?;
        // Small requests should leave at once; a socket that cannot do it is only slower.
        stream.set_nodelay(true).ok();
        if url.scheme() == "https" {
            let stream = self.encrypt(stream, &limits.target).await?;
            return speak(stream, url, message, limits, permit).await;
        }
        speak(stream, url, message, limits, permit).await
    }
}

/// Sends the message over a connection and waits for the answer's head.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
    message: hyper::Request<Full<Bytes>>,
    limits: &Limits,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<Answer, EgressError> {
    let broken = |error| limits.broken(error);
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(limits.head_bytes_max);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        // A failure is told to whoever waits for the answer.
        connection.await.ok();
    });
    let (head, body) = sender.send_request(message).await.map_err(broken)?.into_parts();
    Ok(Answer::new(head, url.to_string(), body, limits.clone(), driving, permit))
}

/// The request as it goes over the wire. `Host` is what the URL says.
fn message(
    hop: &Hop,
    target: &HostPort,
    header_bytes_max: usize,
    body_bytes_max: usize,
) -> Result<hyper::Request<Full<Bytes>>, EgressError> {
    check_headers(&hop.headers, target, header_bytes_max)?;
    if hop.body.len() > body_bytes_max {
        return Err(EgressError::TooLarge { target: target.clone(), what: "the request", max: body_bytes_max });
    }
    let path = &hop.url[Position::BeforePath..Position::AfterQuery];
    let uri: Uri = path.parse().map_err(|_| unusable("its path is not one"))?;
    let host = HeaderValue::from_str(&hop.url[Position::BeforeHost..Position::AfterPort]);
    let mut message = hyper::Request::new(Full::new(hop.body.clone()));
    *message.method_mut() = hop.method.clone();
    *message.uri_mut() = uri;
    *message.headers_mut() = hop.headers.clone();
    message.headers_mut().insert(header::HOST, host.map_err(|_| unusable("its host is not one"))?);
    message.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(message)
}

pub(super) fn check_headers(headers: &HeaderMap, target: &HostPort, bytes_max: usize) -> Result<(), EgressError> {
    if let Some(name) = headers.keys().find(|name| OURS.contains(name) || name.as_str().starts_with("proxy-")) {
        return Err(EgressError::Header { name: name.to_string(), target: target.clone() });
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > bytes_max || headers.len() > HEADERS_MAX {
        return Err(EgressError::TooLarge { target: target.clone(), what: "the request's headers", max: bytes_max });
    }
    Ok(())
}

/// Checks that a URL may be followed: http or https, with a host, without a user. Where it leads is looked at when
/// something is sent.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_url(text: &str) -> Result<(), EgressError> {
    checked_url(None, text).map(drop)
}

/// A URL that may be followed: http or https, with a host, without a user. It is read by the rules of browsers, and only
/// what was read is used, so that nobody can read it differently.
pub(super) fn checked_url(base: Option<&Url>, text: &str) -> Result<Url, EgressError> {
    if text.len() > URL_BYTES_MAX {
        return Err(unusable("it is too long"));
    }
    let url = Url::options().base_url(base).parse(text).map_err(|e| unusable(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable("only http and https are followed"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable("it names a user: credentials go into a header"));
    }
    if HostPort::of_url(&url).is_none() {
        return Err(unusable("it names no host"));
    }
    Ok(url)
}

pub(super) fn unusable(reason: &str) -> EgressError {
    EgressError::Url { reason: reason.to_owned() }
}
