//! `GET /metrics`: who may read it, and that its numbers agree with what was done.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::{TestHost, asking, quick};

/// The samples of the host, by name and labels as they are written.
async fn samples(host: &TestHost) -> BTreeMap<String, f64> {
    let answer = host.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("application/openmetrics-text; version=1.0.0"), "{answer:?}");
    assert!(answer.body.ends_with("# EOF\n"), "the text is whole");
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(s, v)| (s.to_owned(), v.parse().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_agree_with_what_was_done() {
    let host = TestHost::start().await;
    host.save(quick("quick")).await;
    host.save(asking("asks", &["ask"])).await;
    for _ in 0..3 {
        let path = "/api/workflows/quick/execute?wait=20";
        host.client.post(path, json!({ "input_data": {} })).await.unwrap();
    }
    let waiting = host.execute("asks", json!({})).await;
    let cancelled = host.execute("asks", json!({})).await;
    host.client.post(&format!("/api/executions/{cancelled}/cancel"), json!({})).await.unwrap();
    assert_eq!(host.get("/nowhere/at/all?secret=s3cr3t").await.status, 404);

    let found = samples(&host).await;
    let of = |series: &str| found.get(series).copied().unwrap_or_else(|| panic!("no {series} in {found:#?}"));
    assert_eq!(of("weir_executions_started_total{trigger=\"manual\"}"), 5.0);
    assert_eq!(of("weir_executions_ended_total{trigger=\"manual\",status=\"completed\"}"), 3.0);
    assert_eq!(of("weir_executions_ended_total{trigger=\"manual\",status=\"cancelled\"}"), 1.0);
    assert_eq!(of("weir_execution_duration_seconds_count{trigger=\"manual\",status=\"completed\"}"), 3.0);
    assert_eq!(of("weir_step_duration_seconds_count{type=\"condition\",status=\"completed\"}"), 3.0);
    assert_eq!(of("weir_step_duration_seconds_count{type=\"human\",status=\"cancelled\"}"), 1.0);
    let execute = "route=\"/api/workflows/{workflow}/execute\",method=\"post\"";
    assert_eq!(of(&format!("weir_http_requests_total{{{execute},status=\"200\"}}")), 3.0);
    assert_eq!(of(&format!("weir_http_requests_total{{{execute},status=\"202\"}}")), 2.0);
    assert_eq!(of(&format!("weir_http_request_duration_seconds_count{{{execute}}}")), 5.0);
    assert_eq!(of("weir_http_requests_total{route=\"other\",method=\"other\",status=\"404\"}"), 1.0);
    assert!(of("weir_commit_appends_count") >= 4.0 && of("weir_commit_duration_seconds_count") >= 4.0);
    assert_eq!((of("weir_ready"), of("weir_writes_waiting")), (1.0, 0.0));
    assert!(!found.keys().any(|series| series.contains("s3cr3t") || series.contains("nowhere")), "{found:#?}");

    let log = host.client.get("/api/executions?limit=199").await.unwrap();
    let events: f64 = {
        let mut events = 0;
        for row in log["items"].as_array().unwrap() {
            let path = format!("/api/executions/{}/events?format=json&limit=199", row["id"].as_str().unwrap());
            events += host.client.get(&path).await.unwrap()["items"].as_array().unwrap().len();
        }
        f64::from(u32::try_from(events).unwrap())
    };
    assert_eq!(of("weir_events_stored_total"), events, "every event of every log was counted once");

    let answer = json!({ "option_id": "yes" });
    let host = host.restart().await;
    host.client.post(&format!("/api/executions/{waiting}/approve"), answer).await.unwrap();
    host.until("it has ended", async || {
        host.client.get(&format!("/api/executions/{waiting}")).await.unwrap()["status"] == "completed"
    })
    .await;
    host.until("what ended after the restart is counted, with the time before it", async || {
        let found = samples(&host).await;
        found.get("weir_step_duration_seconds_count{type=\"human\",status=\"completed\"}") == Some(&1.0)
            && found.get("weir_executions_ended_total{trigger=\"manual\",status=\"completed\"}") == Some(&1.0)
            && !found.contains_key("weir_executions_started_total{trigger=\"manual\"}")
    })
    .await;
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_read_it_where_an_operator_says_so() {
    let host = TestHost::start().await;
    assert_eq!(host.send("GET", "/metrics", "", &Value::Null).await.status, 401);
    host.running.stop().await;
    let host = TestHost::with(|config| config.metrics_public = true).await;
    let answer = host.send("GET", "/metrics", "", &Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(host.send("GET", "/api/executions", "", &Value::Null).await.status, 401, "and nothing else");
    host.running.stop().await;
}
