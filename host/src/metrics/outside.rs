//! What comes in and goes out: requests, deliveries, notices, spans.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{
    Metrics,
    label::{OTHER, OfAnswer, OfReason, OfRoute, OfStatus},
    registered, registered_seconds,
};

/// What is counted about the outside.
pub(super) struct Outside {
    requests: Family<OfAnswer, Counter>,
    latency: Family<OfRoute, Histogram>,
    deliveries: Family<OfStatus, Counter>,
    notices: Family<OfStatus, Counter>,
    spans_sent: Counter,
    spans_dropped: Family<OfReason, Counter>,
}

impl Outside {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (requests, latency) = ("requests that were answered", "from a request's head to its answer's head");
        let (deliveries, notices) = ("requests at webhooks", "attempts to tell people something");
        let (sent, dropped) = ("spans that a collector took", "spans that no collector took");
        Self {
            requests: registered(registry, "weir_http_requests", requests, Family::default()),
            latency: registered_seconds(registry, "weir_http_request_duration", latency, http_seconds),
            deliveries: registered(registry, "weir_deliveries", deliveries, Family::default()),
            notices: registered(registry, "weir_notices", notices, Family::default()),
            spans_sent: registered(registry, "weir_spans_sent", sent, Counter::default()),
            spans_dropped: registered(registry, "weir_spans_dropped", dropped, Family::default()),
        }
    }
}

impl Metrics {
    /// A request was answered, after so long. `route` is a line of the table of routes: its path and its method; `None`
    /// for what leads to none of them.
    pub fn http_request(&self, route: Option<(&'static str, &'static str)>, status: u16, latency: Duration) {
        let (route, method) = route.unwrap_or((OTHER, OTHER));
        self.0.outside.requests.get_or_create(&OfAnswer { route, method, status }).inc();
        self.0.outside.latency.get_or_create(&OfRoute { route, method }).observe(latency.as_secs_f64());
    }

    /// A request came in at a webhook, and this became of it.
    pub fn delivery(&self, verdict: &'static str) {
        self.0.outside.deliveries.get_or_create(&OfStatus { status: verdict }).inc();
    }

    /// Somebody was to be told something, and this became of the attempt.
    pub fn notice(&self, status: &'static str) {
        self.0.outside.notices.get_or_create(&OfStatus { status }).inc();
    }

    /// A collector took so many spans.
    pub fn spans_sent(&self, count: usize) {
        self.0.outside.spans_sent.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// So many spans were given up, for this reason.
    pub fn spans_dropped(&self, reason: &'static str, count: usize) {
        let dropped = self.0.outside.spans_dropped.get_or_create(&OfReason { reason });
        dropped.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// From half a millisecond to a minute, which is the longest wait for an execution's end.
fn http_seconds() -> Histogram {
    Histogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0])
}
