//! Language models as clients see them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_host::models::{KeySource, Micros, ModelConfig, PriceConfig, Provider};

use super::support::TestHost;

async fn host() -> (TestHost, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("rules.yaml");
    let rules =
        "rules: [{when: {contains: fail}, fail: {status: 503, message: tired}}, {answer: {text: 'you said {{last}}'}}]";
    std::fs::write(&script, rules).unwrap();
    let dollar = Micros::new(1_000_000);
    let scripted = ModelConfig {
        script: Some(script),
        price: Some(PriceConfig { input: dollar, cached_input: None, output: dollar }),
        data_class: Some("public".to_owned()),
        ..ModelConfig::new(Provider::Scripted, "demo")
    };
    let hidden = ModelConfig {
        base_url: Some("http://models.internal:8080/v1".to_owned()),
        key: Some(KeySource::Secret("the-provider-key".to_owned())),
        ..ModelConfig::new(Provider::Openai, "big")
    };
    let models = BTreeMap::from([("demo".to_owned(), scripted), ("hidden".to_owned(), hidden)]);
    (TestHost::with(|config| config.models = models).await, directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_without_keys_and_addresses() {
    let (host, _directory) = host().await;
    let page = host.client.get("/api/models").await.unwrap();
    let (demo, hidden) = (&page["items"][0], &page["items"][1]);
    assert_eq!(
        (&demo["alias"], &demo["provider"], &demo["model"]),
        (&json!("demo"), &json!("scripted"), &json!("demo"))
    );
    assert_eq!((&demo["price_status"], &demo["price"]["output"]), (&json!("known"), &json!(1.0)));
    assert_eq!(demo["data_class"], "public");
    assert_eq!((&hidden["price_status"], &hidden["price"]), (&json!("unknown"), &Value::Null));
    assert!(!page.to_string().contains("internal") && !page.to_string().contains("the-provider-key"), "{page}");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_tried_and_its_trial_is_written_down() {
    let (host, _directory) = host().await;
    let tried = host.client.post("/api/models/demo/try", json!({ "text": "hello" })).await.unwrap();
    assert_eq!(
        (&tried["text"], &tried["stop"], &tried["error"]),
        (&json!("you said hello"), &json!("end"), &Value::Null)
    );
    assert_eq!(tried["cost_microdollars"], json!(2 + 4), "{tried}");
    let failed = host.client.post("/api/models/demo/try", json!({ "text": "fail" })).await.unwrap();
    assert_eq!((&failed["error"]["code"], &failed["attempts"][0]["status"]), (&json!("unavailable"), &json!(503)));
    let refused = host.client.post("/api/models/hidden/try", json!({ "text": "hello" })).await.unwrap();
    assert_eq!(refused["error"]["code"], "denied", "{refused}");

    let rows = host.audit("&act=model.try").await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!((&rows[2]["object"], &rows[2]["details"]["provider"]), (&json!("demo"), &json!("scripted")));
    assert!(!format!("{rows:?}").contains("hello"), "what was asked is not written down");

    for wrong in [json!({}), json!({ "text": "" }), json!({ "text": "a", "max_tokens": 0 }), json!({ "txt": "a" })] {
        let (head, body) = ("content-type: application/json\r\n", wrong.to_string());
        let answer = host.request("POST", "/api/models/demo/try", head, body.as_bytes()).await;
        assert_eq!(answer.status, 422, "{wrong}");
    }
    let none =
        host.request("POST", "/api/models/nope/try", "content-type: application/json\r\n", b"{\"text\":\"a\"}").await;
    assert_eq!((none.status, &none.json()["code"]), (404, &json!("model_not_found")));
    host.running.stop().await;
}
