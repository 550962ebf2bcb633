//! What the API does, noun by noun.

use axum::http::Method;
use serde_json::json;
use weir_host::client::Sent;

use super::support::{TestHost, asking, code, quick};

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_saved_in_versions_and_deleted() {
    let host = TestHost::start().await;
    let api = &host.client;
    let first = host.save(quick("flow")).await;
    assert_eq!((&first["version"], &first["new_version"]), (&json!(1), &json!(true)));
    assert_eq!(code(api.post("/api/workflows", quick("FLOW")).await), "name_taken");

    let same = api.send(Method::PUT, "/api/workflows/flow", Sent::Json(quick("flow"))).await.unwrap();
    assert_eq!((&same["version"], &same["new_version"]), (&json!(1), &json!(false)));
    let mut changed = quick("flow");
    changed["description"] = json!("new words");
    let path = "/api/workflows/flow?expected_version=1";
    let second = api.send(Method::PUT, path, Sent::Json(changed.clone())).await.unwrap();
    assert_eq!(second["version"], 2);
    assert_eq!(code(api.send(Method::PUT, path, Sent::Json(changed)).await), "version_conflict");

    let shown = api.get("/api/workflows/flow").await.unwrap();
    assert_eq!((&shown["version"], &shown["description"]), (&json!(2), &json!("new words")));
    let versions = api.get("/api/workflows/flow/versions").await.unwrap();
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/api/workflows/flow/versions/1").await.unwrap()["definition"], quick("flow"));

    let id = first["id"].as_str().unwrap();
    api.send(Method::DELETE, &format!("/api/workflows/{id}"), Sent::Nothing).await.unwrap();
    assert_eq!(code(api.get("/api/workflows/flow").await), "workflow_not_found");
    host.save(quick("flow")).await;
    assert_eq!(api.get(&format!("/api/workflows/{id}/versions/2")).await.unwrap()["version"], 2, "history stays");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_definition_is_refused_with_all_problems() {
    let host = TestHost::start().await;
    let wrong = json!({ "name": "", "steps": [
        { "id": "1bad", "type": "tool", "tool": "nobody.has_this" },
        { "id": "b", "type": "dance" },
        { "id": "c", "type": "condition", "condition": { "field": "$.nowhere.x", "operator": "like" } },
    ], "input_schema": { "type": "nonsense" } });
    let refused = host.post("/api/workflows", &wrong).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    refused.assert_problem();
    let problem = refused.json();
    assert_eq!(problem["code"], "invalid_workflow");
    assert!(problem["errors"].as_array().unwrap().len() >= 4, "{problem:#}");
    for error in problem["errors"].as_array().unwrap() {
        assert!(error["field"].is_string() && error["message"].is_string() && error["code"].is_string(), "{error}");
    }
    let validated = host.client.post("/api/workflows/validate", wrong).await.unwrap();
    assert_eq!(validated["valid"], false);
    assert_eq!(validated["errors"], problem["errors"]);
    assert_eq!(host.get("/api/workflows").await.json()["items"], json!([]), "nothing is half stored");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let host = TestHost::start().await;
    for n in 0..5 {
        host.save(quick(&format!("flow_{n}"))).await;
    }
    let (mut names, mut path) = (Vec::new(), "/api/workflows?limit=2".to_owned());
    loop {
        let page = host.client.get(&path).await.unwrap();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/workflows?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["flow_0", "flow_1", "flow_2", "flow_3", "flow_4"]);
    let found = host.client.get("/api/workflows?search=_3").await.unwrap();
    assert_eq!(found["items"][0]["name"], "flow_3");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_started_waited_for_and_shown() {
    let host = TestHost::start().await;
    let api = &host.client;
    host.save(quick("flow")).await;
    let body = json!({ "input_data": { "a": 1 } });
    let ended = api.post("/api/workflows/flow/execute?wait=20", body.clone()).await.unwrap();
    assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &json!({ "seen": { "a": 1 } })));
    assert!(ended["duration_seconds"].as_f64().unwrap() >= 0.0);
    let id = ended["id"].as_str().unwrap();
    let shown = api.get(&format!("/api/executions/{id}")).await.unwrap();
    assert_eq!(shown, ended, "the answer is what the store says");
    let steps = api.get(&format!("/api/executions/{id}/steps")).await.unwrap();
    assert_eq!(steps["items"][0]["path"], "is_set");
    assert_eq!(steps["items"][0]["output_data"]["result"], true);
    let listed = api.get("/api/workflows/flow/executions").await.unwrap();
    assert_eq!(listed["items"][0]["id"], id);
    let listed = api.get("/api/executions?status=completed&workflow=flow").await.unwrap();
    assert_eq!(listed["items"][0]["id"], id);

    let accepted = host.post("/api/workflows/flow/execute", &body).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    assert!(accepted.json()["execution_id"].is_string() && accepted.json()["message"].is_string());
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_start_is_refused() {
    let host = TestHost::start().await;
    let api = &host.client;
    let mut inactive = quick("inactive");
    inactive["active"] = json!(false);
    host.save(inactive).await;
    assert_eq!(code(api.post("/api/workflows/inactive/execute", json!({})).await), "workflow_inactive");
    assert_eq!(code(api.post("/api/workflows/missing/execute", json!({})).await), "workflow_not_found");

    let mut strict = quick("strict");
    strict["input_schema"] =
        json!({ "type": "object", "required": ["a"], "properties": { "b": { "type": "integer" } } });
    host.save(strict).await;
    let refused = host.post("/api/workflows/strict/execute", &json!({ "input_data": { "b": "x" } })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("invalid_input")));
    let fields: Vec<_> = refused.json()["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert!(fields.contains(&json!("/input_data")) && fields.contains(&json!("/input_data/b")), "{fields:?}");

    host.save(quick("flow")).await;
    for guardrails in [json!({ "tool_call_limit": 1 }), json!({ "timeout_seconds": -1 }), json!([]), json!("x")] {
        let body = json!({ "guardrails": guardrails });
        assert_eq!(code(api.post("/api/workflows/flow/execute", body).await), "invalid_guardrails");
    }
    assert_eq!(code(api.post("/api/workflows/flow/execute", json!({ "inputs": {} })).await), "invalid_fields");
    assert_eq!(code(api.post("/api/workflows/flow/execute?wait=61", json!({})).await), "invalid_query");
    assert_eq!(api.get("/api/executions").await.unwrap()["items"], json!([]), "nothing was started");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_tighten_the_limits() {
    let host = TestHost::start().await;
    host.save(quick("flow")).await;
    let body = json!({ "guardrails": { "max_steps": 0 } });
    let ended = host.client.post("/api/workflows/flow/execute?wait=20", body).await.unwrap();
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("guardrail_exceeded")));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_counts() {
    let host = TestHost::start().await;
    let api = &host.client;
    host.save(asking("ask", &["a"])).await;
    let id = host.execute("ask", json!({})).await;
    let approve = format!("/api/executions/{id}/approve");
    assert_eq!(code(api.post(&approve, json!({ "option_id": "perhaps" })).await), "invalid_decision");
    assert_eq!(code(api.post(&approve, json!({})).await), "invalid_decision");
    assert_eq!(code(api.post(&approve, json!({ "option_id": "yes", "approval_id": 999 })).await), "approval_not_found");
    let open = api.get("/api/approvals?workflow=ask").await.unwrap();
    assert_eq!(open["items"][0]["execution_id"], id);
    let taken = api.post(&approve, json!({ "option_id": "yes", "comment": "fine" })).await.unwrap();
    assert_eq!(taken["decision"]["comment"], "fine");
    let late = host.post(&approve, &json!({ "option_id": "no" })).await;
    assert_eq!((late.status, &late.json()["code"]), (409, &json!("already_decided")));
    assert_eq!(late.json()["details"]["approval"]["decision"]["option_id"], "yes", "{late:?}");
    assert_eq!(api.get("/api/approvals").await.unwrap()["items"], json!([]));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_questions_want_an_id() {
    let host = TestHost::start().await;
    let api = &host.client;
    let both = asking("inner", &["a", "b"])["steps"].clone();
    host.save(json!({ "name": "both", "steps": [{ "id": "p", "type": "parallel", "parallel_steps": both }] })).await;
    let id = host.execute("both", json!({})).await;
    let approve = format!("/api/executions/{id}/approve");
    let refused = host.post(&approve, &json!({ "option_id": "yes" })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("approval_ambiguous")));
    for open in refused.json()["details"]["approvals"].as_array().unwrap() {
        let answer = json!({ "option_id": "yes", "approval_id": open["approval_id"] });
        api.post(&approve, answer).await.unwrap();
    }
    let listed = api.get(&format!("/api/executions/{id}/approvals")).await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(listed["items"].as_array().unwrap().iter().all(|item| item["status"] == "decided"), "{listed:#}");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_execution_stays_cancelled() {
    let host = TestHost::start().await;
    let api = &host.client;
    host.save(asking("ask", &["a"])).await;
    let id = host.execute("ask", json!({})).await;
    let cancel = format!("/api/executions/{id}/cancel");
    let cancelled = api.post(&cancel, json!({ "reason": "enough" })).await.unwrap();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(api.get(&format!("/api/executions/{id}")).await.unwrap()["status"], "cancelled");
    assert_eq!(code(api.post(&cancel, json!({})).await), "execution_ended");
    let late = api.post(&format!("/api/executions/{id}/approve"), json!({ "option_id": "yes" })).await;
    assert_eq!(code(late), "already_decided");
    let missing = "/api/executions/0193b0a0-0000-7000-8000-000000000000";
    assert_eq!(code(api.get(missing).await), "execution_not_found");
    assert_eq!(code(api.post(&format!("{missing}/cancel"), json!({})).await), "execution_not_found");
    assert_eq!(code(api.post(&format!("{missing}/approve"), json!({})).await), "execution_not_found");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definitions_schema_is_served() {
    let host = TestHost::start().await;
    let schema = host.client.get("/api/schema/workflow").await.unwrap();
    assert!(schema["properties"]["steps"].is_object(), "{schema:#}");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_cannot_be_used_are_named_by_their_place_beside_other_problems() {
    let host = TestHost::start().await;
    let asks = json!({ "id": "ask", "type": "human", "human_config": { "form_schema": { "type": "nonsense" } } });
    let looped = json!({ "id": "all", "type": "loop", "loop_config": { "items_path": "$.input.x", "steps": [asks] } });
    let broken = json!({ "id": "b", "type": "dance" });
    let wrong = json!({ "name": "w", "input_schema": { "type": "nonsense" }, "steps": [looped, broken] });
    let found = host.client.post("/api/workflows/validate", wrong).await.unwrap();
    let fields: Vec<_> = found["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    for place in ["/steps/0/loop_config/steps/0/human_config/form_schema", "/input_schema", "/steps/1/type"] {
        assert!(fields.iter().any(|field| field.starts_with(place)), "{place} is not in {fields:?}");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_full_effect_though_its_client_went_away() {
    let host = TestHost::start().await;
    host.save(quick("flow")).await;
    for n in 0..30 {
        let mut changed = quick("flow");
        changed["description"] = json!(format!("words {n}"));
        host.client.get("/api/workflows/flow").await.unwrap();
        host.send_and_leave("PUT", "/api/workflows/flow", &changed).await;
        // Whether or not the change was made: what is shown is what is stored.
        host.until("the newest version is shown", async || {
            let newest = host.client.get("/api/workflows/flow/versions").await.unwrap();
            let shown = host.client.get("/api/workflows/flow").await.unwrap();
            newest["items"][0]["version"] == shown["version"]
        })
        .await;
    }
    host.running.stop().await;
}
