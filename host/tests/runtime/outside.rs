//! Plugins that talk to others over HTTP, and others that mean them harm.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};
use weir_host::{
    driver::effects::http::{HttpCaps, Way, plain_headers},
    egress::{Egress, Roots, SystemResolver},
    grants::Granted,
    runtime::{CallHost, Effect, HttpAnswer, HttpRequest, Powerless},
};

use super::support::{failed, request, shared};
use crate::peer::{Peer, Said};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const WAYS: [&str; 2] = ["weir", "wasi"];

/// The host of one call that may send requests.
pub(crate) struct Outside {
    egress: Egress,
    granted: Arc<Granted>,
    caps: HttpCaps,
}

impl Outside {
    pub(crate) fn new(egress: Egress, hosts: &Value) -> Arc<Self> {
        let granted = Arc::new(Granted::read(&json!({ "hosts": hosts })).unwrap());
        Arc::new(Self { egress, granted, caps: HttpCaps::default() })
    }

    /// A host that reaches this peer.
    fn beside(peer: &Peer, methods: &Value) -> Arc<Self> {
        let egress = Egress::with(peer.allowed(), Box::new(SystemResolver), Roots::Only(Vec::new()));
        Self::new(egress, &json!([{ "host": peer.address.to_string(), "methods": methods }]))
    }

    fn parts(&self) -> (Egress, Arc<Granted>, HttpCaps) {
        (self.egress.clone(), self.granted.clone(), self.caps.clone())
    }
}

impl CallHost for Outside {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        let Effect::Http(request) = effect else { return Powerless.effect(effect) };
        let (egress, granted, caps) = self.parts();
        Box::pin(async move {
            let way = Way { egress: &egress, granted: &granted, caps: &caps, idempotency_key: "execution/1/1" };
            way.send(&request, plain_headers).await
        })
    }

    fn open_http(&self, request: HttpRequest) -> BoxFuture<'static, Result<Box<dyn HttpAnswer>, Failure>> {
        let (egress, granted, caps) = self.parts();
        Box::pin(async move {
            let way = Way { egress: &egress, granted: &granted, caps: &caps, idempotency_key: "execution/1/1" };
            way.open(&request, plain_headers).await
        })
    }
}

/// What one call of the guest tells of its requests: `METHOD TIMES BODY_BYTES HEADER_BYTES TIMEOUT_MS URL`.
pub(crate) async fn sent(way: &str, order: &str, host: Arc<Outside>) -> Vec<String> {
    let call = request("h24_requests", &json!(format!("{way} {order}")).to_string()).await;
    let told = shared().call(call, host).await.result.unwrap();
    serde_json::from_str(told.text()).unwrap()
}

/// The same for a peer that the plugin was granted.
async fn told(way: &str, order: &str, peer: &Peer) -> Vec<String> {
    sent(way, &format!("{order} {}", peer.url("/")), Outside::beside(peer, &json!(["GET", "POST"]))).await
}

