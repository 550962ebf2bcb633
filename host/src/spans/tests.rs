use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse as _,
    routing::post,
};
use prost::Message as _;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use weir_engine::{
    event::Started,
    id::{CallId, EffectId, Timestamp},
    json::Json,
    limits::Limits,
};

use super::{
    At, ChatSpan, Exporter, OtelConfig, Spans, StepSpan, Took, ToolSpan, Trace,
    exporter::{Pace, QUEUE},
    otlp::{ExportTraceServiceRequest, ExportTraceServiceResponse, PartialSuccess, Span, Value},
};
use crate::{
    egress::{Egress, EgressConfig},
    metrics::{Levels, Metrics},
};

const ID: &str = "0193b0a0-1111-7222-8333-444455556666";

fn started(id: &str, trigger: serde_json::Value) -> Started {
    Started {
        execution_id: id.into(),
        workflow_id: "w".into(),
        workflow_name: "flow".into(),
        workflow_version: 3,
        trigger: Json::from_value(trigger),
        input: Json::from_value(serde_json::json!({ "prompt": "canary-in-the-prompt" })),
        limits: Limits::default(),
        deadline: None,
        targets: Arc::default(),
    }
}

fn manual() -> Started {
    started(ID, serde_json::json!({ "type": "manual" }))
}

fn took(from: i64, to: i64, failure: Option<&str>) -> Took<'_> {
    Took { from: Timestamp(from), to: Timestamp(to), failure }
}

/// What a collector got, and what it is to answer; in the end it takes everything.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<(StatusCode, ExportTraceServiceResponse)>>,
    got: watch::Sender<Vec<Span>>,
    asked: watch::Sender<Vec<HeaderMap>>,
}

async fn take(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    script.asked.send_modify(|asked| asked.push(headers));
    let answer = script.answers.lock().unwrap().pop_front();
    let (status, answer) = answer.unwrap_or((StatusCode::OK, ExportTraceServiceResponse::default()));
    if status.is_success() {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        let spans: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
        script.got.send_modify(|got| got.extend(spans));
    }
    (status, answer.encode_to_vec()).into_response()
}

/// A collector on this machine.
async fn collector(script: Arc<Script>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let routes = Router::new().route("/v1/traces", post(take)).with_state(script);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn spans_to(address: &str, config: OtelConfig) -> (Spans, Exporter, Metrics) {
    let allow = vec![address.parse().unwrap()];
    let (egress, metrics) = (Egress::new(EgressConfig { allow, ..EgressConfig::default() }), Metrics::default());
    let (spans, exporter) = Spans::to(&config, egress, metrics.clone()).unwrap();
    let pace = Pace { linger: Duration::from_millis(5), rests: vec![Duration::from_millis(1); 2] };
    (spans, exporter.at_pace(pace), metrics)
}

fn counted(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.text(Levels::default());
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).unwrap_or(0)
}

/// Waits until a series has a value.
async fn until(metrics: &Metrics, series: &str, value: u64) {
    let work = async {
        while counted(metrics, series) != value {
            tokio::task::yield_now().await;
        }
    };
    let late = || panic!("{series} is not {value}: {}", metrics.text(Levels::default()));
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap_or_else(|_| late());
}

/// Tells of an execution with an agent that asks a model and calls an agent that calls a tool.
fn tell(trace: &Trace) {
    let (call, around) = (CallId(2), &EffectId::CALL);
    let (first, second) = (EffectId::CALL.child(1), EffectId::CALL.child(2));
    let inner = second.child(1);
    let at = |effect, around| At { call, generation: 0, effect, around };
    trace.chat(&ChatSpan {
        at: at(&first, around),
        alias: "fast",
        provider: "scripted",
        model: "script-1",
        max_tokens: Some(64),
        response_model: Some("script-1.0"),
        finish_reasons: &["tool_calls"],
        input_tokens: Some(11),
        output_tokens: Some(7),
        took: took(10, 20, None),
    });
    let tool = ToolSpan { at: at(&inner, &second), tool: "text.count", call_id: Some("c1"), took: took(22, 24, None) };
    trace.tool(&tool);
    trace.tool(&ToolSpan {
        at: at(&second, around),
        tool: "helper.act",
        call_id: None,
        took: took(21, 25, Some("denied")),
    });
    trace.step(&StepSpan {
        call,
        around: None,
        step: "ask",
        path: "ask",
        kind: "agent",
        status: "completed",
        attempts: 1,
        agent: Some("helper.ask"),
        took: took(5, 30, None),
    });
    trace.execution(&manual(), "completed", took(1, 40, None));
}

