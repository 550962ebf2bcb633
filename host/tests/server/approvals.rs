//! Questions over HTTP: whose they are, links that decide once, and what people are told.

use serde_json::{Value, json};
use weir_host::{Host, client::Client, config::Config};

use super::support::{Answer, TestHost, asking, code};

async fn asked(host: &TestHost, workflow: &str) -> String {
    let execution = host.execute(workflow, json!({})).await;
    loop {
        let page = host.client.get(&format!("/api/executions/{execution}/approvals")).await.unwrap();
        if let Some(id) = page["items"][0]["id"].as_str() {
            return id.to_owned();
        }
        tokio::task::yield_now().await;
    }
}

/// A link for a question, as a path.
async fn link(host: &TestHost, id: &str, wanted: Value) -> String {
    let link = host.client.post(&format!("/api/approvals/{id}/links"), wanted).await.unwrap();
    link["url"].as_str().unwrap().strip_prefix(&host.running.url()).unwrap().to_owned()
}

/// Asks as a stranger would.
async fn stranger(host: &TestHost, method: &str, path: &str, form: &str) -> Answer {
    let head = "connection: close\r\ncontent-type: application/x-www-form-urlencoded";
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{head}\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    host.raw(request.as_bytes()).await
}

async fn status(host: &TestHost, id: &str) -> Value {
    host.client.get(&format!("/api/approvals/{id}")).await.unwrap()["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_has_an_id_under_which_it_is_shown_and_answered() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let shown = host.client.get(&format!("/api/approvals/{id}")).await.unwrap();
    assert_eq!((&shown["id"], &shown["requester"], &shown["decisions"]), (&json!(id), &json!("admin"), &json!([])));
    let listed = host.client.get("/api/approvals?mine=true&workflow=flow").await.unwrap();
    assert_eq!(listed["items"][0]["id"], json!(id));
    assert_eq!(host.client.get("/api/approvals?overdue=true").await.unwrap()["items"], json!([]));
    let path = format!("/api/approvals/{id}/approve");
    let stale = json!({ "option_id": "yes", "request_digest": "0".repeat(64) });
    assert_eq!(code(host.client.post(&path, stale).await), "approval_changed");
    let good = json!({ "option_id": "yes", "request_digest": shown["request_digest"] });
    let answered = host.client.post(&path, good.clone()).await.unwrap();
    assert_eq!((&answered["decided"], &answered["missing"]), (&json!(true), &json!(0)));
    let second = host.post(&path, &good).await;
    assert_eq!((second.status, &second.json()["details"]["approval"]["decision"]["option_id"]), (409, &json!("yes")));
    let shown = host.client.get(&format!("/api/approvals/{id}")).await.unwrap();
    assert_eq!(shown["decisions"][0]["request_digest"], shown["request_digest"]);
    for odd in ["nothing", "0193b0a0-0000-7000-8000-000000000000.2", "..%2f.1"] {
        assert_eq!(host.get(&format!("/api/approvals/{odd}")).await.status, 404, "{odd}");
        for act in ["approve", "reassign", "remind", "links"] {
            let answer = host.post(&format!("/api/approvals/{odd}/{act}"), &json!({})).await;
            assert_eq!(answer.status, 404, "{act} {odd}: {answer:?}");
        }
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_who_may_not_decide_is_refused_and_that_is_written_down() {
    let host = TestHost::start().await;
    let mut workflow = asking("flow", &["ask"]);
    workflow["steps"][0]["human_config"]["approvers"] = json!({ "users": ["alice"], "requester_may_decide": false });
    host.save(workflow).await;
    let id = asked(&host, "flow").await;
    let path = format!("/api/approvals/{id}/approve");
    let (_, bob) = host.token("bob", &["approver"]).await;
    let body = json!({ "option_id": "yes" });
    for (head, actor) in [(Some(bob.as_str()), "token:bob"), (None, "admin")] {
        let answer = match head {
            Some(head) => host.send("POST", &path, head, &body).await,
            None => host.post(&path, &body).await,
        };
        assert_eq!(answer.status, 403, "{actor}: {answer:?}");
        let rows = host.audit(&format!("&actor={actor}&act=approval.decide")).await;
        assert_eq!((rows.len(), &rows[0]["outcome"]), (1, &json!("refused")), "{rows:?}");
    }
    assert_eq!(status(&host, &id).await, "pending");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_link_shows_a_page_and_decides_once_by_post_alone() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let path = link(&host, &id, json!({ "name": "pat@example.com" })).await;
    assert!(path.strip_prefix("/approve/wl_").unwrap().len() >= 32, "{path}");
    for _ in 0..3 {
        let page = stranger(&host, "GET", &path, "").await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body.contains("go on?") && page.body.contains("value=\"yes\"") && !page.body.contains("<script"));
        for wanted in ["referrer-policy: no-referrer", "cache-control: no-store", "default-src 'none'", "nosniff"] {
            assert!(page.head.contains(wanted), "{wanted}: {page:?}");
        }
        stranger(&host, "HEAD", &path, "").await;
    }
    assert_eq!(status(&host, &id).await, "pending", "looking decides nothing");
    let unfit = stranger(&host, "POST", &path, "option=maybe&comment=%3Cb%3E").await;
    assert_eq!((unfit.status, unfit.body.contains("&lt;b&gt;")), (422, true), "{unfit:?}");
    let taken = stranger(&host, "POST", &path, "option=yes&comment=fine").await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let shown = host.client.get(&format!("/api/approvals/{id}")).await.unwrap();
    assert_eq!(shown["decision"]["decided_by"], "link:pat@example.com");
    let replay = stranger(&host, "POST", &path, "option=no").await;
    assert_eq!((replay.status, replay.body.contains("link:pat@example.com")), (409, true), "{replay:?}");
    assert_eq!(stranger(&host, "GET", &path, "").await.status, 200, "the page tells how it was decided");
    let wrong = format!("/approve/wl_{}", "0".repeat(64));
    assert_eq!(stranger(&host, "GET", &wrong, "").await.status, 404);
    assert_eq!(stranger(&host, "POST", &wrong, "option=yes").await.status, 404);
    assert_eq!(code(host.client.post(&format!("/api/approvals/{id}/links"), json!({})).await), "already_decided");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_links_expire_and_may_be_for_one_option_only() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let expired = link(&host, &id, json!({ "expires_in_minutes": 0 })).await;
    assert_eq!(stranger(&host, "GET", &expired, "").await.status, 410);
    assert_eq!(stranger(&host, "POST", &expired, "option=yes").await.status, 410);
    let only_no = link(&host, &id, json!({ "option_id": "no" })).await;
    assert!(!stranger(&host, "GET", &only_no, "").await.body.contains("value=\"yes\""));
    assert_eq!(stranger(&host, "POST", &only_no, "option=yes").await.status, 422);
    assert_eq!(status(&host, &id).await, "pending");
    assert_eq!(stranger(&host, "POST", &only_no, "option=no").await.status, 200);
    let bad = json!({ "option_id": "maybe" });
    let other = asked(&host, "flow").await;
    assert_eq!(code(host.client.post(&format!("/api/approvals/{other}/links"), bad).await), "invalid_fields");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_links_are_listed_and_taken_back_by_whom_they_concern() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let path = format!("/api/approvals/{id}/links");
    let made = host.client.post(&path, json!({ "name": "pat@example.com" })).await.unwrap();
    let token = made["url"].as_str().unwrap().rsplit_once('/').unwrap().1;
    let other = link(&host, &id, json!({ "name": "sam@example.com" })).await;
    let listed = host.client.get(&path).await.unwrap();
    let row = &listed["items"][0];
    assert_eq!(
        (&row["id"], &row["name"], &row["status"]),
        (&made["link_id"], &json!("pat@example.com"), &json!("open"))
    );
    assert!(!listed.to_string().contains(token), "{listed}");

    let own = format!("{path}/{}", made["link_id"].as_str().unwrap());
    let (_, bob) = host.token("bob", &["approver"]).await;
    let refused = host.send("DELETE", &own, &bob, &Value::Null).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")), "{refused:?}");
    assert_eq!(stranger(&host, "GET", &format!("/approve/{token}"), "").await.status, 200);
    assert_eq!(host.request("DELETE", &own, "", b"").await.status, 204);

    for (method, form) in [("GET", ""), ("POST", "option=yes")] {
        let page = stranger(&host, method, &format!("/approve/{token}"), form).await;
        assert_eq!((page.status, page.body.contains("taken back")), (410, true), "{page:?}");
    }
    let row = &host.audit("&act=approval.revoke_link").await[0];
    assert_eq!((&row["outcome"], &row["details"]["for"]), (&json!("done"), &json!("pat@example.com")), "{row}");
    for nothing in [own.as_str(), &format!("{path}/nothing"), &format!("{path}/{}", "0".repeat(32))] {
        let answer = host.request("DELETE", nothing, "", b"").await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("link_not_found")), "{answer:?}");
    }
    let statuses = host.client.get(&path).await.unwrap();
    assert_eq!((&statuses["items"][0]["status"], &statuses["items"][1]["status"]), (&json!("revoked"), &json!("open")));

    let host = host.restart().await;
    assert_eq!(stranger(&host, "POST", &format!("/approve/{token}"), "option=yes").await.status, 410);
    assert_eq!(stranger(&host, "POST", &other, "option=yes").await.status, 200, "the other link still decides");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_whoever_tries_links_that_do_not_exist_has_to_wait_and_the_right_one_passes() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let right = link(&host, &id, json!({})).await;
    let mut told = Vec::new();
    for n in 0..60 {
        let (method, path) = (if n % 2 == 0 { "GET" } else { "POST" }, format!("/approve/wl_{n:064x}"));
        let page = stranger(&host, method, &path, if n % 2 == 0 { "" } else { "option=yes" }).await;
        assert!(page.status == 404 || page.head.contains("retry-after: "), "{page:?}");
        told.push(page.status);
    }
    assert_eq!(told.iter().filter(|status| **status == 404).count(), 50);
    assert_eq!(told.iter().filter(|status| **status == 429).count(), 10);
    assert_eq!(host.get("/api/workflows").await.status, 200, "the limit is of links alone");
    assert_eq!(stranger(&host, "POST", &right, "option=yes").await.status, 200);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_link_is_of_no_use_after_a_cancel() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let path = link(&host, &id, json!({})).await;
    let (execution, _) = id.split_once('.').unwrap();
    host.client.post(&format!("/api/executions/{execution}/cancel"), json!({})).await.unwrap();
    assert_eq!(stranger(&host, "POST", &path, "option=yes").await.status, 409);
    let late = host.client.post(&format!("/api/approvals/{id}/approve"), json!({ "option_id": "yes" })).await;
    assert_eq!(code(late), "already_decided");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_passed_on_and_people_are_reminded() {
    let host = TestHost::start().await;
    host.save(asking("flow", &["ask"])).await;
    let id = asked(&host, "flow").await;
    let path = format!("/api/approvals/{id}/reassign");
    let answer = host.client.post(&path, json!({ "users": ["user:bob"], "roles": ["operator"] })).await.unwrap();
    assert_eq!(answer["approvers"]["users"], json!(["bob"]));
    assert_eq!(code(host.client.post(&path, json!({ "roles": ["boss"] })).await), "invalid_fields");
    let shown = host.client.get(&format!("/api/approvals/{id}")).await.unwrap();
    assert_eq!(shown["approvers"]["roles"], json!(["operator"]));
    let reminded = host.client.post(&format!("/api/approvals/{id}/remind"), json!({})).await.unwrap();
    assert_eq!(reminded["channels"], json!(["ui"]));
    let notices = host.client.get("/api/notices?status=sent").await.unwrap();
    let kinds: Vec<&str> = notices["items"].as_array().unwrap().iter().map(|n| n["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reminder", "requested"]);
    host.running.stop().await;
}

/// A notice that came in: its id, and the link in it.
async fn receive(listener: &tokio::net::TcpListener, answer: &str) -> Value {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "the request ended early");
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if length.is_some_and(|length| body.len() >= length.trim().parse().unwrap()) {
                break body.to_owned();
            }
        }
    };
    stream
        .write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    serde_json::from_str(&body).unwrap()
}

