//! Users and their sessions.

use serde_json::{Value, json};

use super::support::{Answer, TestHost, code};

const PASSWORD: &str = "correct horse battery";

/// The head lines of a page of the host's own.
const OWN_PAGE: &str = "origin: http://x\r\n";

async fn alice(host: &TestHost, roles: &[&str]) -> String {
    let body = json!({ "name": "Alice", "password": PASSWORD, "roles": roles });
    let added = host.client.post("/api/users", body).await.unwrap();
    assert!(!added.to_string().contains("argon2"), "{added}");
    added["id"].as_str().unwrap().to_owned()
}

async fn try_sign_in(host: &TestHost, name: &str, password: &str) -> Answer {
    host.send("POST", "/api/session", OWN_PAGE, &json!({ "name": name, "password": password })).await
}

/// The head line that carries the session.
async fn sign_in(host: &TestHost, password: &str) -> String {
    let answer = try_sign_in(host, "alice", password).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age="] {
        assert!(set.contains(part), "{set}");
    }
    format!("cookie: {}\r\n", set.split(';').next().unwrap())
}

async fn status(host: &TestHost, cookie: &str) -> u16 {
    host.send("GET", "/api/session", cookie, &Value::Null).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_acts_and_signs_out() {
    let host = TestHost::start().await;
    alice(&host, &["author"]).await;
    let cookie = sign_in(&host, PASSWORD).await;
    let me = host.send("GET", "/api/session", &cookie, &Value::Null).await.json();
    assert_eq!((&me["kind"], &me["actor"]), (&json!("user"), &json!("user:Alice")));
    let host = host.restart().await;
    let own = format!("{cookie}{OWN_PAGE}");
    let saved = host.send("POST", "/api/workflows", &own, &super::support::quick("w")).await;
    assert_eq!(saved.status, 201, "{saved:?}");
    let row = &host.audit("&act=workflow.create").await[0];
    assert_eq!((&row["actor"], &row["object"], &row["outcome"]), (&json!("user:Alice"), &json!("w"), &json!("done")));
    assert_eq!(host.send("DELETE", "/api/session", &own, &Value::Null).await.status, 204);
    assert_eq!(status(&host, &cookie).await, 401);
    let host = host.restart().await;
    assert_eq!(status(&host, &cookie).await, 401);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_cannot_use_a_session() {
    let host = TestHost::start().await;
    alice(&host, &["admin"]).await;
    let cookie = sign_in(&host, PASSWORD).await;
    for origin in [
        "",
        "origin: null\r\n",
        "origin: http://evil.example\r\n",
        "origin: http://x.evil.example\r\n",
        "origin: http://x:1\r\n",
        "origin: http://x\r\norigin: http://x\r\n",
        "referer: http://x/\r\n",
    ] {
        let head = format!("{cookie}{origin}");
        let answer = host.send("POST", "/api/workflows", &head, &super::support::quick("w")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("cross_origin")), "{origin}");
        answer.assert_problem();
    }
    assert!(host.client.get("/api/workflows").await.unwrap()["items"].as_array().unwrap().is_empty());
    let body = json!({ "name": "alice", "password": PASSWORD });
    let answer = host.send("POST", "/api/session", "origin: http://evil.example\r\n", &body).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    // A token is not sent by a browser by itself, so it needs no origin.
    let token = format!("authorization: Bearer {}\r\n{cookie}", host.running.token().token);
    assert_eq!(host.send("POST", "/api/workflows", &token, &super::support::quick("w")).await.status, 201);
    // A wrong token is not made good by a session.
    let wrong = format!("authorization: Bearer x\r\n{cookie}{OWN_PAGE}");
    assert_eq!(host.send("GET", "/api/workflows", &wrong, &Value::Null).await.status, 401);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_user_count_at_once() {
    let host = TestHost::start().await;
    let id = alice(&host, &["viewer"]).await;
    let cookie = sign_in(&host, PASSWORD).await;
    let own = format!("{cookie}{OWN_PAGE}");
    let save = async || host.send("POST", "/api/workflows", &own, &super::support::quick("w")).await.status;
    let change = async |body: Value| {
        let head = "content-type: application/json\r\n";
        let answer = host.request("PUT", &format!("/api/users/{id}"), head, body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    assert_eq!(save().await, 403);
    change(json!({ "roles": ["author"] })).await;
    assert_eq!(save().await, 201);
    change(json!({ "disabled": true })).await;
    assert_eq!(status(&host, &cookie).await, 401);
    assert_eq!(try_sign_in(&host, "alice", PASSWORD).await.status, 401);
    change(json!({ "disabled": false })).await;
    assert_eq!(status(&host, &cookie).await, 401, "the session ended for good");
    let cookie = sign_in(&host, PASSWORD).await;
    let new = json!({ "password": "another long password" });
    host.client.post("/api/users/ALICE/password", new).await.unwrap();
    assert_eq!(status(&host, &cookie).await, 401);
    assert_eq!(try_sign_in(&host, "alice", PASSWORD).await.status, 401);
    let cookie = sign_in(&host, "another long password").await;
    assert_eq!(host.request("DELETE", "/api/users/alice", "", b"").await.status, 204);
    assert_eq!(status(&host, &cookie).await, 401);
    assert_eq!(try_sign_in(&host, "alice", "another long password").await.status, 401);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_guessing_passwords_is_limited_and_tells_nothing() {
    let host = TestHost::start().await;
    alice(&host, &["viewer"]).await;
    let known = try_sign_in(&host, "alice", "wrong password").await;
    let unknown = try_sign_in(&host, "nobody", "wrong password").await;
    let told = |answer: &Answer| {
        let mut problem = answer.json();
        problem["request_id"] = Value::Null;
        (answer.status, problem)
    };
    assert_eq!(told(&known), told(&unknown));
    let tries = futures_util::future::join_all((0..30).map(|_| try_sign_in(&host, "Alice", "wrong password"))).await;
    let through = tries.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(through, 9, "ten in all");
    let waiting = tries.iter().find(|answer| answer.status == 429).unwrap();
    assert!(waiting.head.contains("retry-after: "), "{waiting:?}");
    assert_eq!(try_sign_in(&host, "alice", PASSWORD).await.status, 429, "the right one has to wait as well");
    let row = &host.audit("&act=session.create").await[0];
    assert_eq!((&row["outcome"], &row["object"]), (&json!("failed"), &json!("alice")));
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_change_their_own_password_if_they_know_the_current_one() {
    const NEW: &str = "a battery of new horses";
    let host = TestHost::start().await;
    alice(&host, &["viewer"]).await;
    let (here, elsewhere) = (sign_in(&host, PASSWORD).await, sign_in(&host, PASSWORD).await);
    let change = async |head: &str, current: &str, new: &str| {
        let body = json!({ "current_password": current, "password": new });
        host.send("POST", "/api/session/password", head, &body).await
    };
    let own = format!("{here}{OWN_PAGE}");
    assert_eq!(change(&here, PASSWORD, NEW).await.json()["code"], "cross_origin");
    let wrong = change(&own, "wrong password", NEW).await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (403, &json!("wrong_password")), "{wrong:?}");
    assert_eq!(change(&own, PASSWORD, "short").await.status, 422);
    assert_eq!(status(&host, &elsewhere).await, 200, "nothing was changed");

    let (_, token) = host.token("alice", &["admin"]).await;
    let no_user = change(&format!("{token}{here}{OWN_PAGE}"), PASSWORD, NEW).await;
    assert_eq!((no_user.status, &no_user.json()["code"]), (403, &json!("forbidden")), "{no_user:?}");

    let changed = change(&own, PASSWORD, NEW).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    assert_eq!((status(&host, &here).await, status(&host, &elsewhere).await), (200, 401));
    let host = host.restart().await;
    assert_eq!((status(&host, &here).await, status(&host, &elsewhere).await), (200, 401), "it is so on disk");
    assert_eq!(try_sign_in(&host, "alice", PASSWORD).await.status, 401);
    assert_eq!(try_sign_in(&host, "alice", NEW).await.status, 200);
    let rows = host.audit("&act=user.change_password").await;
    let outcomes: Vec<&str> = rows.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["done", "refused", "failed", "refused", "refused"], "{rows:?}");
    assert_eq!(rows[0]["actor"], "user:Alice");
    assert!(![PASSWORD, NEW].iter().any(|password| format!("{rows:?}").contains(password)), "{rows:?}");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_guessing_the_current_password_in_a_session_is_limited_as_signing_in_is() {
    let host = TestHost::start().await;
    alice(&host, &["viewer"]).await;
    let own = format!("{}{OWN_PAGE}", sign_in(&host, PASSWORD).await);
    let body = json!({ "current_password": "wrong password", "password": "a battery of new horses" });
    let mut told = Vec::new();
    for _ in 0..12 {
        told.push(host.send("POST", "/api/session/password", &own, &body).await.status);
    }
    assert_eq!(told, [[403; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(try_sign_in(&host, "alice", PASSWORD).await.status, 429, "one limit for both");
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_users_are_not_added() {
    let host = TestHost::start().await;
    alice(&host, &["viewer"]).await;
    let user = |name: &str, password: &str| json!({ "name": name, "password": password, "roles": ["viewer"] });
    for body in [user("bob", "short"), user("", PASSWORD), user("bob", &"x".repeat(2_000)), user("b\u{0}b", PASSWORD)] {
        assert_eq!(host.post("/api/users", &body).await.status, 422, "{body}");
    }
    assert_eq!(code(host.client.post("/api/users", user("ＡＬＩＣＥ", PASSWORD)).await), "name_taken");
    let rows = host.audit("").await;
    assert!(!format!("{rows:?}").contains(PASSWORD), "no password is written down");
    host.running.stop().await;
}
