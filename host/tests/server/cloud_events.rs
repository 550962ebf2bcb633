//! Events over HTTP: the three modes of CloudEvents, whole or not at all, and what is refused.

use serde_json::{Value, json};

use super::support::TestHost;

const STRUCTURED: &str = "content-type: application/cloudevents+json; charset=UTF-8\r\n";
const BATCH: &str = "content-type: application/cloudevents-batch+json\r\n";

fn event(id: &str) -> Value {
    json!({ "specversion": "1.0", "type": "com.example.test", "source": "/tests", "id": id, "data": { "n": 1 } })
}

async fn send(host: &TestHost, head: &str, body: &Value) -> super::support::Answer {
    host.request("POST", "/api/events", head, body.to_string().as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_three_modes_and_once_each() {
    let host = TestHost::start().await;
    let answer = send(&host, STRUCTURED, &event("1")).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1, "duplicates": 0 })));
    let batch = json!([event("1"), event("2"), event("2"), event("3")]);
    assert_eq!(send(&host, BATCH, &batch).await.json(), json!({ "accepted": 2, "duplicates": 2 }));
    let head = "ce-specversion: 1.0\r\nce-type: com.example.binary\r\nce-source: /tests\r\nce-id: 1%2F2\r\n\
                ce-traceparent: 00-ab\r\ncontent-type: text/plain\r\n";
    let answer = host.request("POST", "/api/events", head, b"hello").await;
    assert_eq!(answer.json(), json!({ "accepted": 1, "duplicates": 0 }), "{answer:?}");
    let listed = host.get("/api/events?type=com.example.binary").await.json();
    let event = &listed["items"][0]["event"];
    assert_eq!(
        (&event["id"], &event["data"], &event["traceparent"]),
        (&json!("1/2"), &json!("hello"), &json!("00-ab"))
    );
    assert_eq!(event["datacontenttype"], "text/plain");
    let shown = host.get(&format!("/api/events/{}", listed["items"][0]["seq"])).await.json();
    assert_eq!(&shown["event"], event);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_fault_stores_nothing_and_tells_all_faults() {
    let host = TestHost::start().await;
    let mut bad = event("2");
    bad["source"] = json!("weir:host");
    bad["time"] = json!("yesterday");
    let answer = send(&host, BATCH, &json!([event("1"), bad, { "id": "3" }])).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    answer.assert_problem();
    let problem = answer.json();
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["/1/source", "/1/time", "/2/specversion", "/2/source", "/2/type"], "{problem:#}");
    assert_eq!(host.get("/api/events").await.json()["items"], json!([]));
    let many: Vec<_> = (0..101).map(|n| event(&n.to_string())).collect();
    assert_eq!(send(&host, BATCH, &json!(many)).await.status, 422);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_malformed_events_are_refused() {
    let host = TestHost::start().await;
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xef\xbb\xbf{}",
        b"{\"id\":\"1\",\"id\":\"2\"}",
        b"{\"a\":1e999}",
        b"\xff\xfe{\0}\0",
        deep.as_bytes(),
    ];
    for body in bodies {
        for head in [STRUCTURED, BATCH] {
            let answer = host.request("POST", "/api/events", head, body).await;
            // An empty batch is a batch.
            let is_good = body == b"[]" && head == BATCH;
            assert!(is_good == (answer.status == 202) && answer.status < 500, "{head}{body:.40?}: {answer:?}");
            if !is_good {
                answer.assert_problem();
            }
        }
    }
    let kinds = ["content-type: application/cloudevents+avro\r\n", "content-type: application/json\r\n", ""];
    for head in kinds {
        assert_eq!(send(&host, head, &event("1")).await.status, 415, "{head}");
    }
    let head = "ce-specversion: 1.0\r\nce-id: %ff\r\nce-Source: a b\r\n";
    let answer = host.request("POST", "/api/events", head, b"").await;
    let problem = answer.json();
    let mut fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["ce-id", "ce-id", "ce-source", "ce-type"], "{problem:#}");
    let large = format!("{STRUCTURED}expect: 100-continue\r\ncontent-length: {}\r\n", 1024 * 1024 + 1);
    assert_eq!(host.request("POST", "/api/events", &large, b"").await.status, 413);
    assert_eq!(host.get("/api/events").await.json()["items"], json!([]));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_page_by_page() {
    let host = TestHost::start().await;
    let batch: Vec<_> = (0..7).map(|n| event(&n.to_string())).collect();
    assert_eq!(send(&host, BATCH, &json!(batch)).await.status, 202);
    let mut other = event("x");
    other["source"] = json!("/else");
    assert_eq!(send(&host, STRUCTURED, &other).await.status, 202);
    for (query, count) in
        [("source=/tests", 7), ("type=com.example.test", 8), ("type=com.example.test&source=/else", 1), ("type=t", 0)]
    {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = host.get(&format!("/api/events?limit=3&{query}{cursor}")).await.json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "{query}: {seen:?}");
        assert_eq!(seen.len(), count, "{query}");
    }
    for path in ["/api/events?cursor=x", "/api/events?type=", "/api/events?limit=0", "/api/events?kind=x"] {
        assert_eq!(host.get(path).await.status, 400, "{path}");
    }
    for path in ["/api/events/0", "/api/events/x", "/api/events/99999999999999999999"] {
        assert_eq!(host.get(path).await.status, 404, "{path}");
    }
    host.running.stop().await;
}
