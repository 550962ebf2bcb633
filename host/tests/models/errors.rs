//! Servers that fail in every way that is known of them.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_engine::failure::FailureCode;
use weir_host::{
    egress::EgressConfig,
    models::{ModelConfig, ModelError, Provider},
};

use super::{WIRES, ask, asked, gateway, hello, model_at, speech};
use crate::peer::{Peer, Said};

/// A peer that says each of these once, and then a good answer.
async fn first(provider: Provider, said: Vec<Said>) -> Peer {
    let said = std::sync::Mutex::new(said.into_iter());
    let good = speech::stream(provider, &speech::hello(provider));
    Peer::answering(move |_| said.lock().unwrap().next().unwrap_or_else(|| good.clone())).await
}

fn code(error: &ModelError) -> FailureCode {
    error.failure().code
}

#[tokio::test]
async fn g3_too_many_requests_waits_as_long_as_it_is_told() {
    for provider in WIRES {
        let busy =
            speech::status("429 Too Many Requests", "retry-after: 1\r\n", &json!({"error": {"message": "slow"}}));
        let peer = first(provider, vec![busy]).await;
        let begun = Instant::now();
        let (answer, heard) = ask(&gateway(model_at(provider, &peer), peer.allowed()), hello()).await;
        let answer = answer.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1), "{provider:?}");
        assert_eq!((answer.attempts.len(), answer.attempts[0].status), (2, Some(429)), "{provider:?}");
        assert_eq!(answer.attempts[0].wait_ms, Some(1000));
        assert!(answer.attempts[0].why.as_ref().unwrap().contains("slow"), "{:?}", answer.attempts);
        assert_eq!(heard.concat(), "Hello there", "what was heard is heard once");
    }
}

#[tokio::test]
async fn a_wait_beyond_the_timeout_is_not_begun() {
    let busy = speech::status("429 Too Many Requests", "retry-after: 3600\r\n", &json!({"error": "later"}));
    let (answer, _, peer) = asked(Provider::Openai, busy).await;
    let error = answer.unwrap_err();
    assert_eq!((code(&error), error.attempts.len(), peer.asked().len()), (FailureCode::Unavailable, 1, 1));
    assert!(!error.may_have_cost);
}

#[tokio::test]
async fn g3_a_server_that_recovers_is_asked_again_and_one_that_does_not_is_given_up() {
    for provider in WIRES {
        let broken = speech::status("503 Service Unavailable", "retry-after: 0\r\n", &json!({"error": "overloaded"}));
        let peer = first(provider, vec![broken.clone(), broken.clone()]).await;
        let (answer, _) = ask(&gateway(model_at(provider, &peer), peer.allowed()), hello()).await;
        assert_eq!(answer.unwrap().attempts.len(), 3, "{provider:?}");
        let (answer, _, peer) = asked(provider, broken).await;
        let error = answer.unwrap_err();
        assert_eq!((code(&error), error.attempts.len()), (FailureCode::Unavailable, 3), "{provider:?}");
        assert_eq!(peer.asked().len(), 3, "{provider:?}");
        let details = error.failure().details.unwrap();
        assert_eq!(details.value()["attempts"][2]["status"], 503, "{provider:?}");
    }
}

#[tokio::test]
async fn what_the_provider_does_not_accept_is_not_tried_again() {
    let cases = [
        ("400 Bad Request", FailureCode::InvalidInput),
        ("404 Not Found", FailureCode::InvalidInput),
        ("401 Unauthorized", FailureCode::Denied),
        ("403 Forbidden", FailureCode::Denied),
    ];
    for provider in WIRES {
        for (line, expected) in cases {
            let said = speech::status(line, "", &json!({"error": {"message": "the context is\ttoo long"}}));
            let (answer, _, peer) = asked(provider, said).await;
            let error = answer.unwrap_err();
            assert_eq!((code(&error), peer.asked().len()), (expected, 1), "{provider:?} {line}");
            assert!(error.to_string().contains("the context is too long"), "{error}");
            assert!(!error.may_have_cost);
        }
    }
}

#[tokio::test]
async fn g3_a_stream_that_is_cut_is_no_answer() {
    for provider in WIRES {
        let frames = speech::hello(provider);
        for kept in 1..frames.len() {
            let (answer, heard, peer) = asked(provider, speech::stream(provider, &frames[..kept])).await;
            let error = answer.unwrap_err();
            assert_eq!(code(&error), FailureCode::Failed, "{provider:?} {kept}");
            assert!(error.may_have_cost, "{provider:?} {kept}");
            assert!(error.to_string().contains("broke off"), "{provider:?} {kept}: {error}");
            assert_eq!(peer.asked().len(), 1, "nothing is asked again after it was heard: {heard:?}");
        }
    }
}