fn channels(port: u16) -> Value {
    let secret = weir_host::webhook_signature::SigningSecret::from_bytes(&[1; 32]).unwrap().reveal();
    json!({
        "chat": { "webhook": { "url": format!("http://127.0.0.1:{port}/hook"), "secret": secret } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_over_their_channels_with_a_link_and_what_cannot_be_sent_is_listed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let data = tempfile::tempdir().unwrap();
    let config = Config {
        data: data.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        program: Some(env!("CARGO_BIN_EXE_weir").into()),
        egress: serde_json::from_value(json!({ "allow": [format!("127.0.0.1:{port}")] })).unwrap(),
        channels: serde_json::from_value(channels(port)).unwrap(),
        ..Config::default()
    };
    let mut running = Host::start(config).await.unwrap();
    running.ready().await.unwrap();
    let api = Client::new(&running.url(), running.token().token.as_str()).unwrap();
    let mut flow = asking("flow", &["ask"]);
    flow["steps"][0]["human_config"]["notification_channels"] = json!(["chat", "nowhere"]);
    api.post("/api/workflows", flow).await.unwrap();
    let started = api.post("/api/workflows/flow/execute", json!({})).await.unwrap();
    let notice = receive(&listener, "204 No Content").await;
    let text = notice.to_string();
    assert!(text.contains("go on?") && text.contains("/approve/wl_"), "{text}");
    let dead = loop {
        let page = api.get("/api/notices?status=dead").await.unwrap();
        if let Some(dead) = page["items"].get(0) {
            break dead.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(dead["channel"], "nowhere");
    let execution = started["execution_id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/api/executions/{execution}")).await.unwrap()["status"], "awaiting_human");
    api.post(&format!("/api/notices/{}/retry", dead["id"].as_str().unwrap()), json!({})).await.unwrap();
    let missing = api.post(&format!("/api/notices/{execution}.2.9/retry"), json!({})).await;
    assert_eq!(code(missing), "notice_not_found");
    let approval = dead["approval_id"].as_str().unwrap();
    api.post(&format!("/api/approvals/{approval}/remind"), json!({})).await.unwrap();
    let reminder = receive(&listener, "500 Oh").await;
    assert!(reminder.to_string().contains("reminded"), "{reminder}");
    let failed = loop {
        let page = api.get("/api/notices?status=pending").await.unwrap();
        if let Some(failed) = page["items"].as_array().unwrap().iter().find(|n| n["last_error"].is_string()) {
            break failed.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&failed["channel"], &failed["attempts"]), (&json!("chat"), &json!(1)));
    api.post(&format!("/api/approvals/{approval}/approve"), json!({ "option_id": "no" })).await.unwrap();
    running.stop().await;
}
