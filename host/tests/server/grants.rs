//! What plugins ask for and what they are granted, over the API.

use axum::http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use weir_engine::json::Json;
use weir_host::{client::Sent, store::NewPlugin};

use super::support::{TestHost, code};

/// Puts a plugin into the store that asks for something; it is never called.
async fn install(host: &TestHost, version: &str, asks: &Value) -> String {
    let bytes = bytes::Bytes::from(format!("web {version}"));
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let new = NewPlugin {
        name: "web".to_owned(),
        version: version.to_owned(),
        digest: digest.clone(),
        descriptor: Json::from_value(json!({ "name": "web", "version": version, "asks": asks, "agents": [
            { "name": "reader", "tools": ["text.count"] },
        ] })),
        imports: Vec::new(),
        bytes,
        installed_by: "test".to_owned(),
    };
    host.running.store().install_plugin(new).await.unwrap();
    digest
}

async fn grant(host: &TestHost, body: Value) -> Value {
    host.client.send(Method::PUT, "/api/plugins/web/grants", Sent::Json(body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_grants_all_or_less_or_nothing() {
    let host = TestHost::start().await;
    let digest = install(&host, "1.0.0", &json!({ "hosts": ["*.example.com"], "models": ["*"], "kv": true })).await;
    let store = host.running.store().clone();

    let page = host.client.get("/api/plugins/web/grants").await.unwrap();
    let first = &page["items"][0];
    assert_eq!((&first["status"], &first["granted"]["models"]), (&json!("pending"), &json!([])));
    assert_eq!(first["asks"]["tools"], json!([{ "tool": "text.count" }]));
    let missing = ["host *.example.com with GET, HEAD", "model *", "tool text.count", "a store of 1048576 bytes"]
        .map(Value::from);
    assert_eq!(first["missing"], Value::from(missing.to_vec()));

    let terms = json!({ "tool": "text.count", "approval": "required", "timeout_minutes": 10 });
    let less =
        json!({ "hosts": [{ "host": "api.example.com", "methods": ["GET"] }], "tools": [terms], "models": ["fast"] });
    let view = grant(&host, json!({ "version": "1.0.0", "granted": less })).await;
    assert_eq!((&view["status"], &view["granted_by"]), (&json!("partly"), &json!("admin")));
    assert_eq!(view["granted"]["hosts"], less["hosts"]);
    assert_eq!(view["granted"]["tools"], less["tools"]);
    assert!(store.grants().of(&digest).model("fast"), "it counts at once");

    let view = grant(&host, json!({ "all": true })).await;
    assert_eq!((&view["status"], &view["missing"]), (&json!("granted"), &json!([])));
    assert_eq!(view["granted"], view["asks"]);
    let view = grant(&host, json!({ "nothing": true })).await;
    assert_eq!(view["status"], "partly");
    assert!(store.grants().of(&digest).is_nothing());

    let shown = host.client.get("/api/plugins/web").await.unwrap();
    assert_eq!((&shown["grants_status"], &shown["grants"]["status"]), (&json!("partly"), &json!("partly")));
    let listed = host.client.get("/api/plugins").await.unwrap();
    assert_eq!(listed["items"][0]["grants_status"], "partly");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_asked_for_is_not_granted() {
    let host = TestHost::start().await;
    install(&host, "1.0.0", &json!({ "hosts": ["api.example.com"], "secrets": ["key"] })).await;
    let put = async |body: Value| host.client.send(Method::PUT, "/api/plugins/web/grants", Sent::Json(body)).await;
    let wanted = json!({ "granted": { "hosts": ["api.example.com", "evil.example"], "secrets": ["*"], "kv": true } });
    let refused = host
        .request("PUT", "/api/plugins/web/grants", "content-type: application/json\r\n", wanted.to_string().as_bytes())
        .await;
    assert_eq!(refused.status, 422, "{refused:?}");
    refused.assert_problem();
    let problem = refused.json();
    assert_eq!(problem["code"], "not_asked_for");
    let fields: Vec<&str> = problem["errors"].as_array().unwrap().iter().filter_map(|e| e["field"].as_str()).collect();
    assert_eq!(fields, ["/granted/hosts/1", "/granted/secrets/0", "/granted/kv"]);
    for wrong in [
        json!({}),
        json!({ "all": true, "nothing": true }),
        json!({ "all": true, "granted": {} }),
        json!({ "granted": [] }),
        json!({ "granted": { "files": ["/"] } }),
        json!({ "granted": { "hosts": ["a b"] } }),
        json!({ "granted": { "tools": [{ "tool": "text.count", "approval": "never" }] } }),
        json!({ "grant": "all" }),
    ] {
        assert_eq!(code(put(wrong.clone()).await), "invalid_fields", "{wrong}");
    }
    assert_eq!(code(put(json!({ "all": true, "version": "9.9.9" })).await), "plugin_not_found");
    assert!(host.running.store().grant_rows().await.unwrap().values().all(|row| row.granted.is_nothing()));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_about_one_version_and_in_the_audit_log() {
    let host = TestHost::start().await;
    install(&host, "1.0.0", &json!({ "models": ["fast"] })).await;
    grant(&host, json!({ "all": true })).await;
    install(&host, "1.1.0", &json!({ "models": ["fast", "smart"] })).await;
    let page = host.client.get("/api/plugins/web/grants").await.unwrap();
    let told: Vec<(&Value, &Value, &Value)> =
        page["items"].as_array().unwrap().iter().map(|v| (&v["version"], &v["status"], &v["carried_from"])).collect();
    let (new, old) = (json!("1.1.0"), json!("1.0.0"));
    assert_eq!(told, [(&new, &json!("pending"), &old), (&old, &json!("granted"), &Value::Null)]);
    grant(&host, json!({ "version": "1.0.0", "nothing": true })).await;
    let page = host.client.get("/api/plugins/web/grants").await.unwrap();
    assert_eq!(page["items"][0]["granted"]["models"], json!(["fast"]), "the other version keeps its own");

    let rows = host.audit("&act=plugin.grant").await;
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["object"], &rows[0]["actor"]), (&json!("web@1.0.0"), &json!("admin")));
    assert_eq!(rows[1]["details"]["granted"]["models"], json!(["fast"]));
    let (_, viewer) = host.token("viewer", &["viewer"]).await;
    assert_eq!(host.send("GET", "/api/plugins/web/grants", &viewer, &Value::Null).await.status, 200);
    let (_, author) = host.token("author", &["author"]).await;
    assert_eq!(host.send("PUT", "/api/plugins/web/grants", &author, &json!({ "all": true })).await.status, 403);
    host.running.stop().await;
}
