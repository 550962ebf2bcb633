//! Signed webhooks and Slack.

use serde_json::{Value, json};
use weir_host::{
    notify::{ChannelConfig, SendError, send},
    webhook_signature::{SigningSecret, verify},
};

use super::{NOW, egress, notice};
use crate::peer::Peer;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn channel(config: Value) -> ChannelConfig {
    let config: ChannelConfig = serde_json::from_value(config).unwrap();
    config.check().unwrap();
    config
}

async fn sent_to(peer: &Peer, config: Value) -> Result<(), SendError> {
    send(&egress(&[peer.address.port()], Vec::new()), &channel(config), &notice(), NOW).await
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    request.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap()
}

#[tokio::test]
async fn a_receiver_can_check_who_sent_a_notice() {
    let peer = Peer::saying(OK).await;
    let secret = SigningSecret::from_bytes(&[7; 32]).unwrap();
    let config = json!({"webhook": {"url": peer.url("/hook?x=1"), "secret": secret.reveal()}});
    sent_to(&peer, config).await.unwrap();
    let request = peer.asked().remove(0);
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(request.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "content-type"), "application/json");
    let (id, timestamp) = (header(&request, "webhook-id"), header(&request, "webhook-timestamp"));
    assert_eq!((id, timestamp), (notice().id.as_str(), "1790000000"));
    let signature = header(&request, "webhook-signature");
    assert!(verify(&secret, id, 1_790_000_000, body.as_bytes(), signature));
    assert!(!verify(&secret, id, 1_790_000_001, body.as_bytes(), signature));
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], "weir.approval.requested");
    assert_eq!(body["timestamp"], "2026-09-21T14:13:20Z");
    assert_eq!(body["data"]["approval"]["due"], "2026-09-21T15:13:20Z");
    assert_eq!(body["data"]["link"], "https://weir.example/approve");
}

#[tokio::test]
async fn a_copy_of_a_notice_is_known_by_its_id() {
    let peer = Peer::saying(OK).await;
    let secret = SigningSecret::from_bytes(&[7; 32]).unwrap().reveal();
    let channel = channel(json!({"webhook": {"url": peer.url("/"), "secret": secret}}));
    let egress = egress(&[peer.address.port()], Vec::new());
    for now in [NOW, NOW.plus_ms(60_000)] {
        send(&egress, &channel, &notice(), now).await.unwrap();
    }
    let asked = peer.asked();
    assert_eq!(header(&asked[0], "webhook-id"), header(&asked[1], "webhook-id"));
    assert_ne!(header(&asked[0], "webhook-timestamp"), header(&asked[1], "webhook-timestamp"));
    assert_ne!(header(&asked[0], "webhook-signature"), header(&asked[1], "webhook-signature"));
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_each_time() {
    let peer = Peer::saying(OK).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = json!({"webhook": {"url": peer.url("/"), "secret_file": file.path()}});
    let empty = sent_to(&peer, config.clone()).await.unwrap_err();
    assert!(empty.reason.contains("whsec_"), "{empty}");
    std::fs::write(file.path(), SigningSecret::from_bytes(&[9; 24]).unwrap().reveal() + "\n").unwrap();
    sent_to(&peer, config).await.unwrap();
    assert_eq!(peer.asked().len(), 1);
}

#[tokio::test]
async fn slack_gets_a_text() {
    let peer = Peer::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    sent_to(&peer, json!({"slack": {"url": peer.url("/services/x")}})).await.unwrap();
    let request = peer.asked().remove(0);
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("*Decision needed: Refund order 7*\nShall we?"), "{text}");
    assert!(text.contains("Open: https://weir.example/approve"), "{text}");
}

#[tokio::test]
async fn what_a_receiver_answers_decides_about_the_next_attempt() {
    let cases = [
        ("503 Busy\r\nretry-after: 120", true, Some(120)),
        ("404 Not Found", true, None),
        ("302 Found\r\nlocation: http://127.0.0.1/", true, None),
        ("410 Gone", false, None),
    ];
    for (answer, is_retryable, retry_after) in cases {
        let peer = Peer::saying(&format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n")).await;
        let error = sent_to(&peer, json!({"slack": {"url": peer.url("/services/secret")}})).await.unwrap_err();
        assert_eq!((error.is_retryable, error.retry_after.map(|time| time.as_secs())), (is_retryable, retry_after));
        assert!(error.reason.contains(&answer[..3]) && !error.reason.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a16_a_notice_does_not_go_inside_unless_an_operator_lets_it() {
    let peer = Peer::saying(OK).await;
    let guard = egress(&[], Vec::new());
    let channel = channel(json!({"slack": {"url": peer.url("/services/secret")}}));
    let error = send(&guard, &channel, &notice(), NOW).await.unwrap_err();
    assert!(!error.is_retryable && error.reason.contains("egress.allow"), "{error}");
    assert!(!error.reason.contains("secret") && peer.asked().is_empty(), "{error}");
}

#[tokio::test]
async fn the_inbox_needs_no_sending() {
    send(&egress(&[], Vec::new()), &ChannelConfig::Ui, &notice(), NOW).await.unwrap();
}
