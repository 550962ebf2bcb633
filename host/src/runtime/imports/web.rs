//! `wasi:http/outgoing-handler`, which standard libraries of languages use: requests and answers that stream, under the
//! same grants and caps as `weir:plugin/http`. They are counted and not journalled.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Body as _, Frame},
    header::{self, HeaderName, HeaderValue},
};
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
use weir_engine::failure::{Failure, FailureCode};

use super::{
    CallState,
    log::{LogBuffer, locked},
};
use crate::runtime::{
    CallHost, HttpAnswer, HttpRequest,
    limits::{HTTP_BODY_BYTES_MAX, HTTP_FIELDS_BYTES_MAX, HTTP_REQUESTS_MAX, HTTP_SENT_BYTES_MAX},
};

/// What carries a message: the host decides it, whatever a language's library sets.
const CARRIERS: [HeaderName; 2] = [header::HOST, header::CONTENT_LENGTH];

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// What one call uses of `wasi:http`.
pub(super) struct Web {
    context: WasiHttpCtx,
    outgoing: Outgoing,
}

impl Web {
    pub(super) fn new(host: Option<Arc<dyn CallHost>>, log: &Arc<Mutex<LogBuffer>>) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(HTTP_FIELDS_BYTES_MAX);
        let outgoing = Outgoing { host, log: Arc::clone(log), requests: 0, sent_bytes: Arc::default() };
        Self { context, outgoing }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.host_calls += 1;
        let Web { context, outgoing } = &mut self.web;
        WasiHttpCtxView { hooks: outgoing, table: &mut self.table, ctx: context }
    }
}

struct Outgoing {
    host: Option<Arc<dyn CallHost>>,
    log: Arc<Mutex<LogBuffer>>,
    /// Requests that were begun: while their bodies are gathered nobody else counts them.
    requests: u32,
    /// Bytes of all bodies that were sent.
    sent_bytes: Arc<AtomicUsize>,
}

impl WasiHttpHooks for Outgoing {
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        self.requests = self.requests.saturating_add(1);
        let host = self.host.clone().filter(|_| self.requests <= HTTP_REQUESTS_MAX);
        let exchange = Exchange { log: Arc::clone(&self.log), sent_bytes: Arc::clone(&self.sent_bytes), options };
        Box::new(async move {
            let response = exchange.run(host, request).await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// One request and its answer.
struct Exchange {
    log: Arc<Mutex<LogBuffer>>,
    sent_bytes: Arc<AtomicUsize>,
    options: Option<RequestOptions>,
}

impl Exchange {
    async fn run(
        self,
        host: Option<Arc<dyn CallHost>>,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        let host = host.ok_or(Error::HttpRequestDenied)?;
        let options = self.options.unwrap_or_default();
        let request = self.gathered(request).await?;
        let opened = host.open_http(request);
        let answer = match options.first_byte_timeout {
            None => opened.await,
            Some(first) => {
                let within = first.saturating_add(options.connect_timeout.unwrap_or_default());
                timeout(within, opened).await.map_err(|_| Error::ConnectionReadTimeout)?
            }
        };
        let answer = answer.map_err(|failure| self.told(&failure))?;
        Ok(response(answer, options.between_bytes_timeout))
    }

    /// The whole request. Its body is small: it is sent when it is known whether it may be.
    async fn gathered(&self, request: Request<WasiBody>) -> Result<HttpRequest, Error> {
        let (head, body) = request.into_parts();
        let mut body = std::pin::pin!(body);
        let mut bytes = BytesMut::new();
        while let Some(frame) = next(body.as_mut()).await {
            let Ok(data) = frame?.into_data() else { continue };
            let sent = self.sent_bytes.fetch_add(data.len(), Ordering::Relaxed).saturating_add(data.len());
            if bytes.len() + data.len() > HTTP_BODY_BYTES_MAX || sent > HTTP_SENT_BYTES_MAX {
                return Err(Error::HttpRequestBodySize(u64::try_from(HTTP_BODY_BYTES_MAX).ok()));
            }
            bytes.extend_from_slice(&data);
        }
        let (method, url) = (head.method.to_string(), head.uri.to_string());
        Ok(HttpRequest { method, url, headers: readable(&head.headers)?, body: bytes.freeze(), timeout: None })
    }

    /// The error that stands for a failure. Its code says little, so the plugin's log says more.
    fn told(&self, failure: &Failure) -> Error {
        locked(&self.log).warn(&failure.message);
        if failure.code == FailureCode::Denied {
            Error::HttpRequestDenied
        } else if failure.code == FailureCode::Unavailable {
            Error::DestinationUnavailable
        } else {
            Error::InternalError(Some(failure.message.clone()))
        }
    }
}

async fn next(mut body: Pin<&mut WasiBody>) -> Option<Result<Frame<Bytes>, Error>> {
    std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
}

fn readable(headers: &HeaderMap) -> Result<Vec<(String, String)>, Error> {
    let texts = headers.iter().filter(|(name, _)| !CARRIERS.contains(name)).map(|(name, value)| {
        let value = value
            .to_str()
            .map_err(|_| Error::HttpRequestHeaderSize { field_name: Some(name.to_string()), field_size: None })?;
        Ok((name.to_string(), value.to_owned()))
    });
    texts.collect()
}

fn response(answer: Box<dyn HttpAnswer>, between: Option<Duration>) -> Response<WasiBody> {
    let (status, headers) = (answer.status(), answer.headers());
    let mut response = Response::new(StreamBody::new(Box::pin(frames(answer, between))).boxed_unsync());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The body's parts; the first failure is the last of them.
fn frames(
    answer: Box<dyn HttpAnswer>,
    between: Option<Duration>,
) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Error>> + Send {
    stream::unfold(Some(answer), move |answer| async move {
        let mut answer = answer?;
        let chunk = match between {
            None => answer.chunk().await,
            Some(between) => match timeout(between, answer.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => return Some((Err(Error::ConnectionReadTimeout), None)),
            },
        };
        match chunk {
            Ok(Some(bytes)) => Some((Ok(Frame::data(bytes)), Some(answer))),
            Ok(None) => None,
            Err(failure) => Some((Err(broken(&failure)), None)),
        }
    })
}

fn broken(failure: &Failure) -> Error {
    if failure.code == FailureCode::Unavailable {
        return Error::HttpResponseIncomplete;
    }
    Error::InternalError(Some(failure.message.clone()))
}