#[tokio::test]
async fn a_frame_that_is_cut_is_no_answer_either() {
    for provider in WIRES {
        let whole = speech::bytes(provider, &speech::hello(provider));
        let (answer, _, _) = asked(provider, Said::Once(whole[..whole.len() - 20].to_vec())).await;
        assert!(answer.is_err(), "{provider:?}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_is_told() {
    let error = json!({"error": {"message": "the server is tired"}});
    for provider in WIRES {
        let mut frames = speech::hello(provider);
        frames.truncate(1);
        frames.push(match provider {
            Provider::Anthropic => json!({"type": "error", "error": {"message": "the server is tired"}}),
            Provider::Openai | Provider::Gemini | Provider::Ollama | Provider::Scripted => error.clone(),
        });
        let (answer, _, _) = asked(provider, speech::stream(provider, &frames)).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("the server is tired"), "{provider:?}: {error}");
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for provider in WIRES {
        for nonsense in ["{\"choices\": 1", "<html></html>", "[]", "\u{0}"] {
            let (answer, _, _) = asked(provider, speech::stream(provider, &[json!(nonsense)])).await;
            assert_eq!(code(&answer.unwrap_err()), FailureCode::Failed, "{provider:?} {nonsense}");
        }
        let page = speech::status("200 OK", "content-type: text/html\r\n", &json!("hello"));
        assert!(asked(provider, page).await.0.is_err(), "{provider:?}");
        let bare = Said::Once(b"SMTP ready\r\n".to_vec());
        assert!(asked(provider, bare).await.0.is_err(), "{provider:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    for provider in WIRES {
        let begun = speech::bytes(provider, &speech::hello(provider)[..1]);
        for said in [Said::Silent(Vec::new()), Said::Silent(begun)] {
            let peer = Peer::answering(move |_| said.clone()).await;
            let model = ModelConfig { timeout_seconds: 1, ..model_at(provider, &peer) };
            let (answer, _) = ask(&gateway(model, peer.allowed()), hello()).await;
            let error = answer.unwrap_err();
            assert_eq!((code(&error), error.may_have_cost), (FailureCode::Timeout, true), "{provider:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_broken_off() {
    for provider in WIRES {
        let mut frames = speech::hello(provider);
        // Gemini's second frame is its last one.
        let again = &frames[usize::from(provider != Provider::Gemini)];
        let again = speech::framed(provider, again).repeat(200);
        frames.truncate(1);
        let first = speech::bytes(provider, &frames);
        let (answer, _, _) = asked(provider, Said::Endless(first, again.into_bytes())).await;
        let error = answer.unwrap_err();
        assert_eq!(code(&error), FailureCode::OutputTooLarge, "{provider:?}: {error}");
        assert!(error.may_have_cost);
    }
}

#[tokio::test]
async fn a_frame_that_never_ends_is_broken_off() {
    for provider in WIRES {
        let begun = speech::bytes(provider, &[]);
        let (answer, _, _) = asked(provider, Said::Endless(begun, b"data: {".repeat(10_000))).await;
        assert_eq!(code(&answer.unwrap_err()), FailureCode::OutputTooLarge, "{provider:?}");
    }
}

#[tokio::test]
async fn an_error_that_never_ends_is_not_read_to_its_end() {
    for provider in WIRES {
        let head = b"HTTP/1.1 400 Bad Request\r\n\r\nno: ".to_vec();
        let (answer, _, _) = asked(provider, Said::Endless(head, b"and no ".repeat(10_000))).await;
        let error = answer.unwrap_err();
        assert_eq!(code(&error), FailureCode::InvalidInput, "{provider:?}: {error}");
        assert!(error.to_string().len() < 1_000, "{error}");
    }
}

#[tokio::test]
async fn g3_a_connection_that_breaks_before_the_answer_may_have_cost_something() {
    let (answer, _, peer) = asked(Provider::Openai, Said::Once(Vec::new())).await;
    let error = answer.unwrap_err();
    assert_eq!((code(&error), error.may_have_cost), (FailureCode::Unavailable, true), "{error}");
    assert_eq!(peer.asked().len(), 1, "it is not paid twice");
}

#[tokio::test]
async fn where_nobody_listens_is_tried_again_and_costs_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let model = ModelConfig {
        base_url: Some(format!("http://{address}/v1")),
        retries: 1,
        ..ModelConfig::new(Provider::Openai, "m")
    };
    let allowed = EgressConfig { allow: vec![address.to_string().parse().unwrap()], ..EgressConfig::default() };
    let (answer, _) = ask(&gateway(model, allowed), hello()).await;
    let error = answer.unwrap_err();
    assert_eq!((code(&error), error.attempts.len()), (FailureCode::Unavailable, 2), "{error}");
    assert!(!error.may_have_cost && error.attempts[0].wait_ms.is_some(), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn h24_a_redirect_is_not_followed() {
    let elsewhere = Peer::saying("HTTP/1.1 200 OK\r\n\r\n").await;
    for provider in WIRES {
        let said =
            speech::status("307 Temporary Redirect", &format!("location: {}\r\n", elsewhere.url("/")), &json!(0));
        let (answer, _, _) = asked(provider, said).await;
        let error = answer.unwrap_err();
        assert_eq!(code(&error), FailureCode::Denied, "{provider:?}: {error}");
        assert!(error.to_string().contains("redirects"), "{error}");
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn h24_an_address_inside_is_refused_unless_an_operator_allowed_it() {
    let peer = Peer::saying("HTTP/1.1 200 OK\r\n\r\n").await;
    let port = peer.address.port();
    for provider in WIRES {
        for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "2130706433"] {
            let base_url = Some(format!("http://{host}:{port}/v1"));
            let model = ModelConfig { base_url, ..ModelConfig::new(provider, "m") };
            let (answer, _) = ask(&gateway(model, EgressConfig::default()), hello()).await;
            let error = answer.unwrap_err();
            assert_eq!(code(&error), FailureCode::Denied, "{provider:?} {host}: {error}");
            assert!(error.to_string().contains("egress.allow"), "{host}: {error}");
            assert!(!error.may_have_cost);
        }
    }
    assert!(peer.asked().is_empty());
}
