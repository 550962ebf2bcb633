//! Everything that another side may do to a caller has an end.

use std::time::Duration;

use bytes::Bytes;
use weir_host::egress::{
    Caller, Egress, EgressConfig, EgressError, HeaderMap, Hosts, Method, Policy, Request,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::{egress, get, wanderer};
use crate::peer::{Peer, Said};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn guard(peer: &Peer) -> Egress {
    egress(peer.allowed(), &[])
}

/// A caller with little of everything.
fn modest() -> Caller {
    Caller::new(Policy {
        response_bytes_max: 10_000,
        request_bytes_max: 1_000,
        header_bytes_max: 10_000,
        ..Policy::any_public()
    })
}

/// A caller with little time.
fn hasty() -> Caller {
    Caller::new(Policy { timeout: Duration::from_millis(300), ..Policy::any_public() })
}

async fn failure(caller: Caller, rule: impl Fn(&str) -> Said + Send + Sync + 'static) -> EgressError {
    let mut peer = Peer::answering(rule).await;
    let error = guard(&peer).send(&caller, get(&peer.url("/"))).await.unwrap_err();
    // The connection is closed, so that the other side does not go on for ever.
    peer.ended(1).await;
    error
}

#[tokio::test]
async fn a_request_goes_out_as_it_was_written() {
    let peer = Peer::saying(OK).await;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer t"))]);
    let (url, body) = (peer.url("/a%20b/ü?c=d#e"), Bytes::from_static(b"{}"));
    let answer = guard(&peer).send(&modest(), Request { method: Method::POST, url, headers, body }).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
    let asked = peer.asked().remove(0);
    assert!(asked.starts_with("POST /a%20b/%C3%BC?c=d HTTP/1.1\r\n"), "{asked}");
    for line in
        [format!("host: {}", peer.address), "authorization: Bearer t".to_owned(), "content-length: 2".to_owned()]
    {
        assert!(asked.contains(&format!("{line}\r\n")), "{line:?} is missing in {asked}");
    }
    assert!(asked.ends_with("\r\n\r\n{}"), "{asked}");
}

#[tokio::test]
async fn h24_an_answer_is_bounded_in_bytes_however_it_comes() {
    let heads = ["content-length: 1073741824\r\n", "", "transfer-encoding: chunked\r\n"];
    for head in heads {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096)).into_bytes();
        let first = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
        let error = failure(modest(), move |_| Said::Endless(first.clone(), chunk.clone())).await;
        assert!(matches!(error, EgressError::TooLarge { what: "the answer", max: 10_000, .. }), "{head:?}: {error:?}");
    }
}

#[tokio::test]
async fn h24_an_answers_head_is_bounded() {
    let line = format!("x-filler: {}\r\n", "y".repeat(1000)).into_bytes();
    let error = failure(modest(), move |_| Said::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), line.clone())).await;
    assert!(matches!(error, EgressError::TooLarge { .. } | EgressError::Exchange { .. }), "{error:?}");
    let many = "a: b\r\n".repeat(1000);
    let error = failure(modest(), move |_| Said::Once(format!("HTTP/1.1 200 OK\r\n{many}\r\n").into_bytes())).await;
    assert!(matches!(error, EgressError::TooLarge { .. } | EgressError::Exchange { .. }), "{error:?}");
}