#[tokio::test(flavor = "multi_thread")]
pub(super) async fn h24_requests() {
    let peer = Peer::saying(OK).await;
    assert_eq!(told("weir", "GET 1 0 1 0", &peer).await, [format!("200 2 {}", peer.url("/"))]);
    assert_eq!(told("wasi", "GET 1 0 1 0", &peer).await, ["200 2"]);
    assert_eq!(told("weir", "POST 1 5 1 0", &peer).await, [format!("200 2 {}", peer.url("/"))]);
    assert_eq!(told("wasi", "POST 1 5 1 0", &peer).await, ["200 2"]);
    let asked = peer.asked();
    for request in &asked[..2] {
        assert!(request.starts_with("GET / HTTP/1.1\r\n") && !request.contains("idempotency-key"), "{request}");
    }
    for request in &asked[2..] {
        assert!(request.contains("\r\nidempotency-key: execution/1/1\r\n"), "{request}");
        assert!(request.contains("\r\nx-filler: x\r\n") && request.contains("\r\nuser-agent: weir/"), "{request}");
        assert!(request.ends_with("\r\n\r\nxxxxx"), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_what_is_not_granted_is_denied() {
    let peer = Peer::saying(OK).await;
    let order = format!("POST 1 0 1 0 {}", peer.url("/"));
    let (reader, nobody) = (Outside::beside(&peer, &json!(["GET"])), Outside::beside(&peer, &json!(["GET"])));
    assert!(sent("weir", &order, reader.clone()).await[0].starts_with("denied: refused to send POST"));
    assert_eq!(sent("wasi", &order, reader).await, ["ErrorCode::HttpRequestDenied"]);
    for way in WAYS {
        let told = sent(way, "GET 1 0 1 0 http://93.184.216.34/", nobody.clone()).await;
        assert!(told[0].starts_with("denied: ") || told[0].ends_with("HttpRequestDenied"), "{told:?}");
    }
    // What the guard refuses stays refused for those who were granted everything.
    let everything = json!([{ "host": "*", "methods": ["*"] }]);
    let strict = Egress::with(Default::default(), Box::new(SystemResolver), Roots::Only(Vec::new()));
    for way in WAYS {
        let told = sent(way, &order, Outside::new(strict.clone(), &everything)).await;
        assert!(told[0].starts_with("denied: ") || told[0].ends_with("HttpRequestDenied"), "{told:?}");
    }
    assert!(peer.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_a_thousand_requests_are_twenty() {
    // A request through WASI takes many host calls, which are counted too.
    for (way, times) in WAYS.into_iter().zip([1_000, 100]) {
        let peer = Peer::saying(OK).await;
        let told = told(way, &format!("GET {times} 0 1 0"), &peer).await;
        assert_eq!(told.iter().filter(|one| one.starts_with("200 ")).count(), 20, "{way}");
        let denied = |one: &String| one.starts_with("denied: ") || one.ends_with("HttpRequestDenied");
        assert_eq!(told.iter().filter(|one| denied(one)).count(), times - 20, "{way}: {:?}", told.last());
        assert_eq!(peer.asked().len(), 20, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_a_gibibyte_down_is_cut_off() {
    for (way, head) in WAYS
        .iter()
        .flat_map(|way| ["content-length: 1073741824\r\n", "transfer-encoding: chunked\r\n"].map(|head| (*way, head)))
    {
        let part = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
        let first = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
        let mut peer = Peer::answering(move |_| Said::Endless(first.clone(), part.clone())).await;
        let told = told(way, "GET 1 0 1 0", &peer).await;
        assert!(told[0].contains("the answer may have 5242880 bytes at most"), "{way}: {told:?}");
        peer.ended(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_the_answers_of_a_call_are_bounded_together() {
    for way in WAYS {
        let body = "x".repeat(4 << 20);
        let peer = Peer::saying(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        let told = told(way, "GET 6 0 1 0", &peer).await;
        assert!(told[..5].iter().all(|one| one.starts_with("200 4194304")), "{way}: {told:?}");
        assert!(told[5].contains("20971520 bytes together"), "{way}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_a_gibibyte_up_is_not_sent() {
    let peer = Peer::saying(OK).await;
    let told_whole = told("weir", "POST 1 6000000 1 0", &peer).await;
    assert!(told_whole[0].starts_with("invalid_input: the body has 6000000 bytes"), "{told_whole:?}");
    assert_eq!(told("wasi", "POST 1 1073741824 1 0", &peer).await, ["ErrorCode::HttpRequestBodySize(Some(5242880))"]);
    assert!(peer.asked().is_empty());

    let order = json!(format!("weir POST 1 16000000 1 0 {}", peer.url("/")));
    let call = request("h24_requests", &order.to_string()).await;
    let host = Outside::beside(&peer, &json!(["POST"]));
    failed(shared().call(call, host).await, FailureCode::HostCallLimit);
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_heads_are_bounded_both_ways() {
    for way in WAYS {
        let line = format!("x-filler: {}\r\n", "y".repeat(1000)).into_bytes();
        let mut peer = Peer::answering(move |_| Said::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), line.clone())).await;
        let told_of_head = told(way, "GET 1 0 1 0", &peer).await;
        assert!(!told_of_head[0].starts_with("200"), "{way}: {told_of_head:?}");
        peer.ended(1).await;
        let told_of_own = told(way, "GET 1 0 40000 0", &peer).await;
        assert!(told_of_own[0].contains("the request's headers may have 32768 bytes"), "{way}: {told_of_own:?}");
        assert_eq!(peer.asked().len(), 1, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_redirects_end_and_lead_nowhere_else() {
    for way in WAYS {
        let again = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
        let peer = Peer::saying(again).await;
        let told_in_circles = told(way, "GET 1 0 1 0", &peer).await;
        assert!(told_in_circles[0].contains("redirects once more than is followed"), "{way}: {told_in_circles:?}");
        assert_eq!(peer.asked().len(), 6, "{way}");

        let other = Peer::saying(OK).await;
        let elsewhere = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url("/"));
        let peer = Peer::saying(&elsewhere).await;
        let told = told(way, "GET 1 0 1 0", &peer).await;
        assert!(told[0].starts_with("denied: ") || told[0].ends_with("HttpRequestDenied"), "{way}: {told:?}");
        assert!(other.asked().is_empty(), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h24_who_never_answers_is_given_up() {
    let mut peer = Peer::answering(|_| Said::Silent(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsl".to_vec())).await;
    let told = told("weir", "GET 1 0 1 100", &peer).await;
    assert!(told[0].starts_with("unavailable: gave up on") && told[0].contains("100 ms"), "{told:?}");
    peer.ended(1).await;
    for (way, ended) in WAYS.iter().zip(2..) {
        let order = json!(format!("{way} GET 1 0 1 0 {}", peer.url("/")));
        let mut call = request("h24_requests", &order.to_string()).await;
        call.timeout = Duration::from_millis(300);
        let host = Outside::beside(&peer, &json!(["GET"]));
        failed(shared().call(call, host).await, FailureCode::Timeout);
        // The connection goes with the call.
        peer.ended(ended).await;
    }
}
