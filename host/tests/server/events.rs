//! Events: from history and live, each once, resumable, and over when the execution is.

use std::time::Duration;

use serde_json::{Value, json};
use weir_host::client::Events;

use super::support::{TestHost, asking, quick};

async fn until(events: &mut Events, seen: &mut Vec<Value>, kind: &str) {
    let work = async {
        while let Some(event) = events.next().await.unwrap() {
            let found = event["type"] == kind;
            seen.push(event);
            if found {
                return;
            }
        }
        panic!("the stream ended before {kind}");
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("the event in time");
}

async fn rest(events: &mut Events) -> Vec<Value> {
    let mut seen = Vec::new();
    let work = async {
        while let Some(event) = events.next().await.unwrap() {
            seen.push(event);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("the end in time");
    seen
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_no_gap_and_no_double_and_goes_on_where_it_broke_off() {
    let host = TestHost::start().await;
    host.save(asking("two", &["a", "b"])).await;
    let id = host.execute("two", json!({})).await;
    let approve = format!("/api/executions/{id}/approve");
    let mut seen = Vec::new();
    let mut first = host.client.events(&id, 0).await.unwrap();
    until(&mut first, &mut seen, "step_started").await;
    host.client.post(&approve, json!({ "option_id": "yes" })).await.unwrap();
    until(&mut first, &mut seen, "step_started").await;
    drop(first);
    let mut second = host.client.events(&id, *numbers(&seen).last().unwrap()).await.unwrap();
    host.client.post(&approve, json!({ "option_id": "no" })).await.unwrap();
    seen.extend(rest(&mut second).await);
    let count = u64::try_from(seen.len()).unwrap();
    assert_eq!(numbers(&seen), (1..=count).collect::<Vec<_>>());
    assert_eq!(seen[0]["type"], "execution_started");
    assert_eq!(seen.last().unwrap()["type"], "execution_completed");

    let all = host.client.get(&format!("/api/executions/{id}/events?format=json&limit=199")).await.unwrap();
    assert_eq!(all["items"], Value::Array(seen), "history and stream tell the same");
    let (path, head) = (format!("/api/executions/{id}/events"), format!("last-event-id: {count}\r\n"));
    let done = host.request("GET", &path, &head, b"").await;
    assert_eq!(done.status, 204, "who knows the end is told not to come back");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_listeners_hear_the_same_while_it_runs() {
    let host = TestHost::start().await;
    host.save(asking("one", &["a"])).await;
    let id = host.execute("one", json!({})).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(host.client.events(&id, 0).await.unwrap());
    }
    host.client.post(&format!("/api/executions/{id}/approve"), json!({ "option_id": "yes" })).await.unwrap();
    let mut told = Vec::new();
    for stream in &mut streams {
        told.push(rest(stream).await);
    }
    assert!(told.iter().all(|events| *events == told[0]));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_streams_are_counted() {
    let host = TestHost::start().await;
    host.save(asking("one", &["a"])).await;
    let id = host.execute("one", json!({})).await;
    let mut open = Vec::new();
    for _ in 0..weir_host::server::STREAMS_MAX {
        open.push(host.client.events(&id, 0).await.unwrap());
    }
    let path = format!("/api/executions/{id}/events");
    let refused = host.get(&path).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    assert_eq!(refused.json()["code"], "too_many_streams");
    assert_eq!(host.get(&format!("{path}?format=json")).await.status, 200, "a page is no stream");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_stop_ends_streams_and_takes_less_than_ten_seconds() {
    let host = TestHost::start().await;
    host.save(asking("one", &["a"])).await;
    host.save(quick("quick")).await;
    let id = host.execute("one", json!({})).await;
    let mut stream = host.client.events(&id, 0).await.unwrap();
    let began = std::time::Instant::now();
    let (told, ()) = tokio::join!(rest(&mut stream), host.running.stop());
    assert!(told.iter().any(|event| event["type"] == "step_started"), "{told:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_also_for_who_claims_to_have_seen_what_is_to_come() {
    let host = TestHost::start().await;
    host.save(asking("one", &["a"])).await;
    let id = host.execute("one", json!({})).await;
    let mut events = host.client.events(&id, 1_000_000).await.unwrap();
    host.client.post(&format!("/api/executions/{id}/approve"), json!({ "option_id": "yes" })).await.unwrap();
    assert_eq!(rest(&mut events).await, Vec::<Value>::new());
    host.running.stop().await;
}