/// The values of a span's attributes, as text.
fn known(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::List(list) => format!("{:?}", list.values.iter().map(|v| v.value.clone()).collect::<Vec<_>>()),
    };
    let all = span.attributes.iter().map(|a| (a.key.as_str(), a.value.as_ref().unwrap().value.as_ref()));
    all.map(|(key, value)| (key, value.map(text).unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_collector_is_told_of_an_execution_its_steps_models_and_tools() {
    let script = Arc::new(Script::default());
    let address = collector(script.clone()).await;
    let config = OtelConfig::overridden(Some(OtelConfig::new(format!("http://{address}"))), None, Some("api-key=k"));
    let (spans, exporter, metrics) = spans_to(&address, config.unwrap());
    tokio::spawn(exporter.run(std::future::pending()));
    tell(&spans.of(&manual()).unwrap());
    let mut got = script.got.subscribe();
    let got = got.wait_for(|got| got.len() == 5).await.unwrap().clone();
    let of = |name: &str| got.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {got:#?}"));
    let (execution, step, chat) = (of("execution flow"), of("step ask"), of("chat script-1"));
    let (tool, helper) = (of("execute_tool text.count"), of("execute_tool helper.act"));
    assert_eq!(
        execution.trace_id,
        uuid::Uuid::parse_str(ID).unwrap().as_bytes(),
        "the trace is named like the execution"
    );
    assert!(got.iter().all(|span| span.trace_id == execution.trace_id && span.span_id.len() == 8));
    assert!(execution.parent_span_id.is_empty());
    assert_eq!(step.parent_span_id, execution.span_id);
    assert_eq!((&chat.parent_span_id, &helper.parent_span_id), (&step.span_id, &step.span_id));
    assert_eq!(tool.parent_span_id, helper.span_id, "what an agent's agent does stands below it");
    assert_eq!((chat.start_time_unix_nano, chat.end_time_unix_nano), (10_000, 20_000));
    let about = known(chat);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "scripted"),
        ("gen_ai.request.model", "script-1"),
        ("gen_ai.request.max_tokens", "64"),
        ("gen_ai.response.model", "script-1.0"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "7"),
    ] {
        assert_eq!(about[key], value, "{key}");
    }
    assert!(about["gen_ai.response.finish_reasons"].contains("tool_calls"));
    assert_eq!((&*known(helper)["error.type"], helper.status.as_ref().unwrap().code), ("denied", 2));
    assert_eq!((known(tool)["gen_ai.tool.call.id"].as_str(), &tool.status), ("c1", &None));
    assert_eq!(known(step)["gen_ai.agent.name"], "helper.ask");
    assert!(!format!("{got:?}").contains("canary"), "no prompt is in a span");
    let asked = script.asked.borrow();
    assert_eq!(
        (&asked[0]["content-type"], &asked[0]["api-key"]),
        (&"application/x-protobuf".parse().unwrap(), &"k".parse().unwrap())
    );
    until(&metrics, "weir_spans_sent_total", 5).await;
}

#[tokio::test]
async fn a_collector_that_is_down_for_a_moment_gets_everything_and_one_that_refuses_nothing() {
    let script = Arc::new(Script::default());
    let address = collector(script.clone()).await;
    let (spans, exporter, metrics) = spans_to(&address, OtelConfig::new(format!("http://{address}")));
    let unavailable = (StatusCode::SERVICE_UNAVAILABLE, ExportTraceServiceResponse::default());
    script.answers.lock().unwrap().extend([unavailable.clone(), unavailable.clone()]);
    let trace = spans.of(&manual()).unwrap();
    tell(&trace);
    tokio::spawn(exporter.run(std::future::pending()));
    script.got.subscribe().wait_for(|got| got.len() == 5).await.unwrap();
    let partly = PartialSuccess { rejected_spans: 1, error_message: String::new() };
    script.answers.lock().unwrap().extend([
        unavailable.clone(),
        unavailable.clone(),
        unavailable,
        (StatusCode::BAD_REQUEST, ExportTraceServiceResponse::default()),
        (StatusCode::OK, ExportTraceServiceResponse { partial_success: Some(partly) }),
    ]);
    for asked in [6, 7, 8] {
        trace.execution(&manual(), "completed", took(1, 2, None));
        script.asked.subscribe().wait_for(|all| all.len() == asked).await.unwrap();
    }
    script.got.subscribe().wait_for(|got| got.len() == 6).await.unwrap();
    until(&metrics, "weir_spans_dropped_total{reason=\"refused\"}", 2).await;
    until(&metrics, "weir_spans_dropped_total{reason=\"rejected\"}", 1).await;
}

#[tokio::test]
async fn nobody_waits_for_a_collector_that_is_down_and_what_is_lost_is_counted() {
    // Nobody listens there.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (spans, exporter, metrics) = spans_to(&address, OtelConfig::new(format!("http://{address}")));
    let trace = spans.of(&manual()).unwrap();
    for _ in 0..QUEUE + 100 {
        trace.execution(&manual(), "completed", took(1, 2, None));
    }
    assert_eq!(counted(&metrics, "weir_spans_dropped_total{reason=\"queue_full\"}"), 100);
    let (stop, stopped) = oneshot::channel::<()>();
    drop(stop);
    exporter.run(async { drop(stopped.await) }).await;
    let dropped = |reason: &str| counted(&metrics, &format!("weir_spans_dropped_total{{reason=\"{reason}\"}}"));
    assert_eq!(dropped("stopping") + dropped("refused"), QUEUE as u64);
    assert_eq!(counted(&metrics, "weir_spans_sent_total"), 0);
}

#[tokio::test]
async fn ids_are_the_same_after_a_restart_and_a_callers_trace_is_kept() {
    let config = OtelConfig::new("http://127.0.0.1:1");
    let ids = |trace: &Trace| (trace.trace_id, trace.of_step(CallId(7)), trace.parent);
    let (first, _exporter, _) = spans_to("127.0.0.1:1", config.clone());
    let (second, _exporter, _) = spans_to("127.0.0.1:1", config.clone());
    assert_eq!(ids(&first.of(&manual()).unwrap()), ids(&second.of(&manual()).unwrap()));
    let parent = |flags: &str| {
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        started(ID, serde_json::json!({ "type": "manual", "traceparent": text }))
    };
    let below = first.of(&parent("01")).unwrap();
    assert_eq!((below.trace_id[0], below.parent.unwrap()[1]), (0x4b, 0xf0));
    assert!(first.of(&parent("00")).is_none(), "the caller tells nothing of it");
    let none = OtelConfig { sample: 0.0.try_into().unwrap(), ..config };
    let (none, _exporter, _) = spans_to("127.0.0.1:1", none);
    assert!(none.of(&manual()).is_none() && none.of(&parent("01")).is_some());
    assert!(Spans::default().of(&manual()).is_none());
}

/// Bytes that other programs understand: they were compared with OpenTelemetry's own messages.
#[test]
fn the_bytes_are_those_of_the_protocol() {
    let span = Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "n".to_owned(), kind: 3, ..Span::default() };
    let span = Span { start_time_unix_nano: 1, end_time_unix_nano: 2, ..span };
    assert_eq!(
        crate::hex::hex(&span.encode_to_vec()),
        "0a1001010101010101010101010101010101120802020202020202022a016e3003390100000000000000410200000000000000"
    );
}
