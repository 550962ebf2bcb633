//! The predecessor's API.

use serde_json::{Value, json};

use super::support::{TestHost, asking, quick};

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_the_predecessor_find_what_they_know() {
    let host = TestHost::start().await;
    let saved = host.client.post("/agents/workflows", asking("asks", &["ask"])).await.unwrap();
    let id = saved["id"].as_str().unwrap();
    assert_eq!((&saved["is_active"], &saved["steps"][0]["id"]), (&json!(true), &json!("ask")));
    let listed = host.client.get("/agents/workflows?skip=0").await.unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let started =
        host.client.post(&format!("/agents/workflows/{id}/execute"), json!({ "input_data": {} })).await.unwrap();
    let execution = started["execution_id"].as_str().unwrap();
    let shown = host.client.get(&format!("/agents/workflows/executions/{execution}")).await.unwrap();
    for field in ["usage_requests", "usage_input_tokens", "usage_output_tokens", "usage_tool_calls"] {
        assert_eq!(shown[field], 0, "{field} in {shown}");
    }
    assert_eq!((&shown["usage"], &shown["status"]), (&Value::Null, &json!("awaiting_human")));
    let answer = json!({ "option_id": "yes", "comment": "fine" });
    let path = format!("/agents/workflows/executions/{execution}/approve");
    assert_eq!(host.client.post(&path, answer).await.unwrap()["decision"]["option_id"], "yes");
    let steps = host.client.get(&format!("/agents/workflows/executions/{execution}/steps")).await.unwrap();
    assert_eq!(steps.as_array().unwrap()[0]["usage_requests"], 0, "{steps}");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_called_stopped_there_only() {
    let host = TestHost::start().await;
    host.save(asking("asks", &["ask"])).await;
    host.save(quick("executions")).await;
    let id = host.execute("asks", json!({})).await;
    let stopped = host.client.post(&format!("/agents/workflows/executions/{id}/stop"), json!({})).await.unwrap();
    assert_eq!(stopped["status"], "stopped");
    let old = host.client.get("/agents/workflows/asks/executions").await.unwrap();
    assert_eq!(old[0]["status"], "stopped", "{old}");
    assert_eq!(host.client.get(&format!("/api/executions/{id}")).await.unwrap()["status"], "cancelled");
    let put = host
        .request(
            "PUT",
            "/agents/workflows/asks",
            "content-type: application/json\r\n",
            asking("asks", &["other"]).to_string().as_bytes(),
        )
        .await;
    assert_eq!((put.status, &put.json()["version"]), (200, &json!(2)));
    assert_eq!(host.request("DELETE", "/agents/workflows/asks", "", b"").await.status, 204);
    assert_eq!(host.get("/agents/workflows/asks").await.status, 404);
    host.running.stop().await;
}