#[tokio::test]
async fn h24_an_answer_is_bounded_in_time_wherever_it_stops() {
    for said in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    ] {
        let error = failure(hasty(), move |_| Said::Silent(said.as_bytes().to_vec())).await;
        assert!(matches!(error, EgressError::Timeout { .. }) && error.is_retryable(), "{said:?}: {error:?}");
    }
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
    let error = failure(hasty(), move |_| Said::Endless(Vec::new(), interim.clone())).await;
    assert!(matches!(error, EgressError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_http_is_an_error_and_no_answer() {
    for said in [
        "220 mx.example ESMTP\r\n",
        "\u{0}\u{1}",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ] {
        let error = failure(modest(), move |_| Said::Once(said.as_bytes().to_vec())).await;
        assert!(matches!(error, EgressError::Exchange { .. }), "{said:?}: {error:?}");
    }
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    let error = failure(modest(), move |_| Said::Once(cut.as_bytes().to_vec())).await;
    assert!(matches!(error, EgressError::Exchange { .. }), "{error:?}");
}

#[tokio::test]
async fn h24_a_request_is_bounded_too_and_then_not_sent() {
    let peer = Peer::saying(OK).await;
    let guard = guard(&peer);
    let body = Bytes::from(vec![0; 1_001]);
    let error = guard.send(&modest(), Request { body, ..get(&peer.url("/")) }).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { what: "the request", .. }), "{error}");
    let large = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&"x".repeat(10_000)).unwrap())]);
    let error = guard.send(&modest(), Request { headers: large, ..get(&peer.url("/")) }).await.unwrap_err();
    assert!(matches!(error, EgressError::TooLarge { .. }), "{error}");
    let long = peer.url(&format!("/{}", "x".repeat(9_000)));
    assert!(matches!(guard.send(&modest(), get(&long)).await, Err(EgressError::Url { .. })));
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn how_a_message_is_carried_is_for_the_host_to_say() {
    let peer = Peer::saying(OK).await;
    let ours = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
    ];
    for name in ours {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("1"))]);
        let error = guard(&peer).send(&modest(), Request { headers, ..get(&peer.url("/")) }).await.unwrap_err();
        assert!(matches!(error, EgressError::Header { .. }), "{name}: {error}");
    }
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn nothing_is_unpacked() {
    // A megabyte of zeros, packed small, would be what a bomb looks like.
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03bomb".to_vec();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let said = [head.into_bytes(), packed.clone()].concat();
    let peer = Peer::answering(move |_| Said::Once(said.clone())).await;
    let answer = guard(&peer).send(&modest(), get(&peer.url("/"))).await.unwrap();
    assert_eq!(&answer.body[..], &packed[..]);
    assert!(!peer.asked()[0].contains("accept-encoding"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_the_caller_follows_them() {
    let peer = Peer::saying("HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n").await;
    let answer = guard(&peer).send(&modest(), get(&peer.url("/a"))).await.unwrap();
    assert_eq!(answer.status.as_u16(), 302);
    assert_eq!(peer.asked().len(), 1);
}

#[tokio::test]
async fn h24_redirects_in_a_circle_end() {
    let peer = Peer::saying("HTTP/1.1 307 Again\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    let error = guard(&peer).send(&wanderer(), get(&peer.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Redirect { .. }), "{error}");
    assert_eq!(peer.asked().len(), 6, "the first request and five redirects");
    let few = Caller::new(Policy { requests_max: 3, redirects_max: 5, ..Policy::any_public() });
    let error = guard(&peer).send(&few, get(&peer.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Requests { max: 3, .. }), "{error}");
}

#[tokio::test]
async fn a16_a_redirect_has_to_be_granted_like_a_first_request() {
    let other = Peer::saying(OK).await;
    let place = other.url("/");
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
    let peer = Peer::saying(&answer).await;
    let mut allowed = peer.allowed();
    allowed.allow.extend(other.allowed().allow);
    let hosts = Hosts::List(vec![peer.address.to_string().parse().unwrap()]);
    let caller = Caller::new(Policy { hosts, redirects_max: 5, requests_max: 9, ..Policy::any_public() });
    let error = egress(allowed, &[]).send(&caller, get(&peer.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::NotGranted { .. }), "{error}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_answer_can_be_read_while_it_comes() {
    let peer = Peer::answering(|_| Said::Silent(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n".to_vec())).await;
    let caller = Caller::new(Policy::any_public());
    let mut answer = guard(&peer).open(&caller, get(&peer.url("/"))).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: 1\n\n");
}

#[tokio::test]
async fn a_refusal_says_what_an_operator_can_do_and_no_secret() {
    let guard = egress(Default::default(), &[("a.test", &[&["10.0.0.5"]]), ("b.test", &[&["169.254.169.254"]])]);
    let said = |url: &'static str| {
        let guard = guard.clone();
        async move { guard.send(&modest(), get(url)).await.unwrap_err().to_string() }
    };
    let private = said("http://a.test:8080/hook/secret?token=secret").await;
    assert!(
        private.contains("a private address") && private.contains("add \"a.test:8080\" to egress.allow"),
        "{private}"
    );
    assert!(!private.contains("secret"), "{private}");
    let metadata = said("http://b.test/").await;
    assert!(metadata.contains("a link-local address") && metadata.contains("only as an address"), "{metadata}");
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_passed_over() {
    let peer = Peer::saying(OK).await;
    let port = peer.address.port();
    let allowed = EgressConfig { allow: vec![format!("two.test:{port}").parse().unwrap()], ..EgressConfig::default() };
    // Nobody listens at the second address of this machine.
    let guard = egress(allowed, &[("two.test", &[&["127.9.9.9", "127.0.0.1"]])]);
    let answer = guard.send(&modest(), get(&format!("http://two.test:{port}/"))).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
    assert!(peer.asked()[0].contains(&format!("host: two.test:{port}\r\n")));
}

#[tokio::test]
async fn h24_requests_beyond_the_hosts_own_limit_wait() {
    let rule = |asked: &str| if asked.contains("/quick") { Said::Once(OK.into()) } else { Said::Silent(Vec::new()) };
    let peer = Peer::answering(rule).await;
    let guard = egress(EgressConfig { requests_max: 3, ..peer.allowed() }, &[]);
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (guard, request) = (guard.clone(), get(&peer.url("/")));
        slow.spawn(async move { guard.send(&Caller::new(Policy::any_public()), request).await.map(drop) });
    }
    peer.asked_times(3).await;
    let waited = guard.send(&hasty(), get(&peer.url("/quick"))).await;
    assert!(matches!(waited, Err(EgressError::Timeout { .. })), "{waited:?}");
    assert_eq!(peer.asked().len(), 3, "it gave up in its own time, and was never sent");
    slow.shutdown().await;
    guard.send(&modest(), get(&peer.url("/quick"))).await.unwrap();
}
