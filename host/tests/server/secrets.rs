//! Secrets over the API: in, and never out.

use serde_json::{Value, json};

use super::support::{Answer, TestHost};

const VALUE: &str = "hunter2/hunter2+hunter2";

impl TestHost {
    async fn set_secret(&self, name: &str, body: &Value) -> Answer {
        let head = format!("authorization: Bearer {}\r\n", self.running.token().token);
        self.send("PUT", &format!("/api/secrets/{name}"), &head, body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_a_secret_goes_in_and_never_out() {
    let host = TestHost::start().await;
    let body = json!({ "value": VALUE, "hosts": ["api.example.com"] });
    let made = host.set_secret("search-key", &body).await;
    assert_eq!((made.status, &made.json()["hosts"]), (201, &json!(["api.example.com"])), "{made:?}");
    let replaced = host.set_secret("search-key", &json!({ "value": format!("{VALUE}!") })).await;
    assert_eq!((replaced.status, replaced.json()["hosts"] == json!([])), (200, true), "{replaced:?}");
    let page = host.client.get("/api/secrets").await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert!(page["items"][0]["rotated_at"].is_string() && page["items"][0]["set_by"] == "admin", "{page}");
    let audit = host.client.get("/api/audit").await.unwrap();
    let acts: Vec<&Value> = audit["items"].as_array().unwrap().iter().map(|row| &row["act"]).collect();
    assert_eq!(acts, [&json!("secret.rotate"), &json!("secret.set")]);

    let host = host.restart().await;
    assert_eq!(host.request("DELETE", "/api/secrets/search-key", "", b"").await.status, 204);
    let missing = host.request("DELETE", "/api/secrets/search-key", "", b"").await;
    assert_eq!((missing.status, &missing.json()["code"]), (404, &json!("secret_not_found")));
    for shown in [made.body, replaced.body, page.to_string(), audit.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_named_without_its_value() {
    let host = TestHost::start().await;
    let hosts: Vec<String> = (0..17).map(|n| format!("h{n}.example")).collect();
    for (name, body, field) in [
        ("Upper", json!({ "value": VALUE }), ""),
        ("key", json!({ "value": "hunter2" }), "/value"),
        ("key", json!({ "value": "hunter2\nhunter2" }), "/value"),
        ("key", json!({ "value": VALUE, "hosts": ["https://a.example"] }), "/hosts"),
        ("key", json!({ "value": VALUE, "hosts": hosts }), "/hosts"),
    ] {
        let answer = host.set_secret(name, &body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid_fields")), "{answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
        assert!(!answer.body.contains("hunter2"), "{answer:?}");
        answer.assert_problem();
    }
    let without = host.set_secret("key", &json!({ "hosts": ["evil.example"] })).await;
    assert_eq!(without.status, 422, "hosts do not change without the value");
    assert!(host.client.get("/api/secrets").await.unwrap()["items"].as_array().unwrap().is_empty());
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_secrets_and_no_more() {
    let host = TestHost::start().await;
    for n in 0..weir_host::secrets::SECRETS_MAX {
        let body = json!({ "value": format!("{VALUE}-{n}") });
        assert_eq!(host.set_secret(&format!("key-{n}"), &body).await.status, 201);
    }
    let more = host.set_secret("one-more", &json!({ "value": VALUE })).await;
    assert_eq!((more.status, &more.json()["code"]), (409, &json!("too_many")));
    let replaced = host.set_secret("key-7", &json!({ "value": VALUE })).await;
    assert_eq!(replaced.status, 200, "one that is there is replaced");
    host.running.stop().await;
}
