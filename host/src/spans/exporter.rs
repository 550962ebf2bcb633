//! Brings spans to a collector, some at a time. Nobody waits for it: there is a queue with an end, and what does not fit
//! is counted and forgotten.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    OtelConfig, attributes,
    otlp::{
        ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, Resource, ResourceSpans,
        ScopeSpans, Span,
    },
};
use crate::{
    egress::{
        Caller, Egress, EgressError, HeaderMap, Method, Policy, Request, Response, StatusCode,
        header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
    },
    metrics::Metrics,
};

/// Spans that may wait.
pub(super) const QUEUE: usize = 4096;
/// Spans that are sent at a time.
const BATCH: usize = 512;
/// The most bytes of a request.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// The longest that a collector may ask to be left alone.
const REST_MAX: Duration = Duration::from_secs(30);
/// How long the last spans have when the host stops.
const FAREWELL: Duration = Duration::from_secs(2);
const AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// How fast spans are sent.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// How long a span waits for others.
    pub(super) linger: Duration,
    /// The waits between attempts to send the same; after the last one it is given up.
    pub(super) rests: Vec<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { linger: Duration::from_secs(1), rests: [1, 2, 4].map(Duration::from_secs).to_vec() }
    }
}

/// Brings spans to a collector until the host stops.
#[derive(Debug)]
pub struct Exporter {
    spans: mpsc::Receiver<Span>,
    egress: Egress,
    metrics: Metrics,
    url: String,
    headers: HeaderMap,
    resource: Resource,
    pace: Pace,
    /// What is being sent, or gathered to be.
    batch: Vec<Span>,
    /// Whether the last attempt failed: it is said once.
    is_down: bool,
}

/// Why spans were not taken.
enum Refused {
    /// It may work later; the collector may say when.
    ForNow(String, Option<Duration>),
    /// It never will.
    ForEver(String),
}

impl Exporter {
    pub(super) fn new(
        config: &OtelConfig,
        headers: Vec<(HeaderName, HeaderValue)>,
        egress: Egress,
        metrics: Metrics,
        spans: mpsc::Receiver<Span>,
    ) -> Self {
        let mut all = HeaderMap::new();
        all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        all.extend(headers);
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let attributes = attributes([
            ("service.name", config.service_name.as_str().into()),
            ("service.version", env!("CARGO_PKG_VERSION").into()),
        ]);
        Self {
            spans,
            egress,
            metrics,
            url: config.url(),
            headers: all,
            resource: Resource { attributes },
            pace: Pace::default(),
            batch: Vec::new(),
            is_down: false,
        }
    }

