//! API tokens as their holders and the admin see them.

use serde_json::{Value, json};

use super::support::{TestHost, code, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_used_and_revoked() {
    let host = TestHost::start().await;
    let made = host.client.post("/api/tokens", json!({ "name": "ci", "roles": ["operator"] })).await.unwrap();
    let (id, secret) = (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned());
    assert!(secret.starts_with("weir_") && secret.len() >= 64);
    let head = format!("authorization: Bearer {secret}\r\n");
    let me = host.send("GET", "/api/session", &head, &Value::Null).await.json();
    assert_eq!((&me["kind"], &me["actor"], &me["roles"]), (&json!("token"), &json!("token:ci"), &json!(["operator"])));

    let page = host.client.get("/api/tokens").await.unwrap();
    let listed = &page["items"][0];
    assert!(listed["last_used_at"].is_string() && listed["revoked_at"].is_null(), "{listed}");
    assert!(!page.to_string().contains(&secret[5..]), "the secret is not told again");

    let host = host.restart().await;
    assert_eq!(host.send("GET", "/api/workflows", &head, &Value::Null).await.status, 200);
    assert!(host.client.get("/api/tokens").await.unwrap()["items"][0]["last_used_at"].is_string());
    let taken = host.client.post("/api/tokens", json!({ "name": "CI", "roles": ["viewer"] })).await;
    assert_eq!(code(taken), "name_taken");

    let path = format!("/api/tokens/{id}");
    assert_eq!(host.request("DELETE", &path, "", b"").await.status, 200);
    assert_eq!(host.send("GET", "/api/workflows", &head, &Value::Null).await.status, 401);
    assert_eq!(host.request("DELETE", &path, "", b"").await.status, 404);
    host.token("ci", &["viewer"]).await;
    let host = host.restart().await;
    assert_eq!(host.send("GET", "/api/workflows", &head, &Value::Null).await.status, 401);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires() {
    let host = TestHost::start().await;
    let soon = jiff_in(1);
    let body = json!({ "name": "short", "roles": ["viewer"], "expires_at": soon });
    let made = host.client.post("/api/tokens", body).await.unwrap();
    let head = format!("authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    assert_eq!(host.send("GET", "/api/workflows", &head, &Value::Null).await.status, 200);
    let mut turns = tokio::time::interval(std::time::Duration::from_millis(50));
    loop {
        turns.tick().await;
        let answer = host.send("GET", "/api/workflows", &head, &Value::Null).await;
        if answer.status == 401 {
            break;
        }
        assert!(std::time::SystemTime::now() < std::time::UNIX_EPOCH + until(&soon), "it does not expire");
    }
    let past =
        host.client.post("/api/tokens", json!({ "name": "past", "roles": ["viewer"], "expires_at": soon })).await;
    assert_eq!(code(past), "invalid_fields");
    host.running.stop().await;
}

fn jiff_in(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

/// The instant, and time for a last request.
fn until(instant: &str) -> std::time::Duration {
    let instant: jiff::Timestamp = instant.parse().unwrap();
    std::time::Duration::from_millis(u64::try_from(instant.as_millisecond()).unwrap() + 2_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_not_made() {
    let host = TestHost::start().await;
    for body in [
        json!({ "name": "", "roles": ["viewer"] }),
        json!({ "name": " x", "roles": ["viewer"] }),
        json!({ "name": "a\nb", "roles": ["viewer"] }),
        json!({ "name": "x".repeat(65), "roles": ["viewer"] }),
        json!({ "name": "x", "roles": [] }),
        json!({ "name": "x", "roles": ["root"] }),
        json!({ "name": "x" }),
        json!({ "name": "x", "roles": ["viewer"], "token": "mine" }),
    ] {
        let answer = host.post("/api/tokens", &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        answer.assert_problem();
    }
    assert!(host.client.get("/api/tokens").await.unwrap()["items"].as_array().unwrap().is_empty());
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_stands_in_what_they_did() {
    let host = TestHost::start().await;
    host.save(super::support::asking("asks", &["a"])).await;
    let (_, head) = host.token("bot", &["operator", "approver"]).await;
    let started = host.send("POST", "/api/workflows/asks/execute", &head, &json!({})).await;
    assert_eq!(started.status, 202, "{started:?}");
    let id = started.json()["execution_id"].as_str().unwrap().to_owned();
    let events = host.client.get(&format!("/api/executions/{id}/events?format=json")).await.unwrap();
    assert_eq!(events["items"][0]["data"]["trigger"]["started_by"], "token:bot", "{events}");
    let path = format!("/api/executions/{id}/approve");
    let approved = host.send("POST", &path, &head, &json!({ "option_id": "yes" })).await;
    assert_eq!(approved.status, 200, "{approved:?}");
    assert_eq!(approved.json()["decision"]["decided_by"], "token:bot");
    let row = &host.audit("&act=approval.decide").await[0];
    assert_eq!((&row["actor"], &row["object"], &row["outcome"]), (&json!("token:bot"), &json!(id), &json!("done")));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_guesses_are_told_to_wait_and_the_right_token_passes() {
    let host = TestHost::start().await;
    let mut unauthorized = 0;
    for guess in 0..1_000 {
        let head = format!("authorization: Bearer weir_{guess}\r\n");
        let answer = host.send("GET", "/api/workflows", &head, &Value::Null).await;
        match answer.status {
            401 => unauthorized += 1,
            429 => assert!(answer.head.contains("retry-after: "), "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
    assert!((100..=110).contains(&unauthorized), "{unauthorized}");
    assert_eq!(host.get("/api/workflows").await.status, 200);
    assert_eq!(host.send("GET", "/api/workflows", "", &Value::Null).await.status, 401);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_other_hosts_names_are_refused() {
    let host = TestHost::start().await;
    let token = &host.running.token().token;
    let ask = async |line: &str, head: &str| {
        let request =
            format!("GET {line} HTTP/1.1\r\n{head}connection: close\r\nauthorization: Bearer {token}\r\n\r\n");
        host.raw(request.as_bytes()).await
    };
    for head in ["host: localhost:1\r\n", "host: x\r\n", "host: 127.0.0.1\r\n"] {
        assert_eq!(ask("/api/workflows", head).await.status, 200, "{head}");
    }
    for head in
        ["", "host: evil.example\r\n", "host: x\r\nhost: x\r\n", "host: evil.example\r\nx-forwarded-host: x\r\n"]
    {
        let answer = ask("/api/workflows", head).await;
        assert_eq!(answer.status, 421, "{head}: {answer:?}");
        answer.assert_problem();
    }
    assert_eq!(ask("http://evil.example/api/workflows", "host: x\r\n").await.status, 421);
    // A line break cannot get into a header: what follows it is another header, or no request at all.
    assert_eq!(ask("/api/workflows%0d%0ahost:%20evil", "host: x\r\n").await.status, 404);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_workflows_whose_names_look_the_same_are_the_same() {
    let host = TestHost::start().await;
    host.save(super::support::quick("Café ﬀ")).await;
    let again = host.client.post("/api/workflows", super::support::quick("cafe\u{301} FF")).await;
    assert_eq!(code(again), "name_taken");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_where_owners_only_change_workflows_nobody_else_does() {
    let host = TestHost::start().await;
    let (_, ann) = host.token("ann", &["author"]).await;
    let (_, bob) = host.token("bob", &["author"]).await;
    let mut flow = quick("flow");
    flow["trigger"] = json!({ "type": "webhook", "config": { "path": "in" } });
    let saved = host.send("POST", "/api/workflows", &ann, &flow).await.json();
    assert_eq!(saved["owner"], "token:ann", "{saved}");
    flow["description"] = json!("changed by an author");
    assert_eq!(host.send("PUT", "/api/workflows/flow", &bob, &flow).await.status, 200, "every author, by default");
    let trigger = format!("/api/triggers/{}", saved["triggers"][0]["id"].as_str().unwrap());

    let host = host.restart_with(|config| config.owners_only = true).await;
    let listed = async |head: &str| {
        let page = host.send("GET", "/api/workflows?mine=true", head, &Value::Null).await.json();
        page["items"].as_array().unwrap().iter().map(|item| item["owner"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((listed(&ann).await, listed(&bob).await), (vec![json!("token:ann")], vec![]));
    let secret = json!({ "secret": "a-secret-of-some-length" });
    let (switch, secrets) = (format!("{trigger}/disable"), format!("{trigger}/secrets"));
    let acts = [
        ("PUT", "/api/workflows/flow", &flow, "workflow.update"),
        ("PUT", "/agents/workflows/flow", &flow, "workflow.update"),
        ("POST", switch.as_str(), &Value::Null, "trigger.disable"),
        ("POST", &secrets, &secret, "secret.add"),
        ("DELETE", "/agents/workflows/flow", &Value::Null, "workflow.delete"),
        ("DELETE", "/api/workflows/flow", &Value::Null, "workflow.delete"),
    ];
    for (method, path, body, act) in acts {
        let refused = host.send(method, path, &bob, body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")), "{path}: {refused:?}");
        assert!(refused.body.contains("token:ann"), "it does not say whose it is: {refused:?}");
        let row = &host.audit(&format!("&actor=token:bob&act={act}")).await[0];
        assert_eq!(row["outcome"], "refused", "{row}");
    }
    for (method, path, body) in acts.iter().take(4).map(|(method, path, body, _)| (method, path, body)) {
        let done = host.send(method, path, &ann, body).await;
        assert!((200..300).contains(&done.status), "{path}: {done:?}");
    }
    let known = host.send("GET", &secrets, &bob, &Value::Null).await.json();
    let secret = format!("{secrets}/{}", known["items"][0]["id"].as_str().unwrap());
    assert_eq!(host.send("DELETE", &secret, &bob, &Value::Null).await.status, 403);
    assert_eq!(host.send("DELETE", &secret, &ann, &Value::Null).await.status, 204);
    flow["description"] = json!("changed by an admin");
    let (head, text) = ("content-type: application/json\r\n", flow.to_string());
    let changed = host.request("PUT", "/api/workflows/flow", head, text.as_bytes()).await.json();
    assert_eq!(changed["owner"], "token:ann", "the owner stays: {changed}");
    assert_eq!(host.send("DELETE", "/api/workflows/flow", &ann, &Value::Null).await.status, 204);
    host.running.stop().await;
}
