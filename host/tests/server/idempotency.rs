//! A14: a key starts one execution, however often and however quickly it is sent.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{Answer, TestHost, quick};

async fn execute(host: &TestHost, key: &str, who: Option<&str>, body: &Value) -> Answer {
    let admin = format!("authorization: Bearer {}\r\n", host.running.token().token);
    let head = format!("{}idempotency-key: {key}\r\n", who.unwrap_or(&admin));
    host.send("POST", "/api/workflows/w/execute", &head, body).await
}

fn id(answer: &Answer) -> String {
    answer.json()["execution_id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

async fn count(host: &TestHost) -> usize {
    host.client.get("/api/executions?limit=199").await.unwrap()["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_two_hundred_at_once_start_one_execution() {
    let host = TestHost::start().await;
    host.save(quick("w")).await;
    let body = json!({ "input_data": { "a": 1 } });
    let answers = futures_util::future::join_all((0..200).map(|_| execute(&host, "k", None, &body))).await;
    let mut ids = BTreeSet::new();
    for answer in &answers {
        match answer.status {
            202 => drop(ids.insert(id(answer))),
            409 => {
                assert_eq!(answer.json()["code"], "request_in_flight");
                assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!((ids.len(), count(&host).await), (1, 1));
    let again = execute(&host, "k", None, &body).await;
    assert!(again.status == 202 && again.head.contains("idempotent-replayed: true"), "{again:?}");
    assert!(ids.contains(&id(&again)));
    let host = host.restart().await;
    assert!(ids.contains(&id(&execute(&host, "k", None, &body).await)));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_a_key_is_for_one_request_of_one_principal() {
    let host = TestHost::start().await;
    host.save(quick("w")).await;
    let first = execute(&host, "k", None, &json!({ "input_data": { "a": 1 } })).await;
    assert!(!first.head.contains("idempotent-replayed"), "{first:?}");
    for other in [json!({ "input_data": { "a": 2 } }), json!({}), json!({ "input_data": { "a": 1 }, "guardrails": {} })]
    {
        let answer = execute(&host, "k", None, &other).await;
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("idempotency_key_reused")), "{other}");
    }
    let (_, bot) = host.token("bot", &["operator"]).await;
    let of_bot = execute(&host, "k", Some(&bot), &json!({ "input_data": { "a": 1 } })).await;
    assert_ne!(id(&of_bot), id(&first));
    // What was refused started nothing, so its key is free.
    let wrong = execute(&host, "k2", None, &json!({ "guardrails": { "max_steps": "x" } })).await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert_eq!(execute(&host, "k2", None, &json!({})).await.status, 202);
    for key in ["", &"k".repeat(256), "k\r\nidempotency-key: l"] {
        assert_eq!(execute(&host, key, None, &json!({})).await.status, 400, "{key}");
    }
    host.running.stop().await;
}