    #[cfg(test)]
    pub(super) fn at_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Sends until `stop` resolves, and then what is left, as far as that is quickly done.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let is_open = tokio::select! {
                biased;
                () = &mut stop => break,
                is_open = self.gather() => is_open,
            };
            if !is_open {
                return;
            }
            if self.deliver_until(&mut stop).await {
                break;
            }
        }
        self.take_leave().await;
    }

    /// Delivers what was gathered; what is under way when `stop` resolves still gets its answer. Tells whether it did.
    async fn deliver_until(&mut self, stop: impl Future<Output = ()>) -> bool {
        let mut delivery = std::pin::pin!(self.deliver());
        tokio::select! {
            () = &mut delivery => false,
            () = stop => {
                timeout(FAREWELL, delivery).await.ok();
                true
            }
        }
    }

    /// Waits for a span and those that come soon after it. Tells whether there will be more.
    async fn gather(&mut self) -> bool {
        let Some(first) = self.spans.recv().await else { return false };
        self.batch.push(first);
        let due = Instant::now() + self.pace.linger;
        while self.batch.len() < BATCH
            && let Ok(Some(span)) = timeout_at(due, self.spans.recv()).await
        {
            self.batch.push(span);
        }
        true
    }

    /// Sends what is left, once.
    async fn take_leave(mut self) {
        self.spans.close();
        let mut rest = std::mem::take(&mut self.batch);
        while let Ok(span) = self.spans.try_recv() {
            rest.push(span);
        }
        let mut left = rest.len();
        let sent = timeout(FAREWELL, async {
            for batch in rest.chunks(BATCH) {
                if self.send(batch).await.is_err() {
                    return;
                }
                left -= batch.len();
            }
        });
        // What is left is told either way.
        sent.await.ok();
        self.metrics.spans_dropped("stopping", left);
    }

    /// Sends what was gathered, again where that may help; then it is sent, or given up.
    async fn deliver(&mut self) {
        let mut rests = self.pace.rests.clone().into_iter();
        loop {
            let (reason, rest) = match self.send(&self.batch).await {
                Ok(()) => {
                    self.on_taken();
                    return self.batch.clear();
                }
                Err(Refused::ForEver(reason)) => (reason, None),
                Err(Refused::ForNow(reason, asked)) => {
                    (reason, rests.next().map(|rest| asked.unwrap_or(rest).min(REST_MAX)))
                }
            };
            self.on_refused(&reason);
            let Some(rest) = rest else {
                self.metrics.spans_dropped("refused", self.batch.len());
                return self.batch.clear();
            };
            sleep(rest).await;
        }
    }

    fn on_taken(&mut self) {
        if std::mem::take(&mut self.is_down) {
            tracing::info!("the collector takes spans again");
        }
    }

    fn on_refused(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_down, true) {
            tracing::warn!("could not send spans to the collector: {reason}; executions go on, and spans are dropped");
        }
    }

    async fn send(&self, batch: &[Span]) -> Result<(), Refused> {
        let request = Request {
            method: Method::POST,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Bytes::from(self.request(batch).encode_to_vec()),
        };
        let policy = Policy { request_bytes_max: REQUEST_BYTES_MAX, ..Policy::any_public() };
        let answer = self.egress.send(&Caller::new(policy), request).await.map_err(|error| refused(&error))?;
        let rejected = judge(&answer)?.min(batch.len());
        self.metrics.spans_sent(batch.len() - rejected);
        if rejected > 0 {
            self.metrics.spans_dropped("rejected", rejected);
        }
        Ok(())
    }

    fn request(&self, batch: &[Span]) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope { name: "weir".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: batch.to_vec() }];
        let resource_spans = vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }];
        ExportTraceServiceRequest { resource_spans }
    }
}

/// Settings may be changed and collectors started, so most things may work later. The sources tell what is wrong, and
/// hold nothing of the request.
fn refused(error: &EgressError) -> Refused {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let reason = format!("{error}{source}");
    match error {
        EgressError::Url { .. } | EgressError::Host(_) | EgressError::Header { .. } | EgressError::TooLarge { .. } => {
            Refused::ForEver(reason)
        }
        EgressError::Refused { .. }
        | EgressError::NotGranted { .. }
        | EgressError::Method { .. }
        | EgressError::Requests { .. }
        | EgressError::Redirect { .. }
        | EgressError::Resolve { .. }
        | EgressError::Connect { .. }
        | EgressError::Tls { .. }
        | EgressError::Timeout { .. }
        | EgressError::Exchange { .. } => Refused::ForNow(reason, None),
    }
}

/// How many spans a collector did not take of those that it was sent.
fn judge(answer: &Response) -> Result<usize, Refused> {
    if answer.status.is_success() {
        let told = ExportTraceServiceResponse::decode(answer.body.clone()).unwrap_or_default();
        return Ok(told.partial_success.map_or(0, |part| usize::try_from(part.rejected_spans).unwrap_or(0)));
    }
    let reason = format!("it answered {}", answer.status);
    let for_now = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    if !for_now.contains(&answer.status) {
        return Err(Refused::ForEver(reason));
    }
    let after = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Err(Refused::ForNow(reason, after.map(Duration::from_secs)))
}
