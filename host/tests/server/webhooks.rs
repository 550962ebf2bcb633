//! W1–W5, A3, A10, A17 over real sockets: webhooks start executions, once, and only for who knows the secret.

use serde_json::{Value, json};
use weir_host::{
    store,
    trigger::webhook::{Scheme, sign},
    vault::Secret,
};

use super::support::{Answer, TestHost, code, quick};

/// A workflow that one webhook starts.
fn hooked(name: &str, config: Value) -> Value {
    let mut definition = quick(name);
    definition["trigger"] = json!({ "type": "webhook", "config": config });
    definition["output"] = json!({ "input": "$.input", "trigger": "$.trigger" });
    definition
}

/// A webhook of a running host.
struct Hook<'h> {
    host: &'h TestHost,
    path: String,
    trigger: String,
    scheme: Scheme,
    secret: Secret,
}

impl<'h> Hook<'h> {
    /// Saves a workflow with one webhook at `path`, which the host gives a secret.
    async fn save(host: &'h TestHost, path: &str, scheme: Scheme, mut config: Value) -> Self {
        config["path"] = json!(path);
        config["auth"] = json!({ "scheme": scheme.as_str() });
        let saved = host.save(hooked(path, config)).await;
        let trigger = saved["triggers"][0]["id"].as_str().unwrap().to_owned();
        let secret = Secret::new(saved["secrets"][0]["secret"].as_str().unwrap_or_default());
        Self { host, path: path.to_owned(), trigger, scheme, secret }
    }

    /// Sends a request that is signed with `secret`.
    async fn send_signed(&self, secret: &Secret, id: &str, body: &str) -> Answer {
        let headers = sign(self.scheme, secret, id, store::now(), body.as_bytes()).unwrap();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.send_raw(&format!("content-type: application/json\r\n{lines}"), body.as_bytes()).await
    }

    async fn send(&self, id: &str, body: &str) -> Answer {
        self.send_signed(&self.secret, id, body).await
    }

    /// Sends a request with these head lines, and without the host's token.
    async fn send_raw(&self, head: &str, body: &[u8]) -> Answer {
        post(self.host, &format!("/webhooks/{}", self.path), head, body).await
    }

    async fn deliveries(&self) -> Vec<Value> {
        let page = self.host.client.get(&format!("/api/triggers/{}/deliveries", self.trigger)).await.unwrap();
        page["items"].as_array().unwrap().clone()
    }

    async fn executions(&self) -> usize {
        let page = self.host.client.get(&format!("/api/executions?workflow={}&limit=199", self.path)).await.unwrap();
        page["items"].as_array().unwrap().len()
    }
}

async fn post(host: &TestHost, path: &str, head: &str, body: &[u8]) -> Answer {
    let length = if head.contains("content-length") || head.contains("transfer-encoding") {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}{length}\r\n");
    host.raw(&[request.as_bytes(), body].concat()).await
}

