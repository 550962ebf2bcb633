//! A6, A9, A10, A11, A19: hostile input of every kind gets a clear 4xx that tells nothing of the host's inside.

use super::support::{Answer, TestHost, asking};

/// Bodies that are not JSON as we accept it.
fn malformed() -> Vec<Vec<u8>> {
    let texts = [
        "{",
        "}",
        "[",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "NaN",
        "[1,2",
        "tru",
        "1e999",
        "-",
        "01",
        "\"",
        "{\"a\":1,\"a\":2}",
        "{\"name\":\"x\",\"name\":\"y\"}",
        "\"\\ud800\"",
        "{} {}",
        "{}x",
        "\u{feff}{}",
        "/* */ {}",
        "{\"a\": Infinity}",
        "{\"a\": +1}",
        "{\"a\": .5}",
        "\t",
        "\0",
        "{\"a\":\"\u{1}\"}",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push("[".repeat(10_000).into_bytes());
    bodies.push(("{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000)).into_bytes());
    bodies.push(("[".repeat(121) + &"]".repeat(121)).into_bytes());
    bodies.push("{}".encode_utf16().flat_map(u16::to_le_bytes).collect());
    bodies.push(b"{\"a\":\"\xff\xfe\"}".to_vec());
    bodies.push(b"\xc0\xaf".to_vec());
    bodies
}

/// Sound JSON of wrong shapes.
fn misshapen() -> Vec<String> {
    let values = ["null", "true", "0", "-1", "1.5", "\"x\"", "[]", "[[]]", "{\"x\":1}", "9223372036854775808", "1e300"];
    let fields = [
        "name",
        "steps",
        "active",
        "input_schema",
        "guardrails",
        "output",
        "trigger",
        "input_data",
        "option_id",
        "comment",
        "data",
        "approval_id",
        "reason",
        "input",
        "config",
    ];
    let whole = values.iter().map(|value| (*value).to_owned());
    let parts = fields.iter().flat_map(|field| values.iter().map(move |value| format!("{{\"{field}\":{value}}}")));
    whole.chain(parts).collect()
}

fn assert_refused(answer: &Answer, about: &str) {
    assert!((400..500).contains(&answer.status), "{about}: {answer:?}");
    answer.assert_problem();
}

async fn endpoints(host: &TestHost) -> Vec<(&'static str, String)> {
    host.save(asking("ask", &["a"])).await;
    let id = host.execute("ask", serde_json::json!({})).await;
    vec![
        ("POST", "/api/workflows".to_owned()),
        ("POST", "/api/workflows/validate".to_owned()),
        ("PUT", "/api/workflows/ask".to_owned()),
        ("POST", "/api/workflows/ask/execute".to_owned()),
        ("POST", format!("/api/executions/{id}/approve")),
        ("POST", format!("/api/executions/{id}/cancel")),
        ("POST", "/api/plugins/none/tools/none/try".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_malformed_json_is_refused_everywhere() {
    let host = TestHost::start().await;
    for (method, path) in endpoints(&host).await {
        for body in malformed() {
            let answer = host.request(method, &path, "content-type: application/json\r\n", &body).await;
            let about = format!("{method} {path} {:.40}", String::from_utf8_lossy(&body));
            assert_refused(&answer, &about);
            assert_eq!(answer.status, 400, "{about}: {answer:?}");
        }
    }
    host.running.stop().await;
}

/// Definitions need it; for all else 64 levels are enough.
#[tokio::test(flavor = "multi_thread")]
async fn a6_only_definitions_may_be_nested_deeper_than_64() {
    let host = TestHost::start().await;
    let deep = "[".repeat(64) + &"]".repeat(64);
    for (method, path) in endpoints(&host).await {
        let body = format!("{{\"input_data\":{deep}}}");
        let answer = host.request(method, &path, "content-type: application/json\r\n", body.as_bytes()).await;
        let is_malformed = answer.status == 400 && answer.json()["code"] == "invalid_body";
        let takes_definitions = ["/api/workflows", "/api/workflows/validate", "/api/workflows/ask"].contains(&&*path);
        assert_eq!(is_malformed, !takes_definitions, "{method} {path}: {answer:?}");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_json_of_a_wrong_shape_is_no_fault_of_the_host() {
    let host = TestHost::start().await;
    for (method, path) in endpoints(&host).await {
        for body in misshapen() {
            let answer = host.request(method, &path, "content-type: application/json\r\n", body.as_bytes()).await;
            assert!((200..500).contains(&answer.status), "{method} {path} {body}: {answer:?}");
            if answer.status >= 400 {
                answer.assert_problem();
            }
        }
    }
    assert_eq!(host.get("/healthz").await.status, 200);
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_names_in_paths_lead_nowhere_else() {
    let host = TestHost::start().await;
    let names = [
        "..",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "a%00b",
        "%ff%fe",
        "'",
        "1%27%20OR%20%271%27=%271",
        "%3Cscript%3E",
        "x;drop%20table%20executions",
        "%E2%80%AE",
        "%F0%9F%92%A9",
        "0",
        "-1",
        "null",
        "%25",
        "0193b0a0-0000-7000-8000-00000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    let long = "a".repeat(5_000);
    for name in names.iter().copied().chain([long.as_str()]) {
        for path in [
            format!("/api/workflows/{name}"),
            format!("/api/workflows/{name}/versions/1"),
            format!("/api/workflows/x/versions/{name}"),
            format!("/api/executions/{name}"),
            format!("/api/executions/{name}/steps"),
            format!("/api/executions/{name}/events"),
            format!("/api/plugins/{name}"),
            format!("/api/plugins/x?version={name}"),
        ] {
            let answer = host.get(&path).await;
            assert_refused(&answer, &path);
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_queries_are_read_strictly() {
    let host = TestHost::start().await;
    let wrong = [
        "/api/workflows?limit=0",
        "/api/workflows?limit=200",
        "/api/workflows?limit=x",
        "/api/workflows?limit=-1",
        "/api/workflows?unknown=1",
        "/api/workflows?limit=1&limit=2",
        "/api/workflows?active=maybe",
        "/api/workflows?order=random()",
        "/api/workflows?cursor=x",
        "/api/workflows?cursor=%27--",
        "/api/executions?status=nope",
        "/api/executions?since=yesterday",
        "/api/executions?search=%25",
        "/api/executions?cursor=1",
        "/api/approvals?cursor=a.b",
    ];
    for path in wrong {
        let answer = host.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        answer.assert_problem();
    }
    for path in ["/api/workflows?search=%27%20OR%201=1--", "/api/workflows?search=%25_%5C", "/api/workflows?search=%00"]
    {
        let answer = host.get(path).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_odd_texts_are_kept_as_they_came() {
    let host = TestHost::start().await;
    host.save(super::support::quick("echo")).await;
    let texts = [
        "\u{0}",
        "\u{202e}abc",
        "e\u{301}",
        "\u{e9}",
        "\u{fffd}\u{10ffff}",
        "\u{1F469}\u{200D}\u{1F4BB}",
        "' OR 1=1; --",
        "${jndi:ldap://x}",
        "$.input.a",
        "{{ $.input }}",
        "\\$.x",
        "\u{feff}",
        "ﬀ",
        "İ",
    ];
    for text in texts {
        let input = serde_json::json!({ "a": text });
        let body = serde_json::json!({ "input_data": input });
        let answer = host.client.post("/api/workflows/echo/execute?wait=20", body).await.unwrap();
        assert_eq!(answer["output"]["seen"], input, "{text:?}");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_what_is_not_there_is_said_as_a_problem() {
    let host = TestHost::start().await;
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/api", 404),
        ("GET", "/api/workflows/", 404),
        ("PATCH", "/api/workflows", 405),
        ("DELETE", "/api/executions", 405),
        ("POST", "/healthz", 405),
    ] {
        let answer = host.request(method, path, "", b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        answer.assert_problem();
        assert!(answer.head.contains("x-request-id: "), "{answer:?}");
        if status == 405 {
            assert!(answer.head.contains("allow: "), "{answer:?}");
        }
    }
    host.running.stop().await;
}
