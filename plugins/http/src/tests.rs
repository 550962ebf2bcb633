use super::*;
use weir_sdk::testing::{Host, Ran, describe};

fn send(input: Value) -> Ran<Result<Value>> {
    let host = Host::new().http(|request| match request.url.as_str() {
        "https://a.example/bytes" => Ok(http::Response::of(200, "application/octet-stream", vec![0xff, 0])),
        "https://a.example/broken" => Ok(http::Response::of(200, "application/json", "{")),
        "https://a.example/large" => Ok(http::Response::of(200, "text/plain", "x".repeat(ANSWER_BYTES_MAX + 1))),
        "https://a.example/down" => Err(Failure::unavailable("could not connect to a.example")),
        _ => Ok(http::Response::of(404, "application/problem+json; charset=utf-8", "{\"code\": \"x\"}")),
    });
    host.call::<Plugin>("request", &input)
}

#[test]
fn a_request_is_what_the_step_says() {
    let ran = send(json!({
        "method": "post", "url": "https://a.example/x?b=1#top", "query": { "q": "ä b", "n": 2, "all": true },
        "headers": { "Authorization": "Bearer {{secret:key}}", "x-n": 5 }, "json": { "a": null }, "timeout_ms": 700
    }));
    let sent = &ran.requests[0];
    assert_eq!((&*sent.method, &*sent.url), ("POST", "https://a.example/x?b=1&all=true&n=2&q=%C3%A4+b#top"));
    assert_eq!((sent.body.as_slice(), sent.timeout_ms), (b"{\"a\":null}".as_slice(), Some(700)));
    let headers: Vec<_> = sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, ["authorization: Bearer {{secret:key}}", "x-n: 5", "content-type: application/json"]);
    let plain = send(json!({ "url": "https://a.example/x" }));
    assert_eq!(plain.requests[0], http::get("https://a.example/x"));
}

#[test]
fn bodies_are_json_text_or_bytes() {
    let body = |input: Value| send(input).requests[0].body.clone();
    assert_eq!(body(json!({ "url": "u", "json": null })), b"null");
    assert_eq!(body(json!({ "url": "u", "body": "plain" })), b"plain");
    assert_eq!(body(json!({ "url": "u", "base64": "/wA=" })), [0xff, 0]);
    for wrong in [
        json!({ "url": "u", "json": 1, "body": "x" }),
        json!({ "url": "u", "base64": "!" }),
        json!({ "url": "u", "body": "x".repeat(BODY_BYTES_MAX + 1) }),
        json!({ "url": "u", "bdoy": "x" }),
        json!({ "url": "u", "headers": (0..=HEADERS_MAX).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>() }),
    ] {
        let ran = send(wrong);
        assert_eq!((ran.result.unwrap_err().code(), ran.requests.len()), ("invalid_input", 0));
    }
}

#[test]
fn every_status_is_an_answer() {
    let answer = send(json!({ "url": "https://a.example/x" })).result.unwrap();
    let expected = json!({ "status": 404, "ok": false, "json": { "code": "x" }, "url": "https://a.example/x",
        "headers": { "content-type": "application/problem+json; charset=utf-8" } });
    assert_eq!(answer, expected);
    assert_eq!(send(json!({ "url": "https://a.example/bytes" })).result.unwrap()["base64"], json!("/wA="));
    assert_eq!(send(json!({ "url": "https://a.example/broken" })).result.unwrap()["text"], json!("{"));
}

#[test]
fn what_keeps_an_answer_from_coming_is_a_failure() {
    assert_eq!(send(json!({ "url": "https://a.example/down" })).result.unwrap_err().code(), "unavailable");
    assert_eq!(send(json!({ "url": "https://a.example/large" })).result.unwrap_err().code(), "failed");
    let denied = Host::new().call::<Plugin>("request", &json!({ "url": "https://a.example/" }));
    assert_eq!(denied.result.unwrap_err().code(), "denied");
}

#[test]
fn headers_of_one_name_are_joined() {
    let mut twice = http::Response::of(200, "text/plain", "");
    twice.headers.push(("Set-Cookie".into(), "a=1".into()));
    twice.headers.push(("set-cookie".into(), "b=2".into()));
    assert_eq!(answer(twice).unwrap().headers["set-cookie"], "a=1, b=2");
}

#[test]
fn the_descriptor_asks_for_any_host_and_secret() {
    let descriptor = describe::<Plugin>();
    assert_eq!(descriptor["asks"], json!({ "hosts": [{ "host": "*", "methods": ["*"] }], "secrets": ["*"] }));
    assert_eq!(descriptor["tools"][0]["idempotent"], json!(false));
}
