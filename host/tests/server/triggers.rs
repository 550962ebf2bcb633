//! Triggers over HTTP.

use axum::http::Method;
use serde_json::{Value, json};
use weir_host::client::Sent;

use super::support::{TestHost, code, quick};

fn triggered(name: &str, triggers: Value) -> Value {
    let mut definition = quick(name);
    definition["triggers"] = triggers;
    definition
}

fn yearly() -> Value {
    json!({ "type": "cron", "id": "yearly", "config": { "schedule": "0 0 1 1 *", "input": { "a": 1 } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_listed_shown_and_switched() {
    let host = TestHost::start().await;
    let api = &host.client;
    let saved =
        host.save(triggered("flow", json!([yearly(), { "type": "webhook", "config": { "path": "in" } }]))).await;
    host.save(triggered("other", json!([yearly()]))).await;
    let triggers = &saved["triggers"];
    assert_eq!((&triggers[0]["key"], &triggers[1]["key"]), (&json!("yearly"), &json!("webhook#1")));
    assert_eq!(triggers[1]["url_path"], "/webhooks/in");
    assert_eq!(&api.get("/api/workflows/flow").await.unwrap()["triggers"], triggers);

    let count =
        async |query: &str| api.get(&format!("/api/triggers{query}")).await.unwrap()["items"].as_array().unwrap().len();
    assert_eq!((count("").await, count("?workflow=flow").await, count("?type=cron").await), (3, 2, 2));
    let page = api.get("/api/triggers?limit=2").await.unwrap();
    assert_eq!(count(&format!("?cursor={}", page["next_cursor"].as_str().unwrap())).await, 1);
    assert_eq!(code(api.get("/api/triggers?type=timer").await), "invalid_query");
    assert_eq!(code(api.get("/api/triggers?workflow=nobody").await), "workflow_not_found");

    let path = format!("/api/triggers/{}", triggers[0]["id"].as_str().unwrap());
    let off = api.post(&format!("{path}/disable"), json!({})).await.unwrap();
    assert_eq!((&off["enabled"], &off["next_at"]), (&json!(false), &Value::Null));
    let on = api.post(&format!("{path}/enable"), json!({})).await.unwrap();
    assert_eq!(on["enabled"], true);
    assert_eq!(on["next_at"], api.get(&format!("{path}/next?n=1")).await.unwrap()["items"][0]);
    assert_eq!(api.get(&format!("{path}/next")).await.unwrap()["items"].as_array().unwrap().len(), 10);
    assert_eq!(code(api.get(&format!("{path}/next?n=101")).await), "invalid_query");
    for strange in ["/api/triggers/x", "/api/triggers/0193b0a0-0000-7000-8000-000000000000"] {
        assert_eq!(code(api.get(strange).await), "trigger_not_found");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_fired_by_hand() {
    let host = TestHost::start().await;
    let api = &host.client;
    let saved = host.save(triggered("flow", json!([yearly()]))).await;
    let path = format!("/api/triggers/{}", saved["triggers"][0]["id"].as_str().unwrap());
    let first = host.post(&format!("{path}/fire"), &json!({})).await;
    assert_eq!(first.status, 202, "{first:?}");
    let id = first.json()["execution_id"].clone();
    let occurrences = api.get(&format!("{path}/occurrences")).await.unwrap();
    assert_eq!((&occurrences["items"][0]["status"], &occurrences["items"][0]["execution_id"]), (&json!("fired"), &id));
    let execution = api.get(&format!("/api/executions/{}", id.as_str().unwrap())).await.unwrap();
    assert_eq!((&execution["trigger_source"], &execution["input_data"]), (&json!("cron"), &json!({ "a": 1 })));
    api.post(&format!("{path}/fire"), json!({ "input_data": { "b": 2 } })).await.unwrap();
    let page = api.get(&format!("{path}/occurrences?limit=1")).await.unwrap();
    let next = format!("{path}/occurrences?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(api.get(&next).await.unwrap()["items"], occurrences["items"]);
    assert_eq!(api.get(&path).await.unwrap()["fired"], 2);

    let mut inactive = triggered("flow", json!([yearly()]));
    inactive["active"] = json!(false);
    api.send(Method::PUT, "/api/workflows/flow", Sent::Json(inactive)).await.unwrap();
    assert_eq!(code(api.post(&format!("{path}/fire"), json!({})).await), "workflow_inactive");
    let shown = api.get(&path).await.unwrap();
    assert_eq!(
        (&shown["workflow_active"], &shown["skipped"], &shown["next_at"]),
        (&json!(false), &json!(1), &Value::Null)
    );
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_triggers_keep_a_workflow_from_being_saved() {
    let host = TestHost::start().await;
    let api = &host.client;
    let wrong = triggered(
        "flow",
        json!([
            { "type": "cron", "config": { "schedule": "0 0 30 2 *" } },
            { "type": "cron", "config": { "schedule": "99 * * * *", "timezone": "Nowhere" } },
            { "type": "webhook", "config": { "path": "../x", "auth": { "secret": "hunter2" } } },
        ]),
    );
    let refused = host.post("/api/workflows", &wrong).await;
    assert_eq!(refused.status, 422);
    refused.assert_problem();
    let fields: Vec<_> = refused.json()["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    for field in [
        "/triggers/0/config/schedule",
        "/triggers/1/config/schedule",
        "/triggers/2/config/path",
        "/triggers/2/config/auth/secret",
    ] {
        assert!(fields.contains(&json!(field)), "{field} is not in {fields:?}");
    }
    assert!(!refused.body.contains("hunter2"));
    let validated = api.post("/api/workflows/validate", wrong).await.unwrap();
    assert_eq!((&validated["valid"], &validated["errors"]), (&json!(false), &refused.json()["errors"]));

    let webhook = json!([{ "type": "webhook", "config": { "path": "mine" } }]);
    host.save(triggered("first", webhook.clone())).await;
    let taken = host.post("/api/workflows", &triggered("second", webhook)).await;
    taken.assert_problem();
    assert_eq!((taken.status, &taken.json()["code"]), (409, &json!("path_taken")));
    assert!(taken.body.contains("first"), "{taken:?}");
    host.running.stop().await;
}