#[tokio::test]
async fn w1_each_scheme_starts_an_execution_and_nobody_else_does() {
    let host = TestHost::start().await;
    for scheme in [Scheme::StandardWebhooks, Scheme::Github, Scheme::Bearer] {
        let hook = Hook::save(&host, scheme.as_str(), scheme, json!({})).await;
        let answer = hook.send("msg_1", r#"{"a": 1}"#).await;
        assert_eq!(answer.status, 202, "{scheme:?}: {answer:?}");
        let accepted = answer.json();
        assert_eq!(accepted["status"], "running");
        let wrong = Secret::new(match scheme {
            Scheme::StandardWebhooks => "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            Scheme::Github | Scheme::Stripe | Scheme::Bearer | Scheme::None => "not the secret at all",
        });
        let first = hook.send_signed(&wrong, "msg_2", r#"{"a": 1}"#).await;
        let second = hook.send_raw("content-type: application/json\r\n", b"{}").await;
        assert_eq!((first.status, second.status), (401, 401));
        assert_eq!(first.body, second.body, "the answer tells nobody what is wrong");
        first.assert_problem();
        assert_eq!(hook.executions().await, 1);
        let deliveries = hook.deliveries().await;
        let verdicts: Vec<_> = deliveries.iter().map(|d| d["verdict"].as_str().unwrap()).collect();
        assert_eq!(verdicts, ["refused", "refused", "started"]);
        assert_eq!(deliveries[2]["execution_id"], accepted["execution_id"]);
        assert!(deliveries[1]["reason"].as_str().unwrap().contains("no secret of the trigger fits"));
    }
}

#[tokio::test]
async fn a_scheme_of_none_has_to_be_said_and_is_audited() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "open", Scheme::None, json!({})).await;
    assert_eq!(hook.send_raw("content-type: application/json\r\n", b"{}").await.status, 202);
    let rows = host.running.store().audit_rows(&store::AuditFilter::default(), None, 10).await.unwrap();
    let row = rows.iter().find(|row| row.act == "trigger.open").expect("a row");
    assert_eq!(row.object.as_deref(), Some("open"));
    assert!(row.details.as_deref().unwrap().contains("\"path\":\"open\""));
    let unsaid = host.save(hooked("unsaid", json!({ "path": "unsaid" }))).await;
    assert!(unsaid["secrets"][0]["secret"].is_string(), "without a word a bearer token is needed");
    let answer = post(&host, "/webhooks/unsaid", "content-type: application/json\r\n", b"{}").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn the_body_becomes_the_input_and_the_rest_the_trigger() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "orders/new", Scheme::Bearer, json!({ "respond": "sync" })).await;
    let token = hook.secret.reveal();
    let head =
        |kind: &str| format!("content-type: {kind}\r\nauthorization: Bearer {token}\r\nx-api-key: k\r\nX-Who: me\r\n");
    let form = "application/x-www-form-urlencoded";
    let answer = post(&host, "/webhooks/orders/new?a=1&a=2&b=x%20y", &head(form), b"n=1&m=a+b").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("x-execution-id: "), "{answer:?}");
    let output = answer.json();
    assert_eq!(output["input"], json!({ "n": "1", "m": "a b" }));
    let trigger = &output["trigger"];
    assert_eq!(
        (&trigger["type"], &trigger["path"], &trigger["method"]),
        (&json!("webhook"), &json!("orders/new"), &json!("POST"))
    );
    assert_eq!(trigger["id"], hook.trigger);
    assert_eq!(trigger["query"], json!({ "a": ["1", "2"], "b": "x y" }));
    assert_eq!(trigger["headers"]["x-who"], "me");
    for secret in ["authorization", "x-api-key"] {
        assert!(trigger["headers"].get(secret).is_none(), "{trigger}");
    }
    let text = post(&host, "/webhooks/orders/new", &head("text/plain"), "größe".as_bytes()).await;
    assert_eq!(text.json()["input"], "größe");
    let page = serde_json::to_string(&hook.deliveries().await).unwrap();
    assert!(!page.contains(token), "{page}");
}

#[tokio::test]
async fn bodies_are_taken_by_declared_type_and_within_the_limit() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "limits", Scheme::Bearer, json!({ "body_limit_bytes": 100 })).await;
    let token = format!("authorization: Bearer {}\r\n", hook.secret.reveal());
    let with = |kind: &str| format!("{token}{kind}");
    let refused = [
        (with(""), &b"{}"[..], 415),
        (with("content-type: application/xml\r\n"), b"<a/>", 415),
        (with("content-type: application/json\r\ncontent-encoding: gzip\r\n"), b"{}", 415),
        (with("content-type: application/json\r\n"), b"{\"a\":1,\"a\":2}", 400),
        (with("content-type: application/json\r\n"), b"\xff", 400),
        (with("content-type: application/json\r\n"), &[b' '; 101], 413),
        (with("content-type: application/json\r\ncontent-length: 1000000000\r\n"), b"", 413),
    ];
    for (head, body, status) in refused {
        let answer = hook.send_raw(&head, body).await;
        assert_eq!(answer.status, status, "{head} {answer:?}");
        answer.assert_problem();
    }
    let chunked = with("content-type: application/json\r\ntransfer-encoding: chunked\r\n");
    let body = format!("65\r\n{}\r\n0\r\n\r\n", " ".repeat(101));
    assert_eq!(hook.send_raw(&chunked, body.as_bytes()).await.status, 413);
    let empty = hook.send_raw(&token, b"").await;
    assert_eq!(empty.status, 202, "{empty:?}");
    let deliveries = hook.deliveries().await;
    assert_eq!(deliveries.iter().filter(|d| d["verdict"] == "refused").count(), 8);
    assert!(deliveries.iter().filter(|d| d["verdict"] == "refused").all(|d| d["body_bytes"].is_null()));
}

