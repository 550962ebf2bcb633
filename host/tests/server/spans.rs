//! What OpenTelemetry is told of executions, by a real host and over a restart.

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, routing::post};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use weir_host::{
    config::Config,
    spans::{
        OtelConfig,
        otlp::{ExportTraceServiceRequest, Span},
    },
};

use super::support::{TestHost, asking};

type Got = Arc<watch::Sender<Vec<Span>>>;

/// A collector on this machine.
pub(super) struct Collector {
    address: String,
    got: Got,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let (listener, got) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Got::default());
        let address = listener.local_addr().unwrap().to_string();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&got));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, got }
    }

    pub(super) fn set_up(&self, config: &mut Config) {
        config.egress.allow = vec![self.address.parse().unwrap()];
        config.otel = Some(OtelConfig::new(format!("http://{}", self.address)));
    }

    pub(super) async fn spans(&self, count: usize) -> Vec<Span> {
        self.got.subscribe().wait_for(|got| got.len() >= count).await.unwrap().clone()
    }
}

async fn take(State(got): State<Got>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    got.send_modify(|got| got.extend(scopes.flat_map(|scope| scope.spans)));
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_after_a_restart_below_the_callers_span() {
    let collector = Collector::start().await;
    let host = TestHost::with(|config| collector.set_up(config)).await;
    host.save(asking("asks", &["first", "second"])).await;
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let head = format!("authorization: Bearer {}\r\n{parent}", host.running.token().token);
    let input = json!({ "input_data": { "text": "canary-in-the-input" } });
    let started = host.send("POST", "/api/workflows/asks/execute", &head, &input).await;
    let id = started.json()["execution_id"].as_str().unwrap().to_owned();
    let approve = format!("/api/executions/{id}/approve");
    let answer = json!({ "option_id": "yes", "comment": "canary-in-the-comment" });
    host.client.post(&approve, answer.clone()).await.unwrap();
    assert_eq!(named(&collector.spans(1).await, "step first").len(), 1);

    let host = host.restart_with(|config| collector.set_up(config)).await;
    host.client.post(&approve, answer).await.unwrap();
    let spans = collector.spans(3).await;
    let [execution] = named(&spans, "execution asks")[..] else { panic!("{spans:#?}") };
    let [first] = named(&spans, "step first")[..] else { panic!("{spans:#?}") };
    let [second] = named(&spans, "step second")[..] else { panic!("{spans:#?}") };
    assert!(execution.trace_id.starts_with(&[0x4b, 0xf9]) && execution.parent_span_id.starts_with(&[0, 0xf0]));
    assert_eq!((&first.parent_span_id, &second.parent_span_id), (&execution.span_id, &execution.span_id));
    assert!(execution.start_time_unix_nano <= first.start_time_unix_nano, "it began before the restart");
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert!(second.end_time_unix_nano <= execution.end_time_unix_nano);
    assert!(!format!("{spans:?}").contains("canary"), "what people and workflows say is in no span");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_before_the_host_stops() {
    let collector = Collector::start().await;
    let host = TestHost::with(|config| collector.set_up(config)).await;
    host.save(super::support::quick("quick")).await;
    host.client.post("/api/workflows/quick/execute?wait=20", json!({ "input_data": {} })).await.unwrap();
    host.running.stop().await;
    assert_eq!(collector.got.borrow().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_a_trace_is_only_remembered() {
    let host = TestHost::start().await;
    host.save(super::support::quick("quick")).await;
    let head = format!("authorization: Bearer {}\r\n", host.running.token().token);
    for (parent, seen) in [
        ("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n", true),
        ("traceparent: nonsense\r\n", false),
        ("", false),
    ] {
        let path = "/api/workflows/quick/execute?wait=20";
        let shown = host.send("POST", path, &format!("{head}{parent}"), &json!({})).await.json();
        let events = host
            .client
            .get(&format!("/api/executions/{}/events?format=json", shown["id"].as_str().unwrap()))
            .await
            .unwrap();
        let trigger = &events["items"][0]["data"]["trigger"];
        assert_eq!(trigger["traceparent"] != Value::Null, seen, "{events:#}");
    }
    host.running.stop().await;
}
