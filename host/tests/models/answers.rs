//! What good answers become, in each protocol.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use weir_host::{
    egress::EgressConfig,
    models::{ModelConfig, Provider, StopReason, Usage},
};

use super::{WIRES, ask, asked, everything, gateway, hello, inputs, model_at, speech};
use crate::peer::{self, Peer, Said};

#[tokio::test]
async fn a_text_streams_and_is_counted() {
    for provider in WIRES {
        let (answer, heard, _) = asked(provider, speech::stream(provider, &speech::hello(provider))).await;
        let answer = answer.unwrap();
        assert_eq!((answer.text.as_str(), answer.stop), ("Hello there", StopReason::End), "{provider:?}");
        assert_eq!(heard.concat(), "Hello there", "{provider:?}");
        let usage = answer.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(11), Some(3)), "{provider:?}");
        assert_eq!(usage.output_tokens, Some(2), "{provider:?}");
        let has_thoughts = matches!(provider, Provider::Openai | Provider::Gemini);
        assert_eq!(usage.reasoning_tokens, has_thoughts.then_some(1), "{provider:?}");
        assert_eq!((answer.provider.as_str(), answer.model.as_str()), (provider.as_str(), "some-model"));
        assert_eq!(answer.response_model.as_deref(), Some("some-model-1"), "{provider:?}");
        assert_eq!((answer.attempts.len(), answer.attempts[0].status), (1, Some(200)));
    }
}

#[tokio::test]
async fn pieces_of_frames_make_frames() {
    for provider in WIRES {
        let whole = speech::bytes(provider, &speech::hello(provider));
        let peer = Peer::answering(move |_| Said::Pieces(whole.chunks(7).map(<[u8]>::to_vec).collect())).await;
        let (answer, _) = ask(&gateway(model_at(provider, &peer), peer.allowed()), hello()).await;
        assert_eq!(answer.unwrap().text, "Hello there", "{provider:?}");
    }
}

#[tokio::test]
async fn two_calls_of_tools_in_one_turn_are_put_together_from_their_pieces() {
    for provider in WIRES {
        let frames = speech::calls(provider);
        let peer = Peer::answering(move |_| speech::stream(provider, &frames)).await;
        let (answer, _) = ask(&gateway(model_at(provider, &peer), peer.allowed()), everything()).await;
        let answer = answer.unwrap();
        let (one, two) = (json!({"text": "one"}).into(), json!({"text": "two"}).into());
        assert_eq!(inputs(&answer), [("text.count", &one), ("text.count", &two)], "{provider:?}");
        assert_eq!(answer.stop, StopReason::ToolCalls, "{provider:?}");
        assert_ne!(answer.tool_calls[0].id, answer.tool_calls[1].id, "{provider:?}");
        let signature = (provider == Provider::Gemini).then_some("c2ln");
        assert_eq!(answer.tool_calls[0].signature.as_deref(), signature);
    }
}

#[tokio::test]
async fn a_refusal_is_told_as_one() {
    for provider in WIRES {
        let Some(frames) = speech::refusal(provider) else { continue };
        let (answer, _, _) = asked(provider, speech::stream(provider, &frames)).await;
        assert_eq!(answer.unwrap().stop, StopReason::Refusal, "{provider:?}");
    }
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let (answer, _, _) = asked(Provider::Gemini, speech::stream(Provider::Gemini, &[blocked])).await;
    assert_eq!(answer.unwrap().stop, StopReason::Refusal);
}

#[tokio::test]
async fn an_answer_without_room_says_so() {
    for provider in WIRES {
        let (answer, _, _) = asked(provider, speech::stream(provider, &speech::cut_short(provider))).await;
        let answer = answer.unwrap();
        assert_eq!((answer.stop, answer.text.as_str()), (StopReason::MaxTokens, "Hello there"), "{provider:?}");
    }
}

#[tokio::test]
async fn g3_what_is_not_counted_is_settled_as_it_was_reserved() {
    for provider in WIRES {
        let peer = Peer::answering(move |_| speech::stream(provider, &speech::uncounted(provider))).await;
        let gateway = gateway(model_at(provider, &peer), peer.allowed());
        let prepared = gateway.prepare(hello()).unwrap();
        let answer = gateway.send(&prepared, 10, &mut |_| {}).await.unwrap();
        assert_eq!(answer.usage, None, "{provider:?}");
        let reserved = prepared.reservation(10);
        assert_eq!(prepared.settle(answer.usage.as_ref(), &reserved), reserved, "{provider:?}");
        let half = Usage { output_tokens: Some(2), ..Usage::default() };
        let settled = prepared.settle(Some(&half), &reserved);
        assert_eq!((settled.input_tokens, settled.output_tokens), (reserved.input_tokens, 2));
    }
}

#[tokio::test]
async fn an_answer_that_should_be_json_and_is_not_is_left_to_the_agent() {
    for provider in WIRES {
        let peer = Peer::answering(move |_| speech::stream(provider, &speech::hello(provider))).await;
        let (answer, _) = ask(&gateway(model_at(provider, &peer), peer.allowed()), everything()).await;
        assert_eq!(answer.unwrap().text, "Hello there", "{provider:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_come_as_a_text_and_missing_ones_as_an_object() {
    let call = |index: u64, arguments: Value| {
        json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": format!("c{index}"),
            "function": {"name": "text__count", "arguments": arguments}}]}}]})
    };
    let frames = [call(0, json!("{\"text\": ")), call(u64::MAX, json!("")), json!("[DONE]")];
    let (answer, _, _) = asked(Provider::Openai, speech::stream(Provider::Openai, &frames)).await;
    let answer = answer.unwrap();
    let (broken, none) = (json!("{\"text\": ").into(), json!({}).into());
    assert_eq!(inputs(&answer), [("text.count", &broken), ("text.count", &none)], "also under an absurd number");
}

/// Answers every request with a whole answer in chunks, and sends the chunk that ends it by itself. Tells how many
/// connections there were.
async fn serve_in_chunks(listener: TcpListener, connections: Arc<AtomicUsize>) {
    let whole = speech::bytes(Provider::Openai, &speech::hello(Provider::Openai));
    let whole = String::from_utf8(whole).unwrap();
    let frames = whole.split_once("\r\n\r\n").unwrap().1;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = format!("{head}{:x}\r\n{frames}\r\n", frames.len());
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        let answer = answer.clone();
        tokio::spawn(async move {
            while peer::request(&mut stream).await.is_ok_and(|request| !request.is_empty()) {
                stream.write_all(answer.as_bytes()).await.unwrap();
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                stream.write_all(b"0\r\n\r\n").await.ok();
            }
        });
    }
}

#[tokio::test]
async fn a_connection_is_used_again_where_the_end_of_an_answer_comes_by_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    tokio::spawn(serve_in_chunks(listener, Arc::clone(&connections)));
    let base_url = Some(format!("http://{address}/v1"));
    let allowed = EgressConfig { allow: vec![address.to_string().parse().unwrap()], ..EgressConfig::default() };
    let gateway = gateway(ModelConfig { base_url, ..ModelConfig::new(Provider::Openai, "m") }, allowed);
    for _ in 0..30 {
        assert_eq!(ask(&gateway, hello()).await.0.unwrap().text, "Hello there");
        // An agent has other things to do before its next turn.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections <= 15, "{connections} connections for 30 requests");
}