#[tokio::test]
async fn a10_no_other_spelling_leads_to_a_webhook() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "a/b", Scheme::None, json!({})).await;
    let head = "content-type: application/json\r\n";
    for path in [
        "/webhooks/a%2fb",
        "/webhooks/a/b/",
        "/webhooks//a/b",
        "/webhooks/a//b",
        "/webhooks/./a/b",
        "/webhooks/A/b",
        "/webhooks/a/%62",
        "/webhooks/../webhooks/a/b",
        "/webhooks/a/b;x",
        "/webhooks/a/b%00",
        "/webhooks/a%2e%2e/b",
        "/webhooks/%2e%2e/%2e%2e/etc/passwd",
        "/webhooks/..",
        "/webhooks/c",
        "/webhooks/",
        "/WEBHOOKS/a/b",
    ] {
        let answer = post(&host, path, head, b"{}").await;
        assert!([401, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    assert_eq!(hook.executions().await, 0);
    let long = format!("/webhooks/{}", "a".repeat(4000));
    assert_eq!(post(&host, &long, head, b"{}").await.status, 404);
    assert_eq!(post(&host, "/webhooks/a/b", head, b"{}").await.status, 202);
    assert_eq!(post(&host, "/agents/webhooks/a/b", head, b"{}").await.status, 202, "the predecessor's path");
    let get = host.get("/webhooks/a/b").await;
    assert_eq!(get.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w3_a_hundred_copies_start_one_execution() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "copies", Scheme::Github, json!({})).await;
    let copies = (0..100).map(|_| hook.send("delivery-1", r#"{"a": 1}"#));
    let answers = futures_util::future::join_all(copies).await;
    let ids: std::collections::HashSet<_> =
        answers.iter().map(|answer| answer.json()["execution_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1);
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(202), count(200)), (1, 99));
    assert!(answers.iter().filter(|a| a.status == 200).all(|a| a.json()["status"] == "duplicate"));
    assert_eq!(hook.executions().await, 1);
    let other = hook.send("delivery-2", r#"{"a": 1}"#).await;
    assert_eq!(other.status, 202);
    assert_eq!(hook.executions().await, 2);
}

#[tokio::test]
async fn w3_a_header_of_the_triggers_choice_names_a_delivery() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "named", Scheme::Bearer, json!({ "dedupe_header": "X-Order" })).await;
    let head = |order: &str| {
        let token = hook.secret.reveal();
        format!("content-type: application/json\r\nauthorization: Bearer {token}\r\n{order}")
    };
    let first = hook.send_raw(&head("x-order: 7\r\n"), b"{}").await;
    let copy = hook.send_raw(&head("X-Order: 7\r\n"), b"{}").await;
    assert_eq!((first.status, copy.status), (202, 200));
    assert_eq!(first.json()["execution_id"], copy.json()["execution_id"]);
    assert_eq!(hook.send_raw(&head("x-order: 8\r\n"), b"{}").await.status, 202);
    assert_eq!(hook.send_raw(&head(""), b"{}").await.status, 202);
    assert_eq!(hook.send_raw(&head(""), b"{}").await.status, 202);
    assert_eq!(hook.send_raw(&head("x-order: 1\r\nx-order: 2\r\n"), b"{}").await.status, 401);
}

#[tokio::test]
async fn w5_a_secret_is_replaced_without_a_refusal() {
    let host = TestHost::start().await;
    for scheme in [Scheme::StandardWebhooks, Scheme::Github, Scheme::Bearer] {
        let hook = Hook::save(&host, &format!("rotated-{}", scheme.as_str()), scheme, json!({})).await;
        let path = format!("/api/triggers/{}/secrets", hook.trigger);
        let added = host.client.post(&path, json!({})).await.unwrap();
        let new = Secret::new(added["secret"].as_str().unwrap());
        for n in 0..5 {
            assert_eq!(hook.send(&format!("old-{n}"), "{}").await.status, 202);
            assert_eq!(hook.send_signed(&new, &format!("new-{n}"), "{}").await.status, 202);
        }
        let listed = host.client.get(&path).await.unwrap();
        assert!(!listed.to_string().contains(hook.secret.reveal()) && !listed.to_string().contains(new.reveal()));
        let old_id = listed["items"][0]["id"].as_str().unwrap();
        assert_eq!(host.request("DELETE", &format!("{path}/{old_id}"), "", b"").await.status, 204);
        assert_eq!(hook.send("late", "{}").await.status, 401);
        assert_eq!(hook.send_signed(&new, "last", "{}").await.status, 202);
    }
}

#[tokio::test]
async fn secrets_survive_publishing_are_bounded_and_must_fit() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "kept", Scheme::StandardWebhooks, json!({})).await;
    let mut definition = hooked("kept", json!({ "path": "moved", "auth": { "scheme": "standard_webhooks" } }));
    definition["description"] = json!("changed");
    let answer = host
        .request("PUT", "/api/workflows/kept", "content-type: application/json\r\n", definition.to_string().as_bytes())
        .await;
    let saved = answer.json();
    assert_eq!((&saved["triggers"][0]["id"], &saved["secrets"]), (&json!(hook.trigger), &json!([])));
    let moved = Hook {
        path: "moved".to_owned(),
        host: &host,
        trigger: hook.trigger.clone(),
        scheme: hook.scheme,
        secret: hook.secret.clone(),
    };
    assert_eq!(moved.send("msg", "{}").await.status, 202);
    assert_eq!(hook.send("msg-2", "{}").await.status, 404);
    let path = format!("/api/triggers/{}/secrets", hook.trigger);
    assert_eq!(code(host.client.post(&path, json!({ "secret": "too short" })).await), "invalid_fields");
    for _ in 0..3 {
        host.client.post(&path, json!({})).await.unwrap();
    }
    assert_eq!(code(host.client.post(&path, json!({})).await), "too_many");
    let open = Hook::save(&host, "open", Scheme::None, json!({})).await;
    let refused = host.client.post(&format!("/api/triggers/{}/secrets", open.trigger), json!({})).await;
    assert_eq!(code(refused), "no_secret_needed");
}

#[tokio::test]
async fn stripe_gives_the_secret_and_its_events_are_known_by_their_id() {
    let host = TestHost::start().await;
    let mut hook = Hook::save(&host, "stripe", Scheme::Stripe, json!({})).await;
    assert_eq!(hook.send_raw("content-type: application/json\r\n", b"{}").await.status, 401);
    hook.secret = Secret::new("whsec_given_by_stripe_0123456789");
    let path = format!("/api/triggers/{}/secrets", hook.trigger);
    host.client.post(&path, json!({ "secret": hook.secret.reveal() })).await.unwrap();
    let event = r#"{"id": "evt_1", "type": "charge.succeeded"}"#;
    let (first, copy) = (hook.send("", event).await, hook.send("", event).await);
    assert_eq!((first.status, copy.status), (202, 200));
    assert_eq!(first.json()["execution_id"], copy.json()["execution_id"]);
}

#[tokio::test]
async fn what_the_filter_holds_back_starts_nothing_and_can_be_resent() {
    let host = TestHost::start().await;
    let filter = json!({ "field": "$.trigger.headers['x-github-event']", "operator": "eq", "value": "push" });
    let filter = json!({ "any": [filter, { "field": "$.input.force", "operator": "eq", "value": true }] });
    let hook = Hook::save(&host, "filtered", Scheme::Github, json!({ "filter": filter })).await;
    let held = hook.send("d1", r#"{"force": false}"#).await;
    assert_eq!((held.status, &held.json()["status"]), (200, &json!("filtered")));
    assert_eq!(hook.executions().await, 0);
    let passed = hook.send("d2", r#"{"force": true}"#).await;
    assert_eq!(passed.status, 202);
    let deliveries = hook.deliveries().await;
    assert_eq!(deliveries[1]["verdict"], "filtered");
    let started = deliveries[0]["id"].as_str().unwrap();
    let shown = host.client.get(&format!("/api/deliveries/{started}")).await.unwrap();
    assert_eq!(shown["body"], r#"{"force": true}"#);
    let resent = host.client.post(&format!("/api/deliveries/{started}/resend"), json!({})).await.unwrap();
    assert_ne!(resent["execution_id"], shown["execution_id"]);
    let input =
        host.client.get(&format!("/api/executions/{}", resent["execution_id"].as_str().unwrap())).await.unwrap();
    assert_eq!(input["input_data"], json!({ "force": true }));
    let newest = &hook.deliveries().await[0];
    assert_eq!((&newest["resent_from"], &newest["delivery_key"]), (&json!(started), &json!("d2")));
    let again = hook.send("d2", r#"{"force": true}"#).await;
    assert_eq!(again.json()["execution_id"], passed.json()["execution_id"], "a copy is told of the first");
    let copy = hook.deliveries().await[0]["id"].as_str().unwrap().to_owned();
    let refused = host.client.post(&format!("/api/deliveries/{copy}/resend"), json!({})).await;
    assert_eq!(code(refused), "not_resendable");
}

#[tokio::test]
async fn what_failed_may_come_again() {
    let host = TestHost::start().await;
    let mut definition = hooked("strict", json!({ "path": "strict", "auth": { "scheme": "github" } }));
    definition["input_schema"] = json!({ "type": "object", "required": ["a"] });
    let saved = host.save(definition).await;
    let hook = Hook {
        host: &host,
        path: "strict".to_owned(),
        trigger: saved["triggers"][0]["id"].as_str().unwrap().to_owned(),
        scheme: Scheme::Github,
        secret: Secret::new(saved["secrets"][0]["secret"].as_str().unwrap()),
    };
    let first = hook.send("d1", "{}").await;
    assert_eq!((first.status, &first.json()["code"]), (422, &json!("invalid_input")));
    let copy = hook.send("d1", "{}").await;
    assert_eq!((copy.status, &copy.json()["code"]), (422, &json!("invalid_input")));
    let counts = || async {
        let trigger = host.client.get(&format!("/api/triggers/{}", hook.trigger)).await.unwrap();
        (trigger["failed"].clone(), trigger["fired"].clone())
    };
    assert_eq!(counts().await, (json!(1), json!(0)));
    let mended = hooked("strict", json!({ "path": "strict", "auth": { "scheme": "github" } }));
    let head = "content-type: application/json\r\n";
    assert_eq!(host.request("PUT", "/api/workflows/strict", head, mended.to_string().as_bytes()).await.status, 200);
    assert_eq!(hook.send("d1", "{}").await.status, 202, "nothing was started for it before");
    assert_eq!(hook.send("d1", "{}").await.status, 200);
    assert_eq!(counts().await, (json!(1), json!(1)));
}

#[tokio::test]
async fn a_sync_webhook_answers_with_the_end_or_that_it_waits() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "ends", Scheme::Bearer, json!({ "respond": "sync" })).await;
    let answer = hook.send("", r#"{"a": 1}"#).await;
    assert_eq!((answer.status, &answer.json()["input"]), (200, &json!({ "a": 1 })));
    let mut fails = hooked("fails", json!({ "path": "fails", "auth": { "scheme": "none" }, "respond": "sync" }));
    fails["output"] = json!("$.input.missing");
    host.save(fails).await;
    let answer = post(&host, "/webhooks/fails", "content-type: application/json\r\n", b"{}").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    answer.assert_problem();
    assert_eq!(answer.json()["details"]["status"], "failed");
    let mut waits = super::support::asking("waits", &["ask"]);
    waits["trigger"] = json!({ "type": "webhook", "config": { "path": "waits", "auth": { "scheme": "none" },
        "respond": { "mode": "sync", "timeout_seconds": 1 } } });
    host.save(waits).await;
    let answer = post(&host, "/webhooks/waits", "content-type: application/json\r\n", b"{}").await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn switched_off_triggers_say_so_to_who_is_verified() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "switched", Scheme::Github, json!({})).await;
    assert_eq!(hook.send("d1", "{}").await.status, 202);
    host.client.post(&format!("/api/triggers/{}/disable", hook.trigger), json!({})).await.unwrap();
    let off = hook.send("d2", "{}").await;
    assert_eq!((off.status, &off.json()["code"]), (409, &json!("trigger_disabled")));
    assert_eq!(hook.send_raw("content-type: application/json\r\n", b"{}").await.status, 401);
    host.client.post(&format!("/api/triggers/{}/enable", hook.trigger), json!({})).await.unwrap();
    assert_eq!(hook.send("d2", "{}").await.status, 202, "what was refused may come again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_of_a_flood_little_is_written_and_all_that_is_taken_runs() {
    let host = TestHost::start().await;
    let hook = Hook::save(&host, "flooded", Scheme::Github, json!({})).await;
    let mut accepted = 0;
    for round in 0..20 {
        let unsigned = (0..20).map(|_| hook.send_raw("content-type: application/json\r\n", b"{}"));
        let ids: Vec<_> = (0..20).map(|n| format!("{round}-{n}")).collect();
        let signed = ids.iter().map(|id| hook.send(id, "{}"));
        let (unsigned, signed) = futures_util::future::join(
            futures_util::future::join_all(unsigned),
            futures_util::future::join_all(signed),
        )
        .await;
        assert!(unsigned.iter().all(|answer| answer.status == 401));
        assert!(signed.iter().all(|answer| answer.status == 202), "{signed:?}");
        accepted += signed.len();
    }
    let trigger = host.client.get(&format!("/api/triggers/{}", hook.trigger)).await.unwrap();
    assert_eq!(trigger["fired"], json!(accepted));
    let store = host.running.store();
    let (mut refused, mut before) = (0, None);
    loop {
        let page = store.deliveries(&hook.trigger, before.as_deref(), 200).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id.to_string());
        refused += page.iter().filter(|row| row.verdict == store::DeliveryVerdict::Refused).count();
    }
    assert!(refused <= 100, "{refused} of 400 refusals were written");
}
